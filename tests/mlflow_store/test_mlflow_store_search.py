"""The settings a search tried are children of their sweep, told apart from its cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweep_examples import FULL, KMER, cell_of, compute, driven

from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.searches import SearchStore
from gfmp.ledger.store import RunStore
from gfmp.ledger.sweep import planned_cells, settle_cells
from gfmp.mlflow_store.cells import axis_tags, child_key
from gfmp.mlflow_store.samples import sample_child, samples_of
from gfmp.mlflow_store.sweeps import SweepMirror
from gfmp.plan.search import SearchOutcome, SearchPlan, Tried, choice
from gfmp.spec.sweep import Search, Values
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

RATES = {"learning_rate": Values(low=1e-5, high=1e-2)}
PLAN = SearchPlan(Search(space=RATES, samples=4), cell_of(FULL, 3.0, 0))
BASELINE = cell_of(KMER, 3.0, 0)


def _outcome() -> SearchOutcome:
    names = [cell.fingerprint for cell in PLAN.samples]
    tried = (
        Tried(names[0], 0.3, (0.1, 0.3), stopped=True),
        Tried(names[1], 0.5, (-math.inf, 0.5, 0.4)),
        Tried(names[2], -math.inf, error="the loss was not finite"),
        Tried(names[3], 0.2, (0.2,)),
    )
    return SearchOutcome(PLAN.fingerprint, tried, *choice(tried), "mcc")


def _run(workspace: Workspace) -> Run:
    plan = {
        "format_version": 1,
        "name": "searched",
        "cells": [BASELINE.to_json()],
        "searches": [PLAN.to_json()],
    }
    command = ("gfmp", "sweep", "specs/searched.yaml")
    new = NewRun("searched", "sweep", 0, "5e" * 32, b"kind: sweep\n", plan, command)
    return RunStore(workspace).create(new)


def test_settings_are_marked_and_show_validation_only() -> None:
    children = [sample_child(sample) for sample in samples_of(PLAN, _outcome(), 9.0)]
    assert [child.status for child in children] == ["KILLED", "FINISHED", "FAILED", "FINISHED"]
    flags = [child.tags["gfmp.flags"] for child in children]
    assert flags == ["stopped_by_asha", "chosen", "failed", ""]
    assert [child.tags["gfmp.search_sample"] for child in children] == ["0", "1", "2", "3"]
    assert children[2].tags["gfmp.error"] == "the loss was not finite"
    for child, cell in zip(children, PLAN.samples, strict=True):
        assert child.tags["gfmp.search"] == PLAN.fingerprint
        assert child.params["setting.learning_rate"] == str(
            cell.learner.model_dump()["learning_rate"]
        )
        assert not any("test/" in name for name, _ in child.points)
    assert [(n, p.step, p.value) for n, p in children[1].points] == [
        ("valid/mcc", 0, 0.5),
        ("history/valid/mcc", 2, 0.5),
        ("history/valid/mcc", 3, 0.4),
    ]
    cell = PLAN.samples[1]
    assert child_key(children[1].tags) != child_key(axis_tags(cell)), "the cell is another child"


def test_a_sweep_shows_its_settings_and_then_its_cells(
    workspace: Workspace, client: MlflowClient
) -> None:
    run, outcome = _run(workspace), _outcome()
    assert planned_cells(run) == (BASELINE,)
    with driven(run) as driver:
        mirror = SweepMirror(run, workspace)
        mirror.sync()
        (experiment,) = [e for e in client.search_experiments() if e.name == "searched"]
        (parent,) = client.search_runs([experiment.experiment_id])
        assert "num_cells" not in parent.data.params
        SearchStore(workspace).put(PLAN, outcome)
        cells = (PLAN.samples[outcome.chosen], BASELINE)
        settle_cells(run, cells)
        assert planned_cells(run) == cells
        compute(workspace, driver, cells)
        driver.append("finished", {"cells": 2, "seconds": 1.0})
        assert mirror.sync().num_children == 6
    again = SweepMirror(run, workspace).sync()
    assert again.num_children <= 1, "only what failed may be looked at again"
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 7
    parent = next(one for one in runs if "mlflow.parentRunId" not in one.data.tags)
    assert parent.data.params["num_cells"] == "2"
    where = "tags.`gfmp.flags` = 'stopped_by_asha'"
    (stopped,) = client.search_runs([experiment.experiment_id], where)
    assert stopped.info.status == "KILLED"
    assert stopped.data.metrics == {"valid/mcc": 0.3, "history/valid/mcc": 0.3}
    where = f"tags.`gfmp.search` = '{PLAN.fingerprint}'"
    assert len(client.search_runs([experiment.experiment_id], where)) == 4
