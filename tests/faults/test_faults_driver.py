"""Drivers that are killed, started twice, or asked to resume something else."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_kills import Killer, driver_pid, every_step_once
from fault_project import (
    STEPS,
    Prepared,
    Project,
    committed,
    events,
    fault,
    hashes,
    last_step,
    tree_hash,
)
from fault_seen import Seen

# Long enough that a signal finds a run in the middle, on a quick machine too.
SLOW = fault("slow-step", seconds=1)
SHORT = ("--set", "steps=4", "--set", "optimiser.warmup_steps=1")


def _mlflow_status(project: Project, run: Path) -> str:
    """Read the state of a run from the MLflow store itself, which may still be in the making."""
    query = "SELECT r.status FROM runs r JOIN tags t ON r.run_uuid = t.run_uuid WHERE t.value = ?"
    with contextlib.closing(sqlite3.connect(project.workspace / "mlflow.db")) as store:
        tables = store.execute("SELECT name FROM sqlite_master WHERE name IN ('runs', 'tags')")
        rows = store.execute(query, (run.name,)).fetchall() if len(tables.fetchall()) == 2 else []
    return str(rows[0][0]) if rows else "absent"


def _wait_for_mlflow(project: Project, run: Path, status: str) -> None:
    deadline = time.monotonic() + 120
    while _mlflow_status(project, run) != status:
        assert time.monotonic() < deadline, f"{_mlflow_status(project, run)}, not {status}"
        time.sleep(0.5)


@pytest.mark.fault("T3")
def test_after_a_kill_the_same_job_is_refused_and_the_run_resumed(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    command = fresh.start("submit", str(fresh.job), env=SLOW)
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 6, command)
    _wait_for_mlflow(fresh, run, "RUNNING")
    second = fresh.run("submit", str(fresh.job))  # it runs
    assert second.status == 73, second.output
    command.signal(signal.SIGKILL)
    command.wait(10)

    before = last_step(run)
    again = fresh.run("submit", str(fresh.job))
    seen.exit(again.status)
    assert again.status == 73, again.output
    assert "run exists" in again.output
    said = " ".join(again.output.split())
    told = re.search(rf"{run.name} of the same job is interrupted at step (\d+)", said)
    # Ranks may end a step after their driver was killed.
    assert told and before <= int(told[1]) <= last_step(run), said
    assert f"gfmp submit --resume {run.name}" in said
    assert "gfmp submit JOB --new" in said
    assert fresh.known_runs() == [run]

    # The next start of anything tells MLflow that nobody works on it.
    assert _mlflow_status(fresh, run) == "RUNNING"
    other = fresh.run("submit", str(fresh.job), *SHORT, "--set", "name=other")
    assert other.status == 0, other.output
    _wait_for_mlflow(fresh, run, "KILLED")

    done = fresh.run("submit", "--resume", run.name)
    seen.exit(done.status)
    assert done.status == 0, done.output
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    assert _mlflow_status(fresh, run) == "FINISHED"
    # What is finished is in nobody's way, and is not resumed.
    assert fresh.run("submit", "--resume", run.name).status == 73
    seen.outcome("73 names the run and both ways on; resumed: weights of the clean run")
    missing = every_step_once(run, STEPS)
    seen.lost(steps=missing, processes=len(fresh.gone(10)), files=len(fresh.leftovers()))
    assert (missing, fresh.leftovers()) == (0, [])


@pytest.mark.fault("T4")
def test_a_killed_driver_and_a_killed_head_are_survived_without_a_person(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    command = fresh.start("submit", str(fresh.job), env=SLOW)
    run = fresh.next_run(command)
    killer = Killer(fresh, run, seed=1)
    fresh.wait_for_step(run, 5, command)
    first = driver_pid(run)
    assert killer.kill("driver")
    fresh.wait_for_step(run, 9, command)
    assert driver_pid(run) != first
    assert killer.kill("head")
    done = command.wait()
    seen.exit(done.status)
    assert done.status == 0, done.output
    assert "the driver died (killed by SIGKILL)" in done.output
    assert len(re.findall("the driver died", done.output)) >= 2
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    assert fresh.known_runs() == [run]
    seen.outcome("driver and Ray head killed: goes on by itself, weights of the clean run")
    missing = every_step_once(run, STEPS)
    left = fresh.gone(10)
    seen.lost(steps=missing, processes=len(left), files=len(fresh.leftovers()))
    assert (missing, left, fresh.leftovers()) == (0, [], [])
    assert len(list((fresh.workspace / "logs").glob("*.log"))) == 1
    assert not list(run.glob("ray/*"))


def _rolled_back(prepared: Prepared, project: Project, step: int) -> Path:
    """Copy the clean run as if its driver had been killed right after the commit of `step`."""
    run = project.runs / prepared.run.name
    shutil.copytree(prepared.run, run)
    for path in (run / "ledger").glob("*.jsonl"):
        kept = []
        for line in path.read_text().splitlines(keepends=True):
            event = json.loads(line)
            if event["kind"] == "finished":
                break
            kept.append(line)
            if event["kind"] == "checkpoint" and event["fields"]["step"] == step:
                break
        path.write_text("".join(kept))
    for path in (run / "checkpoints").glob("step-*"):
        if int(path.name.removeprefix("step-")) > step:
            shutil.rmtree(path)
    return run


@pytest.mark.ci
@pytest.mark.fault("K4")
def test_a_resume_as_another_model_is_refused_with_each_difference(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    run = _rolled_back(prepared, fresh, 16)
    before = tree_hash(run)
    changes = ("model.width=32", "model.heads=2", "vocabularies=[{name: kmer2}]", "seed=8")
    options = [word for change in changes for word in ("--set", change)]
    done = fresh.run("submit", "--resume", run.name, *options, "--set", "compute.workers=1")
    seen.exit(done.status)
    assert done.status == 78, done.output
    said = " ".join(done.output.split())
    assert "architecture.width: 16 -> 32" in said
    assert "architecture.heads: 1 -> 2" in said
    assert "feed.seed: 7 -> 8" in said
    assert re.search(r"ensemble: '[0-9a-f]{64}' -> '", said)
    assert "Traceback" not in said
    assert done.seconds < 60
    assert tree_hash(run) == before
    assert not list((fresh.workspace / "logs").glob("*"))  # no Ray was started
    seen.outcome("refused before Ray: width, heads, seed and ensemble named, old and new")
    seen.lost(files=0)


@pytest.mark.fault("K4")
def test_a_resume_with_another_number_of_workers_goes_on(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    run = _rolled_back(prepared, fresh, 16)
    done = fresh.run("submit", "--resume", run.name, "--set", "compute.workers=1")
    seen.exit(done.status)
    assert done.status == 0, done.output
    assert hashes(run)[0] == prepared.order_hash
    ours = {e["step"]: e["loss"] for e in events(run, "step")}
    clean = {e["step"]: e["loss"] for e in events(prepared.run, "step")}
    assert ours == pytest.approx(clean, abs=1e-4)
    seen.outcome("one worker instead of two: same samples, same losses to 1e-4")
    missing = every_step_once(run, STEPS)
    seen.lost(steps=missing)
    assert missing == 0


@contextlib.contextmanager
def _taken(*ports: int) -> Iterator[None]:
    """Listen on ports that somebody else's services like; one in use already is as good."""
    with contextlib.ExitStack() as held:
        for port in ports:
            taken = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                taken.bind(("127.0.0.1", port))
                taken.listen()
        yield


