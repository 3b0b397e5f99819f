"""MLflow equals the ledger, however often and whenever it is asked to."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gfmp.errors import CorruptArtefactError, LockedError, ServiceError
from gfmp.ledger.goodput import goodput
from gfmp.ledger.run import Run
from gfmp.mlflow_store import mirror as mirror_module
from gfmp.mlflow_store.address import VARIABLE
from gfmp.mlflow_store.mirror import Mirror
from gfmp.mlflow_store.sweeps import sync_workspace
from gfmp.storage.atomic import write_json
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

Compute = Callable[[Run, Iterable[int], int], None]

SOURCE = Path(__file__).parents[2] / "platform"
KILLED = """
import os, signal, sys
from pathlib import Path
from gfmp.ledger.goodput import goodput
from gfmp.ledger.run import Run
run = Run.open(Path(sys.argv[1]))
with run.own():
    run.open_writer("driver").append("started", {"segment": 0})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def the_run(client: MlflowClient) -> MlflowRun:
    experiment = client.get_experiment_by_name("demo")
    (found,) = client.search_runs([experiment.experiment_id])
    return found


def history(client: MlflowClient, name: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in client.get_metric_history(the_run(client).info.run_id, name)]


def everything(client: MlflowClient) -> str:
    found = the_run(client)
    points = {name: history(client, name) for name in found.data.metrics}
    return repr((found.to_dictionary(), sorted(points.items())))


@pytest.fixture
def finished(run: Run, compute: Compute) -> Run:
    with run.own(), run.open_writer("driver") as driver:
        driver.append("started", {"segment": 0, "workers": 2, "engine": "ddp", "from_step": 0})
        compute(run, range(1, 13), 0)
        with run.open_writer("rank0") as rank0:
            checks = [{"name": "loss fell", "passed": True, "last": 0.75}]
            rank0.append("report", {"step": 12, "report/final_loss": 0.75, "checks": checks})
        driver.append("finished", {"step": 12, "seconds": 60.0})
    return run


def test_a_finished_run_is_in_mlflow_with_all_it_has(
    finished: Run, workspace: Workspace, client: MlflowClient
) -> None:
    done = Mirror(finished, workspace).sync()
    found = the_run(client)
    for name, points in finished.book().curves().items():
        assert history(client, name) == [(p.step, p.value) for p in points]
    numbers = goodput(finished.events()).numbers()
    assert done.num_points == sum(map(len, finished.book().curves().values())) + 1 + len(numbers)
    assert {name: history(client, name) for name in numbers} == {
        name: [(12, value)] for name, value in numbers.items()
    }
    assert found.info.status == done.status == "FINISHED"
    assert found.info.run_name == found.data.tags["gfmp.run_id"] == finished.id
    assert found.info.start_time == int(finished.header.created_seconds * 1000)
    assert found.info.end_time == int(finished.lifecycle()[-1].time * 1000)
    assert found.data.params["what.steps"] == "12"
    assert found.data.metrics["report/final_loss"] == 0.75
    assert found.data.tags["gfmp.checkpoint"] == "checkpoints/step-12"
    assert found.data.tags["gfmp.order_hash"] == f"{12:016x}"
    (corpus,) = found.inputs.dataset_inputs
    assert corpus.dataset.name == "demo"


def test_the_artifacts_are_copies_of_the_files_of_the_run(
    finished: Run, workspace: Workspace
) -> None:
    done = Mirror(finished, workspace).sync()
    (folder,) = workspace.mlflow_artifacts.glob("demo/*/artifacts")
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert len(names) == done.num_files
    assert names >= {"spec.yaml", "plan.json", "environment.json", "report.json", "report.md"}
    assert names >= {f"figures/{n}.png" for n in ("overview", "loss", "heldout", "throughput")}
    assert (folder / "spec.yaml").read_bytes() == finished.spec_path.read_bytes()
    assert json.loads((folder / "report.json").read_text())["report/final_loss"] == 0.75
    assert "| loss fell | passed | last 0.75 |" in (folder / "report.md").read_text()


