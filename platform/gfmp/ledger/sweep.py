"""The state of a sweep, read from its run folder: planned cells, progress, results, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.cells import CellResult, CellStore
from gfmp.ledger.events import LIFECYCLE_KINDS, Event
from gfmp.ledger.run import Run
from gfmp.plan.cells import Cell
from gfmp.plan.search import SearchPlan
from gfmp.storage.atomic import read_json, write_json

RECENT_ERRORS = 5
CELLS_FILE = "cells.json"


@dataclass(frozen=True)
class Counts:
    """How many cells are in which state.

    Attributes:
        total: Planned cells.
        done: Cells with a result, the reused ones among them.
        reused: Cells whose result was there before this run came to them.
        running: Cells that a worker computes now.
        failed: Cells whose last attempt failed.
    """

    total: int = 0
    done: int = 0
    reused: int = 0
    running: int = 0
    failed: int = 0

    @property
    def waiting(self) -> int:
        """Cells that nothing happened to yet."""
        return self.total - self.done - self.running - self.failed


@dataclass(frozen=True)
class CellState:
    """What the ledger says about one cell.

    Attributes:
        state: `waiting`, `running`, `done` or `failed`.
        since: Unix time in seconds of the last event about the cell; 0.0 before one.
        seconds: What a finished cell took; 0.0 when it was reused.
        reused: True when this run did not compute the result itself.
        error: Why the last attempt that failed did; empty when none did.
        began: Unix time in seconds at which its last computation began; 0.0 before one did.
    """

    state: str = "waiting"
    since: float = 0.0
    seconds: float = 0.0
    reused: bool = False
    error: str = ""
    began: float = 0.0


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Attributes:
        counts: Of all cells.
        models: The same for each `Cell.model`, in the order of the plan.
        running: Cells that are computed now, with the unix time at which they began.
        errors: Cells that failed last and why, newest first; at most `RECENT_ERRORS`.
        started: Unix time in seconds at which the sweep first started; 0.0 before.
        seconds: What each cell took that this run computed and timed, by fingerprint.
    """

    counts: Counts
    models: Mapping[str, Counts]
    running: tuple[tuple[Cell, float], ...]
    errors: tuple[tuple[Cell, str], ...]
    started: float
    seconds: Mapping[str, float]


