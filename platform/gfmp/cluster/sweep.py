"""`gfmp sweep`: prepare tasks, run the cells that have no result yet, report what all say."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gfmp.cluster.advising import announced, decided, decided_before
from gfmp.cluster.closing import close_killed
from gfmp.cluster.head import Head, session
from gfmp.cluster.leaks import audited, record
from gfmp.cluster.litter import clear_ray_results, end_predecessor
from gfmp.cluster.materials import foreign_ingredient, prepare
from gfmp.cluster.mirror import mirrored
from gfmp.cluster.searching import SearchStage, chosen_settings, run_searches
from gfmp.cluster.shortfall import shortfall
from gfmp.cluster.sweep_inputs import SweepNames, bind_grid, look_up
from gfmp.cluster.transfers import prepared, said
from gfmp.cluster.trial import Materials, TrialJob
from gfmp.cluster.tuning import TrialPool, pool_size, run_trials
from gfmp.cluster.watch import StopSignal, SweepConsole, follow, interruption, last_word
from gfmp.errors import (
    ExistsError,
    MissingInputError,
    SpecError,
)
from gfmp.ledger.advice import ADVICE
from gfmp.ledger.cells import CellStore
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.searches import SearchStore
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.sweep import (
    listed_cells,
    planned_searches,
    settle_cells,
)
from gfmp.ledger.writer import LedgerWriter
from gfmp.plan.cells import Cell
from gfmp.plan.grid import trials
from gfmp.plan.search import SearchPlan, SweepGrid
from gfmp.plan.survey import this_machine
from gfmp.spec.sweep import SweepSpec
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.documents import Document
from gfmp.storage.hashes import fingerprint
from gfmp.storage.workspace import Workspace
from gfmp.tasks.store import TaskStore
from gfmp.tasks.task import Task

_INPUTS = "inputs.json"


@dataclass(frozen=True)
class SweepJob:
    """A checked sweep spec on its way to becoming a run.

    Attributes:
        spec: The sweep.
        document: The YAML it came from, with `--set` applied.
        text: What is kept in the run.
        workspace: Where everything goes.
        kind: Kind of the run: `sweep`, or `finetune` for a job of one cell.
        command_line: How gfmp was called.
    """

    spec: SweepSpec
    document: Document
    text: bytes
    workspace: Workspace
    kind: str
    command_line: tuple[str, ...]


def start(job: SweepJob, console: SweepConsole) -> Run:
    """Run a new sweep to its end and return its run.

    Raises:
        MissingInputError: an initial model or a vocabulary has to be made first.
        DataError: test rows of a task are learned from, and the sweep does not allow that.
        GfmpError: see `_drive`; preparing tasks can fail with data errors.
    """
    names = look_up(job.spec, job.document, job.workspace)
    _check_complete(names)
    if job.kind == "finetune":
        _check_finetuning(names, job.document)
    tasks = _tasks(names, job.workspace, console)
    leaks = audited(names, tasks, job.workspace, console.say)
    names = decided(names, tasks, console.say)
    grid = _bound(names, tasks)
    run = _create(job, names, grid)
    record(run, leaks)
    return _drive(_Sweep(run, names, tasks, grid, job.workspace), console)


def resume(
    run: Run, document: Document, spec: SweepSpec, workspace: Workspace, console: SweepConsole
) -> Run:
    """Run the cells of a sweep that have no result yet; failed ones are tried again.

    Raises:
        ExistsError: every cell is finished and the run says so.
        SpecError: a task, preset or initial model changed since, so that the cells are others.
        GfmpError: see `_drive`.
    """
    if run.status() is Status.FINISHED:
        raise ExistsError(
            f"sweep {run.id} is finished",
            where=str(run.path),
            why="a finished sweep is never changed",
            fix=f"gfmp report {run.id} shows it; a changed spec is a new sweep, which runs only "
            "the cells that are new",
        )
    pinned = read_json(run.path / _INPUTS)["pretrained"]
    assert isinstance(pinned, dict), "written by this module"
    names = look_up(spec, document, workspace, pinned)
    _check_complete(names)
    tasks = _tasks(names, workspace, console)
    names = decided_before(names, run)
    grid = _bound(names, tasks)
    _check_same(run, grid)
    return _drive(_Sweep(run, names, tasks, grid, workspace), console)


@dataclass(frozen=True)
class Watched:
    """A sweep under way: what shows it to a person, and what it cannot go on without."""

    run: Run
    console: SweepConsole
    head: Head

    def until(self, done: threading.Event) -> None:
        """Show what happens until `done` is set.

        Raises:
            LostServiceError: Ray's head is gone.
        """
        follow(self.run, self.console, done, self.head.check)


@dataclass(frozen=True)
class _Sweep:
    """Everything a start of a sweep works with."""

    run: Run
    names: SweepNames
    tasks: Mapping[str, Task]
    grid: SweepGrid
    workspace: Workspace
    cells: tuple[Cell, ...] = ()

    def known(self) -> _Sweep:
        """Return the sweep with the cells whose settings are known by now; all are kept."""
        chosen = chosen_settings(self.grid.searches, self.workspace)
        cells = self.grid.cells(chosen)
        if self.grid.searches and not self.searching():
            settle_cells(self.run, cells)
        return replace(self, cells=cells)

    def searching(self) -> tuple[SearchPlan, ...]:
        """Return the searches that have not chosen yet."""
        store = SearchStore(self.workspace)
        return tuple(s for s in self.grid.searches if not store.finished(s.fingerprint))

    def session(self) -> contextlib.AbstractContextManager[Head]:
        """Return a Ray session, or nothing when nothing has to be computed."""
        if self.missing() or self.searching():
            return session(pool_size(self.names.spec.compute))
        return contextlib.nullcontext(Head())

    def job(self, cells: tuple[Cell, ...]) -> TrialJob:
        """Return the trial of some cells; only a fine-tuning job keeps its model."""
        keeps = self.run.header.kind == "finetune"
        return TrialJob(
            cells,
            self.run.path,
            self.workspace,
            self.names.spec.compute.threads_per_worker,
            self.run.path / "models" if keeps else None,
        )

    def missing(self) -> tuple[Cell, ...]:
        """Return the cells that have no result yet."""
        job = self.job(self.cells)
        return tuple(cell for cell in self.cells if not job.finished(cell))


def _drive(sweep: _Sweep, console: SweepConsole) -> Run:
    """Own the run, run what is missing, report, and say how it ended.

    Raises:
        LockedError: another process drives it.
        PartialSweepError: cells failed; the others are kept and reported.
        InterruptedRunError: it was stopped and can be resumed.
        LostServiceError: Ray's head died; the sweep can be resumed.
    """
    began = time.monotonic()
    run = sweep.run
    with run.own() as before, StopSignal(run) as signals:
        end_predecessor(run, before)
        clear_ray_results(run)
        mirror = mirrored(run, sweep.workspace, console.say)
        with mirror, run.open_writer("driver") as ledger:
            close_killed(sweep.workspace, run)
            sweep = sweep.known()
            console.planned(sweep.cells)
            _begin(sweep, ledger)
            with last_word(run, ledger, signals), sweep.session() as head:
                signals.renew()
                sweep = _run(sweep, ledger, Watched(run, console, head))
            _close(sweep, ledger, console, signals)
            seconds = round(time.monotonic() - began, 3)
            ledger.append("finished", {"cells": len(sweep.cells), "seconds": seconds})
            clear_ray_results(run)
    return run


def _close(sweep: _Sweep, ledger: LedgerWriter, console: SweepConsole, signals: StopSignal) -> None:
    """Report what there is.

    Raises:
        InterruptedRunError: it was asked to stop before all was done.
        PartialSweepError: cells have no result.
    """
    run, missing = sweep.run, sweep.missing()
    if (missing or sweep.searching()) and run.stop_requested():
        ledger.append("interrupted", {"step": 0, "signal": signals.name})
        raise interruption(run, signals.name)
    _report(sweep, console)
    if missing:
        partial = shortfall(run, missing)
        ledger.append("failed", {"error": str(partial), "code": partial.code})
        raise partial


def _begin(sweep: _Sweep, ledger: LedgerWriter) -> None:
    """Record the start and every cell that has a result already."""
    todo = {cell.fingerprint for cell in sweep.missing()}
    found = sorted({cell.fingerprint for cell in sweep.cells} - todo)
    ledger.append(
        "started",
        {
            "segment": ledger.segment,
            "cells": len(sweep.grid.asked),
            "finished": len(found),
            "workers": pool_size(sweep.names.spec.compute),
        },
    )
    announced(sweep.run, sweep.names, ledger.append)
    _reuse(sweep, found, ledger)


def _reuse(sweep: _Sweep, found: list[str], ledger: LedgerWriter) -> None:
    store = CellStore(sweep.workspace)
    for name in found:
        metrics = store.get(name).metrics
        ledger.append("cell", {**metrics, "cell": name, "seconds": 0.0, "reused": True})


def _run(sweep: _Sweep, ledger: LedgerWriter, watched: Watched) -> _Sweep:
    """Search, then run the cells without a result; return the sweep with all cells known."""
    searches, waiting = sweep.searching(), sweep.missing()
    needed = (*waiting, *(plan.base for plan in searches))
    if not needed:
        return sweep
    materials = prepare(sweep.names, sweep.tasks, needed, ledger.append)
    if searches:
        sweep = _search(sweep, materials, ledger, watched)
        if sweep.searching():
            return sweep
        waiting = sweep.missing()
    jobs = tuple(sweep.job(cells) for cells in trials(waiting).values())
    if jobs:
        pool = _pool(sweep, "cells", ledger)
        run_trials(jobs, materials, pool, ledger.append, watched.until)
    return sweep


def _search(sweep: _Sweep, materials: Materials, ledger: LedgerWriter, watched: Watched) -> _Sweep:
    """Run the searches; return the sweep with the cells that they made known."""
    metrics = {name: task.metric for name, task in sweep.tasks.items()}
    stage = SearchStage(sweep.run, sweep.workspace, metrics, _pool(sweep, "search", ledger))
    known = {cell.fingerprint for cell in sweep.cells}
    run_searches(stage, sweep.searching(), materials, ledger.append, watched.until)
    sweep = sweep.known()
    watched.console.planned(sweep.cells)
    todo = {cell.fingerprint for cell in sweep.missing()}
    _reuse(sweep, sorted({cell.fingerprint for cell in sweep.cells} - todo - known), ledger)
    return sweep


def _pool(sweep: _Sweep, stage: str, ledger: LedgerWriter) -> TrialPool:
    compute = sweep.names.spec.compute
    return TrialPool(
        pool_size(compute),
        compute.threads_per_worker,
        compute.gpu_fraction if this_machine().gpus else 0.0,
        sweep.run.path / "ray" / stage,
        ledger.segment,
    )


def _report(sweep: _Sweep, console: SweepConsole) -> None:
    from gfmp.cluster.sweep_report import report

    paths = report(sweep.run, sweep.workspace)
    page = next(path for path in paths if path.suffix == ".html")
    console.say(f"report: {page}")


def _tasks(names: SweepNames, workspace: Workspace, console: SweepConsole) -> dict[str, Task]:
    store = TaskStore(workspace)
    for target in names.unprepared(workspace):
        console.say(f"preparing task {target.name}")
    return prepared(names.every, names.pools, store)


def _bound(names: SweepNames, tasks: Mapping[str, Task]) -> SweepGrid:
    """Bind the cells, so that a subset that cannot be drawn is told before Ray starts."""
    grid = bind_grid(names, tasks, lambda f, v: foreign_ingredient(names, f, v))
    grid.cells({})
    return grid


def _create(job: SweepJob, names: SweepNames, grid: SweepGrid) -> Run:
    cells = grid.cells({})
    identity = fingerprint(_identities(cells, grid.searches))
    plan: dict[str, object] = {
        "format_version": 1,
        "name": job.spec.name,
        "what_fingerprint": identity,
        "cells": [cell.to_json() for cell in cells],
        **said(job.spec),
    }
    if names.decisions:
        plan[ADVICE] = [decision.to_json() for decision in names.decisions]
    if grid.searches:
        plan["searches"] = [search.to_json() for search in grid.searches]
    pinned = {name: model.run_id for name, model in names.pretrained.items()}
    inputs: dict[str, object] = {
        "format_version": 1,
        "job_path": str(job.document.path.resolve()),
        "pretrained": pinned,
    }
    new = NewRun(
        name=job.spec.name,
        kind=job.kind,
        seed=job.spec.seeds[0],
        what_fingerprint=identity,
        spec=job.text,
        plan=plan,
        command_line=job.command_line,
    )
    store = RunStore(job.workspace)
    return store.create(new, lambda folder: write_json(folder / _INPUTS, inputs))


def _identities(cells: tuple[Cell, ...], searches: tuple[SearchPlan, ...]) -> list[str]:
    return [*(cell.fingerprint for cell in cells), *(plan.fingerprint for plan in searches)]


def _check_complete(names: SweepNames) -> None:
    if names.missing:
        raise MissingInputError.of(names.missing)


def _check_finetuning(names: SweepNames, document: Document) -> None:
    kind = names.learners[0].learner.kind
    if kind != "finetune":
        raise SpecError(
            f"learner: a {kind} leaves no fine-tuned model",
            where=document.where(("learner",)),
            why="a job of kind finetune trains an encoder and keeps it",
            fix="name a preset of kind finetune, or compare learners in a sweep",
        )


def _check_same(run: Run, grid: SweepGrid) -> None:
    planned = _identities(listed_cells(run), planned_searches(run))
    asked = _identities(grid.cells({}), grid.searches)
    if planned == asked:
        return
    old, new = set(planned), set(asked)
    raise SpecError(
        f"{len(new - old)} of {len(asked)} cells are no longer those of the sweep",
        where=str(run.path),
        why="a task, a preset, an initial model or the numerics of gfmp changed since it began",
        fix=f"start it anew with `{run.repeat_command}`: unchanged cells are not run again",
    )