def test_syncing_again_changes_nothing(
    finished: Run, workspace: Workspace, client: MlflowClient
) -> None:
    mirror = Mirror(finished, workspace)
    mirror.sync()
    before = everything(client)
    for again in (mirror, Mirror(finished, workspace)):
        done = again.sync()
        assert (done.num_points, done.num_files) == (0, 0)
        assert everything(client) == before


def test_a_resumed_run_stays_one_run_and_recomputed_steps_count_once(
    run: Run, workspace: Workspace, client: MlflowClient, compute: Compute
) -> None:
    with run.own(), run.open_writer("driver") as driver:
        driver.append("started", {"workers": 2})
        compute(run, range(1, 11), 0)
        assert Mirror(run, workspace).sync().status == "RUNNING"
        driver.append("interrupted", {"step": 10, "signal": "SIGTERM"})
    assert Mirror(run, workspace).sync().status == "KILLED"
    plan = run.plan_json()
    write_json(run.plan_path, plan | {"where": {"workers": 1, "device": None, "threads": 2}})
    with run.own(), run.open_writer("driver") as driver:
        driver.append("started", {"workers": 1})
        compute(run, range(9, 13), 8)
        assert Mirror(run, workspace).sync().status == "RUNNING"
        driver.append("finished", {"step": 12})
    assert Mirror(run, workspace).sync().status == "FINISHED"
    assert [step for step, _ in history(client, "loss")] == list(range(1, 13))
    tags, params = the_run(client).data.tags, the_run(client).data.params
    assert params["where.workers"] == "2"
    assert params["where.threads"] == "2"
    assert tags["gfmp.resume.where.workers"] == "2 -> 1"
    assert tags["gfmp.restarts"] == "1"
    assert tags["gfmp.recomputed"] == "2 steps in 9..10"
    assert (tags["gfmp.segment.0"], tags["gfmp.segment.1"]) == ("workers=2", "workers=1")


def test_rebuilding_makes_recomputed_values_equal_too(
    run: Run, workspace: Workspace, client: MlflowClient, compute: Compute
) -> None:
    compute(run, range(1, 7), 0)
    Mirror(run, workspace).sync()
    with run.open_writer("rank0") as rank0:
        rank0.append("resumed", {"step": 4})
        rank0.append("step", {"step": 5, "loss": 77.0})
    Mirror(run, workspace).sync()
    assert dict(history(client, "loss"))[5] != 77.0
    Mirror(run, workspace).rebuild()
    assert history(client, "loss") == [(p.step, p.value) for p in run.series("loss")]
    assert dict(history(client, "loss"))[5] == 77.0


def test_numbers_that_are_not_finite_keep_their_meaning(
    run: Run, workspace: Workspace, client: MlflowClient
) -> None:
    with run.open_writer("rank0") as rank0:
        for step, loss in enumerate((1.0, math.inf, math.nan), 1):
            rank0.append("step", {"step": step, "loss": loss})
    Mirror(run, workspace).sync()
    assert history(client, "loss") == [(1, 1.0)]
    assert the_run(client).data.tags["nonfinite.loss"] == "inf@2 nan@3"


def test_a_killed_run_does_not_stay_running(
    run: Run, workspace: Workspace, client: MlflowClient
) -> None:
    with run.own(), run.open_writer("driver") as driver:
        driver.append("started", {})
        assert Mirror(run, workspace).sync().status == "RUNNING"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    owner = subprocess.run([sys.executable, "-c", KILLED, str(run.path)], env=environment)
    assert owner.returncode == -signal.SIGKILL
    (done,), failed = sync_workspace(workspace)
    assert failed == ()
    assert done.status == the_run(client).info.status == "KILLED"


def test_many_points_travel_in_batches(
    run: Run, workspace: Workspace, client: MlflowClient
) -> None:
    write_json(run.plan_path, {"what": {"steps": 400}})
    with run.open_writer("rank0") as rank0:
        for step in range(1, 401):
            rank0.append("step", {"step": step, **{f"loss/v{i}": float(step) for i in range(6)}})
    assert Mirror(run, workspace).sync().num_points == 2400
    assert all(len(history(client, f"loss/v{i}")) == 400 for i in range(6))
    assert not the_run(client).inputs.dataset_inputs


