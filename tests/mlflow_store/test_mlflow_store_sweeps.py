"""A sweep is one MLflow run, and each of its finished or failed cells one child of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sweep_examples import CELLS, PROBE, cell_of, compute, driven, result_of, sweep_of

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.cells import CellStore
from gfmp.ledger.run import Run
from gfmp.mlflow_store import children as children_module
from gfmp.mlflow_store import mirror as mirror_module
from gfmp.mlflow_store.address import VARIABLE
from gfmp.mlflow_store.children import Children
from gfmp.mlflow_store.client import connect
from gfmp.mlflow_store.mirror import Mirror
from gfmp.mlflow_store.server import free_port, serve
from gfmp.mlflow_store.sweeps import SweepMirror, mirror_of, sync_workspace
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

SOURCE = Path(__file__).parents[2] / "platform"
KILLED = """
import os, signal, sys
from pathlib import Path
from gfmp.ledger.store import RunStore
from gfmp.mlflow_store.children import Children
from gfmp.mlflow_store.client import connect
from gfmp.mlflow_store.sweeps import SweepMirror
from gfmp.storage.workspace import Workspace
workspace, steps, number = Workspace(Path(sys.argv[1])), sys.argv[3], 0
def count(*_):
    global number
    number += 1
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
log, create = Children._log, Children._create
if steps == "created":
    Children._log = lambda *a: (count(), log(*a))
else:
    Children._log = lambda *a: (log(*a), count())
