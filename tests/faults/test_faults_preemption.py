"""A machine of a cluster will be taken away: the run commits, leaves it and goes on elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import psutil
import pytest
from fault_project import Project, events, hashes, rank_pid, wait_until
from fault_seen import Seen

from gfmp.ledger.run import Run

PROGRAM = Path(__file__).with_name("fault_cluster.py")
STEPS = 4000
JOB = (
    *("--set", f"steps={STEPS}", "--set", f"evaluation.every_steps={STEPS}"),
    # No commit is due before the notice, and no failure is forgiven.
    *("--set", f"checkpoint.every_steps={STEPS}", "--set", "compute.max_failures=0"),
)


@pytest.mark.long
@pytest.mark.fault("T2")
def test_a_notice_moves_the_run_to_another_node(fresh: Project, seen: Seen) -> None:
    fresh.environment.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="of-this-test-alone" * 3)
    cluster = fresh.start_program([sys.executable, str(PROGRAM)])
    wait_until((fresh.folder / "cluster.json").exists, cluster, 180)
    told = json.loads((fresh.folder / "cluster.json").read_text())
    there = {"RAY_ADDRESS": told["address"], "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.5"}
    command = fresh.start("submit", str(fresh.job), *JOB, env=there)
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 5, command)
    first = rank_pid(run, 0)
    node = told["nodes"][str(psutil.Process(first).ppid())]
    (fresh.folder / "drain").write_text(node)
    wait_until(lambda: bool(events(run, "resumed")), command, 240)
    (fresh.folder / "take").touch()
    done = command.wait(400)
    seen.exit(done.status)
    assert done.status == 0, done.output
    (restarted,) = events(run, "restarted")
    (resumed,) = events(run, "resumed")
    assert restarted["cause"] == "preempted"
    assert restarted["delay_seconds"] == 0.0
    # The state was committed at the step of the notice, so nothing is computed twice.
    assert resumed["step"] == restarted["step"]
    book = Run.open(run).book()
    assert book.recomputed == ()
    assert len(book.series("loss")) == STEPS
    assert rank_pid(run, 0) != first
    (fresh.folder / "end").touch()
    cluster.wait(60)
    clean = fresh.run("submit", str(fresh.job), *JOB, "--new", seconds=400)
    assert clean.status == 0, clean.output
    assert hashes(fresh.known_runs()[-1]) == hashes(run)
    left = fresh.gone(10)
    seen.outcome(
        "committed at the notice, went on elsewhere, no step twice; weights as undisturbed"
    )
    seen.lost(steps=len(book.recomputed), processes=len(left), files=len(fresh.leftovers()))
    assert (left, fresh.leftovers()) == ([], [])
