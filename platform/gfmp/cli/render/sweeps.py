"""Sweeps: the plan, one line of progress, the end, the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gfmp.cli.render.text import as_json, counted, duration, echo, table, wrapped
from gfmp.cluster.advising import candidates, undecided
from gfmp.cluster.sweep_inputs import SweepNames
from gfmp.ledger.cells import CellStore
from gfmp.ledger.run import Run
from gfmp.ledger.sweep import SweepBook
from gfmp.plan.cells import Cell
from gfmp.plan.grid import CellRequest
from gfmp.plan.search import epochs, search_key
from gfmp.spec.learner import Finetuning
from gfmp.spec.sweep import AUTO, SCRATCH
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
                "num_searches": len(_searched(asked)),
                "tasks": [target.name for target in names.every],
                "unprepared": [target.name for target in names.unprepared(workspace)],
                "missing": [problem.message for problem in names.missing],
                "undecided": [list(question) for question in undecided(names)],
                "cells": [cell.to_json() for cell in cells],
            }
        )
        return
    cells_asked, num_trials = counted(len(asked), "cell"), counted(_num_trials(asked), "trial")
    echo(f"sweep {names.spec.name}: {cells_asked} in {num_trials}")
    echo()
    rows = [(arm, task, count, f"{num:,}") for (arm, task, count), num in _by_arm(asked).items()]
    table(("MODEL", "TASKS", "LABEL PERCENTS", "CELLS"), rows)
    echo()
    seeds = ", ".join(map(str, names.spec.seeds))
    echo(wrapped(f"Seeds {seeds}: each draws its own nested subsets, heads and row order.", 2))
    for line in (*_search_lines(asked), *_advice_lines(names), *_transfer_lines(names)):
        echo(wrapped(line, 2))
    if cells:
        echo(f"{finished:,} of {len(asked):,} cells are finished and will not run again.")
    for target in names.unprepared(workspace):
        echo(wrapped(f"to be prepared: task {target.name} from {target.where}", 2))
    for problem in names.missing:
        echo(wrapped(f"missing: {problem.message} ({problem.where}); {problem.fix}", 2))


def _searched(asked: Sequence[CellRequest]) -> dict[tuple[object, ...], CellRequest]:
    """Return the first request of each search."""
    found: dict[tuple[object, ...], CellRequest] = {}
    for request in asked:
        if request.search is not None:
            found.setdefault(search_key(request), request)
    return found


def _advice_lines(names: SweepNames) -> list[str]:
    """Say what is decided when the sweep starts."""
    lines = []
    for task, initial in undecided(names):
        known = ", ".join(candidates(names, initial)) or "the vocabularies that will be there"
        signal = "the words they share with the task" if initial == SCRATCH else "a frozen probe"
        lines.append(
            f"{AUTO} for {task} from {initial}: one of {known}, decided at the start by {signal}; "
            "a cell that is asked for by name too is run once."
        )
    return lines


def _transfer_lines(names: SweepNames) -> list[str]:
    """Say which models are scored on other tasks, and which part of the paper this is."""
    lines = [
        f"What is learned from {source} is scored on {', '.join(others)} too."
        for source, others in names.others().items()
    ]
    paper = names.spec.paper
    if paper is not None:
        lines.append(f"The kind of {paper.figure} of Ye et al., Genomics-FM.")
        stand_ins = paper.stand_ins.items()
        lines += [f"Not the paper's data: {task} stands in for {what}." for task, what in stand_ins]
    return lines


def _search_lines(asked: Sequence[CellRequest]) -> list[str]:
    """Say what is searched, one line for each model."""
    lines: dict[str, int] = {}
    for request in _searched(asked).values():
        search = request.search
        assert search is not None, "only searched requests are kept"
        halved = search.halving and epochs(request.learner) > 1
        how = "ASHA, compared on validation" if halved else "compared on validation"
        line = (
            f"{_model(request)}: {search.samples} settings of {', '.join(search.space)} "
            f"tried per task x model x label percent, {how}"
        )
        lines[line] = lines.get(line, 0) + 1
    return [f"{line}: {number:,} searches before the cells." for line, number in lines.items()]


def _num_trials(asked: Sequence[CellRequest]) -> int:
    baselines = ("" if request.initial else request.learner.kind for request in asked)
    keys = ((r.task, r.vocabulary, r.initial) for r in asked)
    return len(set(zip(keys, baselines, strict=True)))


def _by_arm(asked: Sequence[CellRequest]) -> dict[tuple[str, str, str], int]:
    """Count the cells of each model, over its tasks and label percents."""
    models: dict[str, list[CellRequest]] = {}
    for request in asked:
        models.setdefault(_model(request), []).append(request)
    found: dict[tuple[str, str, str], int] = {}
    for model, of_model in models.items():
        tasks = Counter(request.task for request in of_model)
        percents = sorted({request.label_percent for request in of_model})
        shown = ", ".join(f"{percent:g}" for percent in percents)
        if len(shown) > 24:
            shown = f"{percents[0]:g} to {percents[-1]:g} ({len(percents)})"
        found[model, str(len(tasks)), shown] = len(of_model)
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
        *_scores(run),
        *(f"  the model:       {model}" for model in models),
        f"  the report:      {run.path / 'report' / 'report.html'}",
        "  look at it:      gfmp ui",
        f"  do it again:     {run.repeat_command}",
    )


def _scores(run: Run) -> tuple[str, ...]:
    """Return the test scores of a job of one cell; a sweep has a report instead."""
    if run.header.kind != "finetune":
        return ()
    fields = run.events("cell")[-1].fields
    scores = "  ".join(
        f"{name.removeprefix('test/')} {value:.3f}"
        for name, value in fields.items()
        if name.startswith("test/") and isinstance(value, float)
    )
    return (f"test: {scores}",)


def show_report(paths: Sequence[Path], json: bool) -> None:
    """Print where the parts of a report are."""
    if json:
        as_json([str(path) for path in paths])
        return
    for path in paths:
        echo(str(path))
