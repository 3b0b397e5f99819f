"""A sweep that lacks results says of which cells, and why."""

from __future__ import annotations

from pathlib import Path

from gfmp.cluster.shortfall import shortfall
from gfmp.cluster.tuning import MOST_DEATHS, _listener
from gfmp.errors import PartialSweepError
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import KmerBaseline
from gfmp.storage.workspace import Workspace


def cell_of(percent: float) -> Cell:
    """Return a cell of the k-mer baseline."""
    learner = KmerBaseline(kind="kmer")
    task, none = Ingredient("gc", "1" * 64), Ingredient()
    return Cell(task, none, none, learner, percent, 3, f"{percent:g}", int(percent))


def sweep_of(folder: Path, cells: list[Cell]) -> Run:
    """Return a sweep of these cells that has not begun."""
    plan: dict[str, object] = {"format_version": 1, "cells": [cell.to_json() for cell in cells]}
    new = NewRun("grid", "sweep", 0, "0" * 64, b"kind: sweep\n", plan, ("gfmp", "sweep"))
    return RunStore(Workspace(folder)).create(new)


def test_every_cell_without_a_result_is_named(tmp_path: Path) -> None:
    cells = [cell_of(percent) for percent in (1.0, 10.0, 100.0)]
    run = sweep_of(tmp_path, cells)
    with run.open_writer("driver") as ledger:
        ledger.append("started", {"segment": 0})
        ledger.append("cell_failed", {"cell": cells[0].fingerprint, "error": "out of memory"})
    error = shortfall(run, [cells[0], cells[2], cells[0]])
    assert isinstance(error, PartialSweepError) and error.exit_status == 3
    first, second = error.problems
    assert first.message == "2 cells have no result: kmer on gc at 1 %, seed 3: out of memory"
    assert first.fix == f"gfmp sweep --resume {run.id} tries them again"
    assert second.message == "kmer on gc at 100 %, seed 3: its worker died"
    alone = shortfall(run, [cells[2]])
    assert alone.problems[0].message.startswith("1 cell has no result: kmer on gc at 100 %")


class _Trial:
    """What Ray Tune knows of a trial."""

    def __init__(self) -> None:
        self.num_failures = 0
        self.max_failures = MOST_DEATHS


def test_the_budget_of_a_trial_refills_with_every_cell() -> None:
    told: list[str] = []
    listener, trial = _listener(lambda kind, fields: told.append(kind)), _Trial()
    for kind, failures, allowed in (
        ("cell_started", 3, MOST_DEATHS),
        ("cell", 3, 3 + MOST_DEATHS),
        ("cell_started", 9, 3 + MOST_DEATHS),
        ("cell_failed", 12, 12 + MOST_DEATHS),
    ):
        trial.num_failures = failures
        listener.on_trial_result(1, [], trial, {"kind": kind, "fields": {}})
        assert trial.max_failures == allowed
    listener.on_trial_result(1, [], trial, {"done": True})
    assert told == ["cell_started", "cell", "cell_started", "cell_failed"]
