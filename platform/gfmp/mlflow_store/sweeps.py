"""Keeps one MLflow run and its children equal to a sweep and its cells."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from gfmp.errors import CorruptArtefactError, GfmpError, Problem, ServiceError
from gfmp.ledger.cells import CellStore
from gfmp.ledger.reader import Follower
from gfmp.ledger.run import Run
from gfmp.ledger.searches import SearchStore
from gfmp.ledger.series import Point
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.sweep import SweepBook, cells_settled, planned_cells, planned_searches
from gfmp.mlflow_store import payload
from gfmp.mlflow_store.artifacts import collect_files, upload, upload_folder
from gfmp.mlflow_store.cells import (
    axis_tags,
    cell_name,
    child_key,
    failed_child,
    finished_child,
    sweep_params,
)
from gfmp.mlflow_store.children import Children
from gfmp.mlflow_store.client import Tracked, store_faults
from gfmp.mlflow_store.mirror import OVER, Mirror, RunMirror, Synced
from gfmp.mlflow_store.samples import Sample, sample_child, samples_of
from gfmp.plan.cells import Cell
from gfmp.plan.search import SearchPlan
from gfmp.storage.workspace import Workspace

CELL_KINDS = frozenset({"sweep", "finetune"})
_SHOWN_FAILURES = 10


def mirror_of(run: Run, workspace: Workspace) -> RunMirror:
    """Return the mirror of a run: of cells for sweeps and fine-tuning, of steps for the rest.

    Raises:
        CorruptArtefactError: the plan of the run was changed.
    """
    kind = SweepMirror if run.header.kind in CELL_KINDS else Mirror
    return kind(run, workspace)


def sync_workspace(
    workspace: Workspace,
) -> tuple[tuple[Synced, ...], tuple[GfmpError, ...]]:
    """Sync every run of a workspace; return what was done and what went wrong.

    Runs whose owner died while MLflow believed them to be running are closed by this.

    Raises:
        ServiceError: the store cannot be reached, so that no run can be synced.
    """
    done: list[Synced] = []
    failed: list[GfmpError] = []
    for run in RunStore(workspace).list():
        try:
            done.append(mirror_of(run, workspace).sync())
        except ServiceError:
            raise
        except GfmpError as fault:
            failed.append(fault)
    return tuple(done), tuple(failed)


class SweepMirror(RunMirror):
    """Makes the MLflow run of a sweep equal to its ledger, with one child for each cell.

    A cell becomes a child as soon as the cell store has its result or the ledger its failure. A
    result that was damaged on disk does not keep the others from MLflow; it is raised at the end.
    """

    def __init__(self, run: Run, workspace: Workspace) -> None:
        super().__init__(run, workspace)
        self._store = CellStore(workspace)
        self._searches = SearchStore(workspace)
        self._plans = planned_searches(run)
        self._last_time = 0.0
        self._children: Children | None = None
        self._begin()

    def _begin(self) -> None:
        """Read the plan, and the ledger from its start."""
        self._settled = cells_settled(self._run)
        self._cells = planned_cells(self._run)
        self._by_key = {child_key(axis_tags(cell)): cell for cell in self._cells}
        self._follower = Follower(self._run.ledger_path)
        self._book = SweepBook(self._cells)
        self._num_events = 0

    def _sync(self) -> Synced:
        status = self._run.status()  # before reading, so that a final status has every event
        if not self._settled and cells_settled(self._run):
            self._begin()
        events = self._follower.poll()
        self._book.add(events)
        self._num_events += len(events)
        self._last_time = max([self._last_time, *(event.time for event in events)])
        with store_faults(self._uri):
            tracked = self._tracked or self._open()
            if self._tracked is None or self._children is None:
                self._children = Children(tracked)
            self._send_words(tracked, status)
            num_children, num_points, problems = self._send_children(self._children, status)
            num_samples, num_more = self._send_samples(self._children)
            num_children, num_points = num_children + num_samples, num_points + num_more
            num_points += self._send_counts(tracked)
            num_files = self._send_files(tracked, status)
            self._send_status(tracked, status, self._last_time)
        self._tracked = tracked
        if problems:
            raise CorruptArtefactError.of(problems)
        return Synced(self._run.id, tracked.id, num_points, num_files, tracked.status, num_children)

    def _send_words(self, tracked: Tracked, status: Status) -> None:
        # MLflow keeps the first value of a param: none before a search has said which cells.
        params = sweep_params(self._cells) if self._settled else {}
        tracked.send_params({k: v for k, v in params.items() if k not in tracked.params})
        header = payload.header_tags(self._run)
        note = f"{self._note()}\n\n{header['mlflow.note.content']}"
        state = payload.state_tags(status, self._run.lifecycle())
        tracked.send_tags(header | state | {"mlflow.note.content": note})

    def _note(self) -> str:
        counts = self._book.progress().counts
        lines = [
            f"{counts.done} of {counts.total} cells done ({counts.reused} reused), "
            f"{counts.failed} failed. Report: Artifacts, `report/index.html`.",
            "To compare: tick children (or filter by `tags.gfmp.task`), Compare, and plot a "
            "`test/` metric against the parameter `label_percent`.",
        ]
        failures = self._book.failures()
        failed = [cell for cell in self._by_key.values() if cell.fingerprint in failures]
        for cell in failed[:_SHOWN_FAILURES]:
            first = next(iter(failures[cell.fingerprint].splitlines()), "")
            lines.append(f"* failed: {cell_name(cell)}: {first}")
        return "\n\n".join(lines)

    def _send_children(self, children: Children, status: Status) -> tuple[int, int, list[Problem]]:
        num_children, num_points, problems = 0, 0, list[Problem]()
        for key, cell in self._by_key.items():
            if children.closed(key):
                continue
            try:
                points = self._send_child(children, cell, status)
            except CorruptArtefactError as fault:
                problems.extend(fault.problems)
                continue
            num_children += points is not None
            num_points += points or 0
        return num_children, num_points, problems

    def _send_child(self, children: Children, cell: Cell, status: Status) -> int | None:
        """Send a cell; None when there is nothing (new) to say about it."""
        state = self._book.state(cell.fingerprint)
        if self._store.finished(cell.fingerprint):
            # The driver's own word about it, whether it was reused, follows in an instant.
            if state.state != "done" and status is Status.RUNNING:
                return None
            result = self._store.get(cell.fingerprint)
            ended = self._store.finished_at(cell.fingerprint)
            return children.send(finished_child(cell, result, state, ended))
        if not state.error or children.failed(child_key(axis_tags(cell)), state.error):
            return None
        return children.send(failed_child(cell, state))

    def _send_samples(self, children: Children) -> tuple[int, int]:
        """Send the settings of finished searches; return how many, and their points."""
        new = [
            sample
            for plan in self._plans
            if self._searches.finished(plan.fingerprint)
            for sample in self._samples(plan)
            if not children.closed(child_key(sample.tags))
            and not children.failed(child_key(sample.tags), sample.tried.error)
        ]
        return len(new), sum(children.send(sample_child(sample)) for sample in new)

    def _samples(self, plan: SearchPlan) -> Iterator[Sample]:
        outcome = self._searches.get(plan.fingerprint)
        return samples_of(plan, outcome, self._searches.finished_at(plan.fingerprint))

    def _send_counts(self, tracked: Tracked) -> int:
        counts = self._book.progress().counts
        numbers = {
            "cells_done": counts.done,
            "cells_failed": counts.failed,
            "cells_reused": counts.reused,
        }
        curves = {
            name: (Point(self._num_events, float(value), self._last_time),)
            for name, value in numbers.items()
            if self._num_events
        }
        missing = tracked.missing(curves)
        tracked.send_metrics(missing)
        return len(missing)

    def _send_files(self, tracked: Tracked, status: Status) -> int:
        with tempfile.TemporaryDirectory() as scratch:
            sent = upload(tracked, collect_files(self._run, None, Path(scratch)))
        sent += upload_folder(tracked, self._run.path / "report", "report")
        if status in OVER:
            sent += upload_folder(tracked, self._run.ledger_path, "ledger")
        return sent