class SweepBook:
    """Folds the events of a sweep, in the order they were written, into its progress.

    Equal cells of a plan (one subset under two percentages) are computed once and change state
    together. A new start of the run forgets what was running, because its driver is gone.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        """Start with every cell of the plan waiting."""
        self._cells = tuple(cells)
        self._states = {cell.fingerprint: CellState() for cell in cells}
        self._started = 0.0

    def add(self, events: Iterable[Event]) -> None:
        """Take in more events; cells that were not planned are left out."""
        for event in events:
            if event.kind in LIFECYCLE_KINDS:
                self._turn(event)
            else:
                self._change(event)

    def state(self, fingerprint: str) -> CellState:
        """Return what is known about a planned cell."""
        return self._states[fingerprint]

    def _turn(self, event: Event) -> None:
        if event.kind == "started":
            self._started = self._started or event.time
        for name, old in self._states.items():
            if old.state == "running":
                self._states[name] = replace(old, state="failed" if old.error else "waiting")

    def _change(self, event: Event) -> None:
        name = str(event.fields.get("cell", ""))
        old = self._states.get(name)
        if old is None or old.state == "done":
            return
        if event.kind == "cell_started":
            again = replace(old, state="running", since=event.time, began=event.time)
            self._states[name] = again
        elif event.kind == "cell_failed":
            error = str(event.fields.get("error", "unknown"))
            self._states[name] = replace(old, state="failed", since=event.time, error=error)
        elif event.kind == "cell":
            self._states[name] = _done(event, old)

    def progress(self) -> SweepProgress:
        """Return the progress as of the last event."""
        states = self._states
        unique = {cell.fingerprint: cell for cell in self._cells}
        failed = [(states[c.fingerprint], c) for c in unique.values()]
        failed = [item for item in failed if item[0].state == "failed"]
        failed.sort(key=lambda item: item[0].since, reverse=True)
        models: dict[str, list[Cell]] = {}
        for cell in self._cells:
            models.setdefault(cell.model, []).append(cell)
        return SweepProgress(
            counts=self._counts(self._cells),
            models={model: self._counts(cells) for model, cells in models.items()},
            running=tuple(
                (cell, states[name].since)
                for name, cell in unique.items()
                if states[name].state == "running"
            ),
            errors=tuple((cell, state.error) for state, cell in failed[:RECENT_ERRORS]),
            started=self._started,
            seconds={
                name: state.seconds
                for name, state in states.items()
                if state.state == "done" and state.seconds > 0.0
            },
        )

    def _counts(self, cells: Sequence[Cell]) -> Counts:
        states = [self._states[cell.fingerprint] for cell in cells]
        number = Counter(state.state for state in states)
        return Counts(
            total=len(states),
            done=number["done"],
            reused=sum(state.reused for state in states),
            running=number["running"],
            failed=number["failed"],
        )

    def failures(self) -> dict[str, str]:
        """Return the newest error of each cell that failed and has no result, by fingerprint."""
        states = self._states.items()
        return {name: s.error for name, s in states if s.error and s.state != "done"}

    def unfinished(self) -> tuple[Cell, ...]:
        """Return the cells that still have to be computed, each once, failed ones left out."""
        unique = {cell.fingerprint: cell for cell in self._cells}
        open_states = ("waiting", "running")
        return tuple(c for n, c in unique.items() if self._states[n].state in open_states)

    def remaining_seconds(self, now: float) -> float | None:
        """Return how long the rest will take; None before a cell was computed.

        Args:
            now: Unix time in seconds.
        """
        progress = self.progress()
        unique = {cell.fingerprint: cell for cell in self._cells}
        known = [(unique[name], took) for name, took in progress.seconds.items()]
        spent = sum(max(0.0, now - since) for _, since in progress.running)
        return remaining_seconds(self.unfinished(), known, Pace(len(progress.running), spent))


def _done(event: Event, old: CellState) -> CellState:
    found = event.fields.get("reused") is True
    seconds = event.fields.get("seconds")
    took = float(seconds) if isinstance(seconds, (int, float)) and not found else 0.0
    # A driver may be killed between the result and this event; the next start finds the result.
    return CellState("done", event.time, took, found and not old.began, began=old.began)


@dataclass(frozen=True)
class Pace:
    """How the cells of a sweep are being computed.

    Attributes:
        at_once: Cells that are computed at the same time; 0 counts as 1.
        spent_seconds: What the running ones took so far, together.
    """

    at_once: int
    spent_seconds: float = 0.0


def remaining_seconds(
    unfinished: Sequence[Cell], finished: Sequence[tuple[Cell, float]], pace: Pace
) -> float | None:
    """Return about how long `unfinished` cells will take; None when nothing was measured.

    A cell is taken to last as long as the mean of the finished cells of its method and label
    percentage; without one as those of its method, and without one as all of them.

    Args:
        unfinished: Cells without a result, the running ones among them.
        finished: Computed cells and the seconds each took.
        pace: How many run at once.
    """
    if not finished:
        return None
    groups: dict[tuple[object, ...], list[float]] = {}
    for cell, seconds in finished:
        for key in _alike(cell):
            groups.setdefault(key, []).append(seconds)
    means = {key: fmean(values) for key, values in groups.items()}
    work = sum(next(means[key] for key in _alike(cell) if key in means) for cell in unfinished)
    return max(0.0, work - pace.spent_seconds) / max(1, pace.at_once)


def _alike(cell: Cell) -> tuple[tuple[object, ...], ...]:
    return ((cell.method, cell.label_percent), (cell.method,), ())


def planned_cells(run: Run) -> tuple[Cell, ...]:
    """Return the cells of a sweep or fine-tuning run, in the order of its plan.

    Where settings are searched first, cells that need them are in it once all are chosen.

    Raises:
        CorruptArtefactError: the plan was changed: it is not a plan of cells, or a cell is not
            the one its fingerprint names.
    """
    path = run.path / CELLS_FILE
    return _read_cells(run, read_json(path)) if path.is_file() else listed_cells(run)


def listed_cells(run: Run) -> tuple[Cell, ...]:
    """Return the cells that were known before anything was searched, in the order of the plan.

    Raises:
        CorruptArtefactError: see `planned_cells`.
    """
    return _read_cells(run, run.plan_json())


def _read_cells(run: Run, body: Mapping[str, object]) -> tuple[Cell, ...]:
    listed = body.get("cells")
    if not isinstance(listed, list):
        raise _changed(run, "the plan has no list of cells")
    return tuple(_planned(run, number, value) for number, value in enumerate(listed))


def planned_searches(run: Run) -> tuple[SearchPlan, ...]:
    """Return the searches that a sweep begins with; none for most.

    Raises:
        CorruptArtefactError: the plan was changed.
    """
    listed = run.plan_json().get("searches", [])
    if not isinstance(listed, list):
        raise _changed(run, "its searches are no list")
    try:
        return tuple(SearchPlan.from_json(value) for value in listed)
    except (AttributeError, KeyError, ValueError) as fault:
        first = next(iter(str(fault).splitlines()), "unreadable")
        raise _changed(run, f"searches: {first}") from fault


def cells_settled(run: Run) -> bool:
    """Return True when all cells of a sweep are known: nothing is left to be searched."""
    return (run.path / CELLS_FILE).is_file() or not run.plan_json().get("searches")


def settle_cells(run: Run, cells: Sequence[Cell]) -> None:
    """Keep the cells of a sweep whose settings were searched; the first list stays.

    The plan itself, written before the search, never changes.
    """
    path = run.path / CELLS_FILE
    if not path.is_file():
        listed = [cell.to_json() for cell in cells]
        write_json(path, {"format_version": 1, "cells": listed})


def _planned(run: Run, number: int, value: object) -> Cell:
    if not isinstance(value, dict):
        raise _changed(run, f"cells.{number}: it is no JSON object")
    try:
        cell, stored = Cell.from_json(value), value["fingerprint"]
    except (KeyError, ValueError) as fault:
        first = next(iter(str(fault).splitlines()), "unreadable")
        raise _changed(run, f"cells.{number}: {first}") from fault
    if cell.fingerprint != stored:
        told = f"{str(stored)[:12]}, but its content is {cell.fingerprint[:12]}"
        raise _changed(run, f"cells.{number}: its fingerprint is {told}")
    return cell


def _changed(run: Run, message: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        message,
        where=str(run.plan_path),
        why="a plan never changes, and this one was edited",
        fix="restore plan.json, or start the sweep anew; finished cells are not run again",
    )


@dataclass(frozen=True)
class SweepResults:
    """What the cell store has of a sweep.

    Attributes:
        finished: Planned cells with their results, in the order of the plan.
        unfinished: Planned cells without one.
    """

    finished: tuple[tuple[Cell, CellResult], ...] = field(repr=False)
    unfinished: tuple[Cell, ...]


def results_of(run: Run, store: CellStore) -> SweepResults:
    """Return which cells of a sweep have results, whichever run computed them.

    Raises:
        CorruptArtefactError: the plan was changed, or a result is not as it was written.
    """
    cells = planned_cells(run)
    have = {cell.fingerprint: store.finished(cell.fingerprint) for cell in cells}
    return SweepResults(
        finished=tuple((c, store.get(c.fingerprint)) for c in cells if have[c.fingerprint]),
        unfinished=tuple(cell for cell in cells if not have[cell.fingerprint]),
    )


def failures_of(run: Run) -> Mapping[str, str]:
    """Return the error of each cell that failed and has not succeeded since, by fingerprint.

    Raises:
        CorruptArtefactError: the plan or the ledger was changed.
    """
    return book_of(run).failures()


def unended_starts(run: Run, fingerprint: str) -> int:
    """Return how often a cell was begun and not ended since the sweep was last started."""
    number = 0
    for event in run.events("started", "cell_started", "cell_failed", "cell"):
        if event.kind == "started":
            number = 0
        elif event.fields.get("cell") == fingerprint:
            number = number + 1 if event.kind == "cell_started" else 0
    return number


def book_of(run: Run) -> SweepBook:
    """Return the book of everything the ledger of a sweep says so far.

    Raises:
        CorruptArtefactError: the plan or the ledger was changed.
    """
    book = SweepBook(planned_cells(run))
    book.add(run.contents().events)
    return book