SweepMirror(RunStore(workspace).get(sys.argv[2]), workspace).sync()
"""


@pytest.fixture
def sweep(workspace: Workspace) -> Run:
    return sweep_of(workspace, CELLS)


@pytest.fixture
def finished(workspace: Workspace, sweep: Run) -> Run:
    with driven(sweep) as driver:
        compute(workspace, driver, CELLS)
        driver.append("finished", {"cells": len(CELLS), "seconds": 24.0})
    return sweep


def all_runs(client: MlflowClient, name: str = "efficiency") -> list[MlflowRun]:
    experiment = client.get_experiment_by_name(name)
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def family(client: MlflowClient) -> tuple[MlflowRun, dict[str, MlflowRun]]:
    """Return the parent, and its children by name; every run must be one of them."""
    runs = all_runs(client)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    rest = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in rest} <= {parent.info.run_id}
    named = {run.info.run_name: run for run in rest}
    assert len(named) == len(rest)
    return parent, named


def everything(client: MlflowClient) -> str:
    runs = sorted(all_runs(client), key=lambda run: str(run.info.run_id))
    points = [
        (m.step, m.value, m.timestamp)
        for run in runs
        for name in sorted(run.data.metrics)
        for m in client.get_metric_history(run.info.run_id, name)
    ]
    return repr(([run.to_dictionary() for run in runs], points))


def test_a_finished_sweep_is_a_parent_with_a_child_for_every_cell(
    finished: Run, workspace: Workspace, client: MlflowClient
) -> None:
    done = SweepMirror(finished, workspace).sync()
    assert (done.num_children, done.status) == (len(CELLS), "FINISHED")
    parent, children = family(client)
    assert parent.info.run_name == parent.data.tags["gfmp.run_id"] == finished.id
    assert parent.data.tags["gfmp.kind"] == "sweep"
    assert parent.data.metrics == {"cells_done": 12, "cells_failed": 0, "cells_reused": 0}
    assert parent.data.params["tasks"] == "yeast_coding"
    assert parent.data.params["methods"] == "probe, full, kmer"
    assert parent.data.params["label_percents"] == "3, 10"
    assert parent.data.params["num_cells"] == "12"
    assert "gfmp sweep" in parent.data.tags["mlflow.note.content"]
    assert "12 of 12 cells done" in parent.data.tags["mlflow.note.content"]
    assert len(children) == len(CELLS)
    assert "yeast_coding / probe / bpe4096 / demo / 3% / seed 1" in children
    assert "yeast_coding / kmer / 10% / seed 0" in children


def test_a_child_has_every_axis_as_tag_and_parameter_and_every_number(
    finished: Run, workspace: Workspace, client: MlflowClient
) -> None:
    SweepMirror(finished, workspace).sync()
    child = family(client)[1]["yeast_coding / full / bpe4096 / demo / 3% / seed 1"]
    cell = CELLS[5]
    assert child.info.status == "FINISHED"
    assert child.info.end_time - child.info.start_time == 2000
    axes = {
        "task": "yeast_coding",
        "method": "full",
        "vocabulary": "bpe4096",
        "initial": "demo",
        "label_percent": "3",
        "seed": "1",
    }
    assert axes.items() <= child.data.params.items()
    assert {f"gfmp.{k}": v for k, v in axes.items()}.items() <= child.data.tags.items()
    assert child.data.tags["gfmp.cell"] == cell.fingerprint
    assert child.data.tags["gfmp.flags"] == "collapsed"
    assert child.data.tags["gfmp.reused"] == "false"
    assert child.data.tags["gfmp.fact.attempts"] == "2"
    assert child.data.params["setting.epochs"] == "3"
    assert child.data.params["num_rows"] == "60"
    numbers = {"test/mcc": 1.03, "valid/mcc": 0.3, "num_train_rows": 60, "seconds": 2.0}
    assert numbers.items() <= child.data.metrics.items()
    history = client.get_metric_history(child.info.run_id, "history/valid/mcc")
    assert [(m.step, m.value) for m in history] == [(1, 0.3), (2, 0.2)]
    kmer = family(client)[1]["yeast_coding / kmer / 3% / seed 0"]
    assert kmer.data.params["vocabulary"] == kmer.data.tags["gfmp.initial"] == "none"
    probe = family(client)[1]["yeast_coding / probe / bpe4096 / demo / 3% / seed 0"]
    assert probe.data.params["setting.penalties"] == "0.01, 0.1, 1.0, 10.0"


def test_syncing_again_changes_nothing(
    finished: Run, workspace: Workspace, client: MlflowClient
) -> None:
    mirror = SweepMirror(finished, workspace)
    mirror.sync()
    before = everything(client)
    for again in (mirror, SweepMirror(finished, workspace)):
        done = again.sync()
        assert (done.num_points, done.num_files, done.num_children) == (0, 0, 0)
        assert everything(client) == before


def test_the_report_and_the_ledger_are_artifacts_and_follow_their_files(
    finished: Run, workspace: Workspace
) -> None:
    report = finished.path / "report"
    (report / "figures").mkdir(parents=True)
    (report / "index.html").write_text("first")
    (report / "figures" / "a.svg").write_text("<svg/>")
    (report / ".tmp-half").write_text("half")
    SweepMirror(finished, workspace).sync()
    (folder,) = workspace.mlflow_artifacts.glob("efficiency/*/artifacts")
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {
        "environment.json",
        "ledger/000-driver.jsonl",
        "plan.json",
        "report/figures/a.svg",
        "report/index.html",
        "spec.yaml",
    }
    (report / "index.html").write_text("second")
    assert SweepMirror(finished, workspace).sync().num_files == 2
    assert (folder / "report" / "index.html").read_text() == "second"


def test_cells_appear_as_they_finish_and_a_failed_one_recovers(
    sweep: Run, workspace: Workspace, client: MlflowClient
) -> None:
    mirror, broken = SweepMirror(sweep, workspace), CELLS[2]
    name = "yeast_coding / probe / bpe4096 / demo / 10% / seed 0"
    with driven(sweep) as driver:
        assert mirror.sync().num_children == 0
        compute(workspace, driver, CELLS[:2])
        driver.append("cell_started", {"cell": broken.fingerprint})
        driver.append("cell_failed", {"cell": broken.fingerprint, "error": "out of memory"})
        done = mirror.sync()
        assert (done.num_children, done.status) == (3, "RUNNING")
        assert mirror.sync().num_children == 0
        driver.append("cell_started", {"cell": CELLS[3].fingerprint})
        CellStore(workspace).put(result_of(CELLS[3]), {})
        assert mirror.sync().num_children == 0, "the driver has not said yet whether it is reused"
        driver.append("interrupted", {"signal": "SIGTERM"})
    assert mirror.sync().status == "KILLED"
    parent, children = family(client)
    assert (parent.data.metrics["cells_done"], parent.data.metrics["cells_failed"]) == (2, 1)
    assert "out of memory" in parent.data.tags["mlflow.note.content"]
    failed = children[name]
    assert (failed.info.status, failed.data.tags["gfmp.error"]) == ("FAILED", "out of memory")
    assert failed.data.tags["gfmp.flags"] == "failed"
    assert "test/mcc" not in failed.data.metrics
    with driven(sweep) as driver:
        compute(workspace, driver, CELLS)
        driver.append("finished", {"cells": 12, "seconds": 1.0})
    assert SweepMirror(sweep, workspace).sync().num_children == 9
    parent, children = family(client)
    assert len(children) == 12
    assert (parent.data.metrics["cells_done"], parent.data.metrics["cells_failed"]) == (12, 0)
    assert children[name].info.run_id == failed.info.run_id
    assert children[name].info.status == parent.info.status == "FINISHED"
    assert "gfmp.error" not in children[name].data.tags
    assert children[name].data.tags["gfmp.flags"] == ""
    assert children[name].data.metrics["test/mcc"] == 0.1


@pytest.mark.parametrize("moment", ["created", "filled"])
def test_killed_in_the_middle_and_called_again_it_completes(
    finished: Run, workspace: Workspace, client: MlflowClient, moment: str
) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(workspace.root), finished.id]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    environment.pop(VARIABLE, None)
    done = subprocess.run([*command, moment], env=environment, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    states = [child.info.status for child in family(client)[1].values()]
    assert sorted(states) == ["FINISHED", "FINISHED", "RUNNING"]
    assert SweepMirror(finished, workspace).sync().num_children == 10
    children = family(client)[1].values()
    assert len(children) == 12
    for child in children:
        assert child.info.status == "FINISHED"
        assert len(client.get_metric_history(child.info.run_id, "test/mcc")) == 1
        assert child.data.params["method"] == child.data.tags["gfmp.method"]


def test_a_cell_shared_by_two_sweeps_is_a_child_of_both(
    finished: Run, workspace: Workspace, client: MlflowClient
) -> None:
    more = sweep_of(workspace, [*CELLS[:2], cell_of(PROBE, 30.0, 0)], "second")
    with driven(more) as driver:
        compute(workspace, driver, [*CELLS[:2], cell_of(PROBE, 30.0, 0)])
        driver.append("finished", {"cells": 3, "seconds": 1.0})
    done, failed = sync_workspace(workspace)
    assert failed == ()
    assert sorted(synced.num_children for synced in done) == [3, 12]
    second = all_runs(client, "second")
    words = sorted(r.data.tags["gfmp.reused"] for r in second if "gfmp.cell" in r.data.tags)
    assert words == ["false", "true", "true"]
    (parent,) = [run for run in second if "gfmp.cell" not in run.data.tags]
    assert parent.data.metrics["cells_reused"] == 2


def test_one_subset_under_two_percentages_is_two_children(
    workspace: Workspace, client: MlflowClient
) -> None:
    cells = [CELLS[0], replace(CELLS[0], label_percent=30.0)]
    run = sweep_of(workspace, cells)
    with driven(run) as driver:
        compute(workspace, driver, cells[:1])
    assert SweepMirror(run, workspace).sync().num_children == 2
    assert SweepMirror(run, workspace).sync().num_children == 0
    percents = {child.data.params["label_percent"] for child in family(client)[1].values()}
    assert percents == {"3", "30"}


def test_a_damaged_result_is_named_and_the_others_are_mirrored(
    finished: Run, workspace: Workspace, client: MlflowClient
) -> None:
    folder = CellStore(workspace).path(CELLS[4].fingerprint)
    (folder / "test_predictions.npy").write_bytes(b"")
    with pytest.raises(CorruptArtefactError) as caught:
        SweepMirror(finished, workspace).sync()
    assert [problem.where for problem in caught.value.problems] == [str(folder)]
    parent, children = family(client)
    assert (parent.info.status, len(children)) == ("FINISHED", 11)


def test_more_children_than_a_page_and_doubles_from_a_lost_answer(
    finished: Run, workspace: Workspace, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children_module, "_PAGE_RUNS", 5)
    SweepMirror(finished, workspace).sync()
    assert SweepMirror(finished, workspace).sync().num_children == 0
    parent, children = family(client)
    twin = next(iter(children.values()))
    client.create_run(parent.info.experiment_id, tags=twin.data.tags)
    assert SweepMirror(finished, workspace).sync().num_children == 0
    assert set(family(client)[1]) == set(children)


def test_long_histories_travel_in_batches(workspace: Workspace, client: MlflowClient) -> None:
    cell = CELLS[4]
    run, long = sweep_of(workspace, [cell]), result_of(cell)
    history = tuple({"step": float(i), "loss": 1.0, "valid/mcc": 0.1} for i in range(700))
    nan = ({"step": 700.0, "loss": float("nan")},)
    CellStore(workspace).put(replace(long, history=history + nan), cell.to_json())
    assert SweepMirror(run, workspace).sync().num_children == 1
    (child,) = family(client)[1].values()
    assert child.data.tags["gfmp.reused"] == "true"
    assert len(client.get_metric_history(child.info.run_id, "history/loss")) == 700


def test_following_mirrors_cells_while_the_sweep_goes_on(
    sweep: Run, workspace: Workspace, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(mirror_module, "MAX_INTERVAL_SECONDS", 0.1)
    searches, search = [], Children._search

    def counted(self: Children) -> Iterator[MlflowRun]:
        searches.append(self)
        return search(self)

    monkeypatch.setattr(Children, "_search", counted)
    mirror, stop = SweepMirror(sweep, workspace), threading.Event()
    thread = threading.Thread(target=mirror.follow, args=(stop,))
    with driven(sweep) as driver:
        thread.start()
        for number in (2, 5, 12):
            compute(workspace, driver, CELLS[:number])
            deadline = time.monotonic() + 60
            while len(all_runs(client)) < number + 1:
                assert time.monotonic() < deadline, mirror.problem
                time.sleep(0.05)
        driver.append("finished", {"cells": 12, "seconds": 1.0})
    stop.set()
    thread.join(60)
    assert mirror.problem == ""
    parent, children = family(client)
    states = [found.info.status for found in (parent, *children.values())]
    assert states == ["FINISHED"] * 13
    assert len(searches) == 1


@pytest.mark.long
def test_a_real_server_takes_a_sweep_with_its_artifacts(
    finished: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, client: MlflowClient
) -> None:
    served = serve(workspace, free_port(0))
    try:
        with monkeypatch.context() as patch:
            patch.setenv(VARIABLE, served.url)
            assert SweepMirror(finished, workspace).sync().num_children == 12
            before = everything(client)
            assert SweepMirror(finished, workspace).sync().num_points == 0
        assert everything(client) == before
        parent, children = family(client)
        assert (parent.info.status, len(children)) == ("FINISHED", 12)
        there = connect(served.url).list_artifacts(parent.info.run_id)
        names = {entry.path for entry in there}
        assert names >= {"spec.yaml", "plan.json", "ledger"}
    finally:
        served.stop()


def test_each_kind_of_run_has_its_mirror(run: Run, sweep: Run, workspace: Workspace) -> None:
    assert isinstance(mirror_of(run, workspace), Mirror)
    assert isinstance(mirror_of(sweep, workspace), SweepMirror)
    header = replace(sweep.header, kind="finetune")
    assert isinstance(mirror_of(replace(sweep, header=header), workspace), SweepMirror)
    plan = json.loads(sweep.plan_path.read_text())
    plan["cells"][0]["seed"] = 99
    sweep.plan_path.write_text(json.dumps(plan))
    with pytest.raises(CorruptArtefactError, match=r"cells\.0"):
        mirror_of(sweep, workspace)
