"""MLflow down, gone, back, slow and shared: training goes on, and no number is lost."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
from fault_project import STEPS, Prepared, Project, events, fault, hashes
from fault_seen import Seen
from fault_sweeps import make_sweeps
from fault_tracking import Tracker, points

NUM_WRITERS, NUM_STEPS = 8, 150
NAMES = ("loss", "loss/kmer3", "learning_rate", "gradient_norm", "tokens_per_second")
LONGEST_APPEND_SECONDS = 0.5
WRITER = """
import json, math, sys, time
from gfmp.cluster.mirror import mirrored
from gfmp.ledger.header import NewRun
from gfmp.ledger.store import RunStore
from gfmp.storage.workspace import Workspace

workspace, names = Workspace.at(None), sys.argv[3:]
number, steps = int(sys.argv[1]), int(sys.argv[2])
spec = b"kind: pretrain\\nname: writer\\n"
plan = {"format_version": 1, "name": "writer", "what": {"steps": steps}, "to_build": []}
run = RunStore(workspace).create(
    NewRun("writer", "pretrain", number, f"{number:064x}", spec, plan, ("gfmp",))
)
odd = {7: math.nan, 8: math.inf, 9: -math.inf}
seconds, said = [], []
with run.own(), mirrored(run, workspace, said.append, grace_seconds=500):
    with run.open_writer("driver") as driver, run.open_writer("rank0") as rank0:
        driver.append("started", {"segment": 0, "workers": 1})
        for step in range(1, steps + 1):
            fields = {name: odd.get(step, 1.0 / (step + i)) for i, name in enumerate(names)}
            began = time.perf_counter()
            rank0.append("step", {"step": step, **fields})
            if step % 50 == 0:
                rank0.append("checkpoint", {"step": step, "path": "checkpoints/none"})
            seconds.append(time.perf_counter() - began)
            time.sleep(0.02)
        driver.append("finished", {"step": steps, "seconds": 1.0})
print(json.dumps({"run": run.id, "seconds": sorted(seconds), "said": said}))
"""


@pytest.fixture
def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.ci
@pytest.mark.fault("M1")
def test_a_server_that_is_down_at_the_start(
    empty: Project, tmp_path: Path, seen: Seen, free_port: int
) -> None:
    env = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port}"}
    sweeps = make_sweeps(tmp_path / "sweeps")
    for project, arguments in (
        (empty, ("submit", str(empty.job))),
        (sweeps, ("sweep", "specs/grid.yaml")),
    ):
        done = project.run(*arguments, env=env)
        assert done.status == 69, done.output
        assert "MLFLOW_TRACKING_URI" in done.output and "unset" in done.output
        assert project.known_runs() == []
        seen.exit(done.status)
    seen.outcome("refused before Ray; variable and remedy named")
    seen.lost(points=0)


@pytest.mark.fault("M1")
def test_a_server_that_dies_and_comes_back(
    prepared: Prepared, fresh: Project, tmp_path: Path, seen: Seen, free_port: int
) -> None:
    tracker = Tracker(fresh, tmp_path / "tracker", free_port)
    tracker.start()
    env = {"MLFLOW_TRACKING_URI": tracker.url, **fault("slow-step", seconds=1)}
    command = fresh.start("submit", str(fresh.job), env=env)
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 5, command)
    tracker.kill()
    fresh.wait_for_step(run, 15, command)
    tracker.start()
    done = command.wait()
    assert done.status == 0, done.output
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    synced = fresh.run("runs", "sync", run.name, env=env)
    assert synced.status == 0, synced.output
    ledger = {int(str(e["step"])): e["loss"] for e in events(run, "step")}
    stored = points(tracker.client(), "small", "loss")
    assert stored == ledger and len(ledger) == STEPS
    seen.exit(done.status)
    seen.outcome("training undisturbed; MLflow equals the ledger after `runs sync`")
    seen.lost(points=len(ledger.keys() - stored))


@pytest.mark.fault("M2")
def test_eight_writers_of_one_store(empty: Project, seen: Seen) -> None:
    program = [sys.executable, "-c", WRITER]
    started = [
        empty.start_program([*program, str(number), str(NUM_STEPS), *NAMES])
        for number in range(NUM_WRITERS)
    ]
    reports = []
    for command in started:
        done = command.wait()
        assert done.status == 0, done.output
        reports.append(json.loads(done.output.splitlines()[-1]))
    slowest = max(report["seconds"][int(0.99 * NUM_STEPS)] for report in reports)
    assert slowest <= LONGEST_APPEND_SECONDS
    synced = empty.run("runs", "sync")
    assert synced.status == 0, synced.output
    kept = _stored(empty)
    asked = NUM_WRITERS * NUM_STEPS * len(NAMES)
    assert kept == asked
    seen.exit(synced.status)
    seen.outcome(f"{kept:,} of {asked:,} numbers; 99 % of a step's writes below {slowest:.3f} s")
    seen.lost(points=asked - kept)


def _stored(project: Project) -> int:
    """Count the numbers that MLflow holds, those that are not finite in words."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{project.workspace / 'mlflow.db'}")
    found = client.get_experiment_by_name("writer")
    runs = client.search_runs([found.experiment_id])
    assert len(runs) == NUM_WRITERS
    kept = 0
    for run in runs:
        assert run.info.status == "FINISHED"
        for place, name in enumerate(NAMES):
            history = client.get_metric_history(run.info.run_id, name)
            expected = {s: 1.0 / (s + place) for s in range(1, NUM_STEPS + 1) if s not in (7, 8, 9)}
            assert {m.step: m.value for m in history} == expected
            odd = run.data.tags[f"nonfinite.{name}"].split()
            assert odd == ["nan@7", "inf@8", "-inf@9"]
            kept += len(history) + len(odd)
    return kept


@pytest.mark.ci
@pytest.mark.fault("M2")
def test_a_parameter_that_changes_at_a_resume(empty: Project, seen: Seen) -> None:
    program = [sys.executable, "-c", RESUMED]
    done = empty.start_program(program).wait()
    assert done.status == 0, done.output
    tags, params = json.loads(done.output.splitlines()[-1])
    assert "workers=2" in tags["gfmp.segment.0"] and "workers=1" in tags["gfmp.segment.1"]
    assert tags["gfmp.resume.where.workers"] == "2 -> 1"
    assert params["where.workers"] == "2", "MLflow keeps the first value for ever"
    seen.exit(done.status)
    seen.outcome("the change is a note beside the first value")
    seen.lost(points=0)


RESUMED = """
import json
from gfmp.ledger.header import NewRun
from gfmp.ledger.store import RunStore
from gfmp.mlflow_store.client import Tracked, open_store
from gfmp.mlflow_store.address import tracking_uri
from gfmp.mlflow_store.mirror import Mirror
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.workspace import Workspace

workspace = Workspace.at(None)
plan = {"format_version": 1, "name": "moved", "what": {"steps": 4}, "where": {"workers": 2}}
run = RunStore(workspace).create(
    NewRun("moved", "pretrain", 1, "0" * 64, b"kind: pretrain\\nname: moved\\n", plan, ("gfmp",))
)
for segment, workers in enumerate((2, 1)):
    with run.own(), run.open_writer("driver") as driver:
        driver.append("started", {"segment": segment, "workers": workers})
        write_json(run.plan_path, read_json(run.plan_path) | {"where": {"workers": workers}})
        Mirror(run, workspace).sync()
client = open_store(tracking_uri(workspace), workspace)
tracked = Tracked.find(client, "moved", run.id)
print(json.dumps([tracked.tags, tracked.params]))
"""
