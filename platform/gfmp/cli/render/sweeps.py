"""Sweeps: the plan, one line of progress, the end, the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gfmp.cli.render.text import as_json, duration, echo, table, wrapped
from gfmp.cluster.sweep_inputs import SweepNames
from gfmp.ledger.cells import CellStore
from gfmp.ledger.run import Run
from gfmp.ledger.sweep import SweepBook
from gfmp.plan.cells import Cell
from gfmp.plan.grid import CellRequest
from gfmp.spec.learner import Finetuning
from gfmp.storage.workspace import Workspace


def show_sweep_plan(
    names: SweepNames, cells: tuple[Cell, ...], workspace: Workspace, json: bool
) -> None:
    """Print what a sweep would run.

    Args:
        names: The sweep.
        cells: Its cells; empty while something they depend on is not made yet.
        workspace: Holds finished cells.
        json: Print JSON.
    """
    asked = names.requests()
    store = CellStore(workspace)
    finished = sum(store.finished(cell.fingerprint) for cell in cells)
    if json:
        as_json(
            {
                "name": names.spec.name,
                "num_cells": len(asked),
                "num_finished": finished if cells else None,
                "tasks": [target.name for target in names.targets],
                "unprepared": [target.name for target in names.unprepared(workspace)],
                "missing": [problem.message for problem in names.missing],
                "cells": [cell.to_json() for cell in cells],
            }
        )
        return
    echo(f"sweep {names.spec.name}: {len(asked):,} cells in {_num_trials(asked)} trials")
    echo()
    rows = [(arm, task, count, f"{num:,}") for (arm, task, count), num in _by_arm(asked).items()]
    table(("MODEL", "TASKS", "LABEL PERCENTS", "CELLS"), rows)
    echo()
    seeds = ", ".join(map(str, names.spec.seeds))
    echo(wrapped(f"Seeds {seeds}: each draws its own nested subsets, heads and row order.", 2))
    if cells:
        echo(f"{finished:,} of {len(cells):,} cells are finished and will not run again.")
    for target in names.unprepared(workspace):
        echo(wrapped(f"to be prepared: task {target.name} from {target.where}", 2))
    for problem in names.missing:
        echo(wrapped(f"missing: {problem.message} ({problem.where}); {problem.fix}", 2))


def _num_trials(asked: Sequence[CellRequest]) -> int:
    return len({(r.task, r.vocabulary, r.initial, "" if r.initial else r.arm) for r in asked})


def _by_arm(asked: Sequence[CellRequest]) -> dict[tuple[str, str, str], int]:
    """Count the cells of each model, over its tasks and label percents."""
    models: dict[str, list[CellRequest]] = {}
    for request in asked:
        models.setdefault(_model(request), []).append(request)
    found: dict[tuple[str, str, str], int] = {}
    for model, group in models.items():
        tasks = Counter(request.task for request in group)
        percents = sorted({request.label_percent for request in group})
        shown = ", ".join(f"{percent:g}" for percent in percents)
        if len(shown) > 24:
            shown = f"{percents[0]:g} to {percents[-1]:g} ({len(percents)})"
        found[model, str(len(tasks)), shown] = len(group)
    return found


def _model(request: CellRequest) -> str:
    learner = request.learner
    method = learner.method if isinstance(learner, Finetuning) else learner.kind
    return " / ".join(filter(None, (method, request.vocabulary, request.initial)))


def progress_line(book: SweepBook, now: float) -> str:
    """Return how far a sweep is at the unix time `now`, in one line."""
    counts = book.progress().counts
    parts = [f"{counts.done}/{counts.total} cells done"]
    if counts.reused:
        parts.append(f"{counts.reused} of them before")
    if counts.running:
        parts.append(f"{counts.running} running")
    if counts.failed:
        parts.append(f"{counts.failed} failed")
    left = book.remaining_seconds(now)
    if left is not None and counts.done < counts.total:
        parts.append(f"about {duration(left)} left")
    return ", ".join(parts)


def outcome_lines(run: Run) -> tuple[str, ...]:
    """Return how a sweep ended and what to do next."""
    ended = run.lifecycle()[-1]
    seconds = ended.fields.get("seconds", 0.0)
    assert isinstance(seconds, int | float), "the ledger stores seconds as a number"
    models = sorted((run.path / "models").glob("*"))
    return (
        f"{run.header.kind} {run.id} {ended.kind} in {duration(seconds)}",
        *(f"  the model:       {model}" for model in models),
        f"  the report:      {run.path / 'report' / 'report.html'}",
        "  look at it:      gfmp ui",
        f"  do it again:     {run.repeat_command}",
    )


def show_report(paths: Sequence[Path], json: bool) -> None:
    """Print where the parts of a report are."""
    if json:
        as_json([str(path) for path in paths])
        return
    for path in paths:
        echo(str(path))
