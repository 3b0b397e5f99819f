"""Sweeps with real plans, ledgers and cell results, as their driver leaves them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from gfmp.ledger.cells import CellResult, CellStore
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.ledger.writer import LedgerWriter
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import AnyLearner, Finetuning, KmerBaseline, Probe
from gfmp.storage.workspace import Workspace

PROBE, FULL, KMER = Probe(kind="probe"), Finetuning(kind="finetune"), KmerBaseline(kind="kmer")


def cell_of(learner: AnyLearner, percent: float, seed: int) -> Cell:
    alone = isinstance(learner, KmerBaseline)
    return Cell(
        task=Ingredient("yeast_coding", "1" * 64),
        vocabulary=Ingredient() if alone else Ingredient("bpe4096", "2" * 64),
        initial=Ingredient() if alone else Ingredient("demo", "3" * 64),
        learner=learner,
        label_percent=percent,
        seed=seed,
        subset=f"{percent:g}-{seed}",
        num_rows=int(20 * percent),
    )


CELLS = tuple(cell_of(x, p, s) for x in (PROBE, FULL, KMER) for p in (3.0, 10.0) for s in (0, 1))


def result_of(cell: Cell) -> CellResult:
    validations = ({"step": 1.0, "loss": 0.7, "valid/mcc": 0.3}, {"step": 2.0, "valid/mcc": 0.2})
    return CellResult(
        cell=cell.fingerprint,
        metrics={"test/mcc": cell.label_percent / 100 + cell.seed, "valid/mcc": 0.3},
        facts={"seconds": 2.0, "collapsed": cell.seed == 1, "attempts": 2},
        test_predictions=np.full((4, 2), 0.5, dtype=np.float32),
        history=validations if cell.method == "full" else (),
    )


def sweep_of(workspace: Workspace, cells: Sequence[Cell], name: str = "efficiency") -> Run:
    plan = {"format_version": 1, "name": name, "cells": [cell.to_json() for cell in cells]}
    spec = f"kind: sweep\nname: {name}\n".encode()
    command = ("gfmp", "sweep", "specs/efficiency.yaml")
    return RunStore(workspace).create(NewRun(name, "sweep", 0, "5e" * 32, spec, plan, command))


def compute(workspace: Workspace, driver: LedgerWriter, cells: Sequence[Cell]) -> None:
    """Do what the driver of a sweep does about cells; a stored result is reused."""
    store = CellStore(workspace)
    for cell in cells:
        reused = store.finished(cell.fingerprint)
        if not reused:
            driver.append("cell_started", {"cell": cell.fingerprint, "model": cell.model})
            store.put(result_of(cell), cell.to_json())
        word = {"cell": cell.fingerprint, "seconds": 2.0, "reused": reused}
        driver.append("cell", word)


@contextmanager
def driven(run: Run) -> Iterator[LedgerWriter]:
    with run.own(), run.open_writer("driver") as driver:
        driver.append("started", {"cells": len(CELLS), "finished": 0})
        yield driver