@pytest.mark.fault("X2")
def test_two_submits_at_once_beside_taken_ports_and_stale_sessions(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    stale = Path("/tmp/ray") / "session_2020-01-01_00-00-00_000000_4194303"
    made = not stale.exists()
    stale.mkdir(parents=True, exist_ok=True)
    few = (*SHORT, "--set", "compute.workers=1")
    try:
        with _taken(8265, 5000, 29500, 6379):
            one = fresh.start("submit", str(fresh.job), *few, "--set", "name=one")
            two = fresh.start("submit", str(fresh.job), *few, "--set", "name=two")
            ended = [one.wait(), two.wait()]
    finally:
        if made:
            stale.rmdir()
    for done in ended:
        seen.exit(done.status)
        assert done.status == 0, done.output
    runs = fresh.known_runs()
    assert len(runs) == 2
    # Other names, the same model: the same numbers.
    assert hashes(runs[0]) == hashes(runs[1])
    assert [committed(run) for run in runs] == [[4], [4]]
    left = fresh.gone(10)
    seen.outcome("both finish, with equal weights, on ports of their own")
    seen.lost(processes=len(left), files=len(fresh.leftovers()))
    assert (left, fresh.leftovers()) == ([], [])


@pytest.mark.fault("Q13")
def test_a_dead_ray_address_hangs_bare_ray_and_is_named_by_gfmp(empty: Project, seen: Seen) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{free.getsockname()[1]}"
    script = empty.folder / "bare.py"
    script.write_text("import ray\nprint('go', flush=True)\nray.init()\n")
    bare = empty.start_program([sys.executable, str(script)], {"RAY_ADDRESS": dead})
    while "go" not in bare.output:
        assert bare.alive(), bare.output
        time.sleep(0.1)
    began = time.monotonic()
    done = empty.run("submit", str(empty.job), env={"RAY_ADDRESS": dead})
    seen.exit(done.status)
    assert done.status == 69, done.output
    assert dead in done.output
    assert "RAY_ADDRESS" in done.output
    assert "unset" in done.output
    time.sleep(max(0.0, 20.0 - (time.monotonic() - began)))
    assert bare.alive(), f"ray.init() gave up by itself\n{bare.output}"
    empty.end_all()
    seen.outcome("bare: no word within 20 s; gfmp: 69, names the variable and how to unset it")
    seen.lost(processes=len(empty.gone(5)), files=len(empty.leftovers()))
    assert empty.known_runs() == []