def test_long_words_are_cut_to_what_mlflow_takes(
    run: Run, workspace: Workspace, client: MlflowClient
) -> None:
    write_json(run.plan_path, {"note": "n" * 7000, **{f"k{i}": i for i in range(250)}})
    with run.open_writer("driver") as driver:
        driver.append("failed", {"error": "e" * 9000})
    Mirror(run, workspace).sync()
    assert len(the_run(client).data.params["note"]) == 6000
    assert len(the_run(client).data.params) == 251
    assert len(the_run(client).data.tags["gfmp.error"]) == 8000
    assert Mirror(run, workspace).sync().num_points == 0


def test_a_run_deleted_in_mlflow_is_made_again(
    finished: Run, workspace: Workspace, client: MlflowClient
) -> None:
    mirror = Mirror(finished, workspace)
    first = mirror.sync()
    client.delete_run(first.mlflow_run_id)
    second = mirror.sync()
    assert second.mlflow_run_id != first.mlflow_run_id
    assert second.num_points == first.num_points


def test_a_store_that_refuses_is_an_error_with_a_remedy(
    finished: Run, workspace: Workspace
) -> None:
    workspace.mlflow_database.write_bytes(b"this is no database" * 100)
    with pytest.raises(ServiceError) as caught:
        Mirror(finished, workspace).sync()
    assert caught.value.exit_status == 69
    assert "sync" in caught.value.problems[0].fix


def test_a_broken_ledger_is_named_and_other_runs_are_synced(
    finished: Run, workspace: Workspace
) -> None:
    other = shutil.copytree(finished.path, finished.path.with_name("other"))
    header = json.loads((other / "run.json").read_text()) | {"id": "other"}
    write_json(other / "run.json", header)
    path = finished.ledger_path / "000-rank0.jsonl"
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    done, (fault,) = sync_workspace(workspace)
    assert [synced.run_id for synced in done] == ["other"]
    assert isinstance(fault, CorruptArtefactError)


def test_two_processes_never_mirror_one_run_at_once(
    finished: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "_LOCK_SECONDS", 0.0)
    with exclusive(finished.path / "mlflow.lock"), pytest.raises(LockedError):
        Mirror(finished, workspace).sync()


@pytest.mark.parametrize(
    ("cpu_seconds", "waited"), [(0.0, 5.0), (0.02, 5.0), (0.05, 10.0), (0.2, 40.0), (9.0, 60.0)]
)
def test_a_dear_synchronisation_comes_less_often(cpu_seconds: float, waited: float) -> None:
    assert mirror_module.interval(cpu_seconds) == pytest.approx(waited)


def test_following_keeps_up_and_ends_with_the_last_word(
    run: Run,
    workspace: Workspace,
    client: MlflowClient,
    compute: Compute,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mirror_module, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(mirror_module, "MAX_INTERVAL_SECONDS", 0.1)
    mirror, stop = Mirror(run, workspace), threading.Event()
    thread = threading.Thread(target=mirror.follow, args=(stop,))
    with run.own(), run.open_writer("driver") as driver:
        driver.append("started", {})
        thread.start()
        compute(run, range(1, 6), 0)
        deadline = time.monotonic() + 60
        while not _has_step(client, 5):
            assert time.monotonic() < deadline, mirror.problem
            time.sleep(0.05)
        compute(run, range(6, 13), 5)
        driver.append("finished", {"step": 12})
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    assert mirror.problem == ""
    assert [step for step, _ in history(client, "loss")] == list(range(1, 13))
    assert the_run(client).info.status == "FINISHED"


def _has_step(client: MlflowClient, step: int) -> bool:
    experiment = client.get_experiment_by_name("demo")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    return bool(runs) and step in dict(history(client, "loss"))


def test_following_never_raises_and_keeps_the_reason(
    finished: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{port}")  # bound, but nobody listens
        mirror, stop = Mirror(finished, workspace), threading.Event()
        stop.set()
        mirror.follow(stop)
    assert "does not answer" in mirror.problem
    with exclusive(finished.path / "mlflow.lock"):
        pass  # the lock was given back


def test_failures_are_tried_again_ever_more_rarely() -> None:
    delays = [0.0]
    for _ in range(6):
        delays.append(mirror_module._backoff(delays[-1]))
    assert delays == [0.0, 5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
