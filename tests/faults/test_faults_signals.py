"""A driver that is told to stop commits, says how to go on, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from fault_kills import driver_pid, every_step_once
from fault_project import (
    STEPS,
    Command,
    Prepared,
    Project,
    committed,
    events,
    fault,
    hashes,
    last_step,
)
from fault_seen import Seen

# Long enough that a signal finds a step in its middle, on a quick machine too.
SLOW = fault("slow-step", seconds=1)
BARE = """
import os, sys, tempfile, time
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray, ray.train
from ray.train import Checkpoint, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

def loop(config):
    for step in range(1, 1000):
        time.sleep(0.5)
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "step"), "w") as handle:
                handle.write(str(step))
            with open(config["told"], "a") as handle:
                handle.write(f"{step}\\n")
            ray.train.report({"step": step}, checkpoint=Checkpoint.from_directory(folder))

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
TorchTrainer(
    loop,
    train_loop_config={"told": sys.argv[2]},
    scaling_config=ScalingConfig(num_workers=1),
    run_config=RunConfig(name="bare", storage_path=sys.argv[1]),
).fit()
"""


def _stopped(project: Project, command: Command, number: int, times: int = 1) -> Path:
    """Let a command take three more steps, stop it, and check what it says and leaves."""
    run = project.known_runs()[-1]
    project.wait_for_step(run, last_step(run) + 3, command)
    for _ in range(times):
        command.signal(number)
        time.sleep(0.3)
    done = command.wait(120)
    assert done.status == 128 + number, done.output
    assert f"gfmp submit --resume {run.name}" in done.output
    assert project.gone(10) == []
    assert project.leftovers() == []
    return run


@pytest.mark.fault("T2")
def test_each_signal_stops_a_run_that_goes_on_as_if_nothing_had_been(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    command = fresh.start("submit", str(fresh.job), env=SLOW)
    fresh.next_run(command)
    run = _stopped(fresh, command, signal.SIGTERM)
    seen.exit(143)
    # Committed at the last finished step, and said so in the ledger.
    stopped = last_step(run)
    assert committed(run)[-1] == stopped
    assert events(run, "interrupted")[-1] == {"step": stopped, "signal": "SIGTERM"}

    _stopped(fresh, fresh.start("submit", "--resume", run.name, env=SLOW), signal.SIGINT)
    seen.exit(130)
    stopped = last_step(run)
    assert events(run, "resumed")[-1]["step"] == committed(run)[-2]
    assert committed(run)[-1] == stopped

    # The second signal waits for nothing; what was committed is what there is.
    before = time.monotonic()
    _stopped(fresh, fresh.start("submit", "--resume", run.name, env=SLOW), signal.SIGINT, times=2)
    seen.exit(130)
    assert time.monotonic() - before < 120
    assert committed(run)[-1] >= stopped

    done = fresh.run("submit", "--resume", run.name)
    assert done.status == 0, done.output
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    seen.outcome("143, 130, 130: each committed and resumed; weights of the clean run")
    missing = every_step_once(run, STEPS)
    seen.lost(steps=missing, processes=len(fresh.gone(10)), files=len(fresh.leftovers()))
    assert missing == 0


@pytest.mark.ci
@pytest.mark.fault("T2")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_before_there_is_a_run_leaves_nothing(
    prepared: Prepared, fresh: Project, seen: Seen, number: int, status: int
) -> None:
    command = fresh.start("submit", str(fresh.job))
    # The driver has found its workspace and is about to start Ray.
    while not list((fresh.workspace / "logs").glob("*.log")):
        assert command.alive(), command.output
        time.sleep(0.05)
    command.signal(number)
    done = command.wait(60)
    seen.exit(done.status)
    assert done.status == status, done.output
    assert "error[GFMP-R" in done.output
    assert "Traceback" not in done.output
    left = fresh.gone(10)
    seen.lost(processes=len(left), files=len(fresh.leftovers()))
    assert (left, fresh.leftovers(), fresh.known_runs()) == ([], [], [])
    seen.outcome("stops at once; no run, no process")


@pytest.mark.fault("Q7")
def test_sigterm_aborts_a_bare_ray_train_driver_and_stops_ours_in_order(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    script, told = fresh.folder / "bare.py", fresh.folder / "told"
    script.write_text(BARE)
    program = [sys.executable, str(script), str(fresh.folder / "bare"), str(told)]
    bare = fresh.start_program(program)
    while not told.exists() or len(told.read_text().splitlines()) < 3:
        assert bare.alive(), bare.output
        time.sleep(0.1)
    os.kill(bare.pid, signal.SIGTERM)
    failed = bare.wait(120)
    fresh.end_all()
    # The shell shows 134 for it, which the contract calls a bug; ours never ends so.
    assert failed.status in (-signal.SIGABRT, 134), failed.output
    command = fresh.start("submit", str(fresh.job), env=SLOW)
    fresh.next_run(command)
    run = _stopped(fresh, command, signal.SIGTERM)
    seen.exit(143)
    missing = last_step(run) - committed(run)[-1]
    seen.outcome("bare: SIGABRT; gfmp: 143 with the last step committed")
    seen.lost(steps=missing)
    assert missing == 0


@pytest.mark.fault("T2")
def test_a_hangup_is_a_termination_and_a_killed_command_kills_its_driver(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    command = fresh.start("submit", str(fresh.job), env=SLOW)
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 2, command)
    command.signal(signal.SIGHUP)
    done = command.wait(120)
    seen.exit(done.status)
    assert done.status == 143, done.output
    assert committed(run)[-1] == last_step(run)
    again = fresh.start("submit", "--resume", run.name, env=SLOW)
    fresh.wait_for_step(run, last_step(run) + 1, again)
    driver = psutil.Process(driver_pid(run))
    assert driver.ppid() == again.pid
    again.signal(signal.SIGKILL)
    assert again.wait(10).status == -9
    psutil.wait_procs([driver], timeout=5)
    assert not driver.is_running()
    seen.outcome("SIGHUP: 143; no driver outlives its command")
    seen.lost(steps=0)
