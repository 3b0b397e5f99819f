"""A rank stands still: it is found, says where it stood, and the run goes on or gives up."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from fault_project import STEPS, Prepared, Project, committed, events, fault, hashes, kill_rank
from fault_seen import Seen

from gfmp.ledger.run import Run

# Longer than a step takes on a busy machine; noticing takes that, 5 s and a poll of Ray.
STALL = ("--set", "compute.stall_seconds=20")


def noticed_after(run: Path) -> list[float]:
    """Return the seconds from the last step of each worker group to the word of its failure."""
    seconds, last = [], 0.0
    for event in Run.open(run).events("step", "restarted", "failed"):
        if event.kind == "step":
            last = event.time
        else:
            seconds.append(event.time - last)
    return seconds


@pytest.mark.fault("T7")
def test_a_hung_rank_is_found_named_and_started_again(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    env = fault("hang", once=fresh.folder / "hung", rank=1, step=6)
    done = fresh.run("submit", str(fresh.job), *STALL, env=env)
    seen.exit(done.status)
    assert done.status == 0, done.output
    run = fresh.known_runs()[-1]
    (restarted,) = events(run, "restarted")
    assert (restarted["cause"], restarted["rank"]) == ("stalled", 1)
    assert restarted["signal"] == "SIGALRM"
    assert "it stood in _stop_here" in str(restarted["detail"])
    stack = (run / "logs" / "stack-rank1.log").read_text()
    assert "in _stop_here" in stack
    assert "in train_worker" in stack
    assert "_stop_here" in fresh.run("runs", "logs", run.name, "--lines", "400").output
    slowest = max(noticed_after(run))
    assert slowest <= 60
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    seen.outcome(f"noticed after {slowest:.0f} s, stack logged, weights of the clean run")
    missing = STEPS - len(Run.open(run).series("loss"))
    left = fresh.gone(10)
    seen.lost(steps=missing, processes=len(left), files=len(fresh.leftovers()))
    assert (missing, left) == (0, [])


@pytest.mark.fault("T7")
def test_a_rank_that_always_hangs_there_ends_the_run(fresh: Project, seen: Seen) -> None:
    env = fault("hang", rank=1, step=6)
    one = ("--set", "compute.max_failures=1")
    done = fresh.run("submit", str(fresh.job), *STALL, *one, env=env)
    seen.exit(done.status)
    assert done.status == 70, done.output
    assert "failed (stalled) after step 5: it stood in _stop_here" in " ".join(done.output.split())
    run = fresh.known_runs()[-1]
    assert len(events(run, "restarted")) == 1
    assert len(noticed_after(run)) == 2
    assert max(noticed_after(run)) <= 60
    assert committed(run) == [4]
    left = fresh.gone(10)
    seen.outcome("given up after the second time; the last checkpoint stays")
    seen.lost(processes=len(left), files=len(fresh.leftovers()))
    assert (left, fresh.leftovers()) == ([], [])


@pytest.mark.fault("T7")
def test_a_rank_that_is_frozen_is_ended_and_started_again(fresh: Project, seen: Seen) -> None:
    """A stopped process runs neither its own clock nor anything that Ray asks of it."""
    steps = ("--set", "steps=2000", "--set", "checkpoint.every_steps=100")
    rare = ("--set", "evaluation.every_steps=2000")
    command = fresh.start("submit", str(fresh.job), *STALL, *steps, *rare)
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 110, command)
    frozen = kill_rank(run, 1, signal.SIGSTOP)
    done = command.wait()
    seen.exit(done.status)
    assert done.status == 0, done.output
    (restarted,) = events(run, "restarted")
    assert (restarted["cause"], restarted["rank"]) == ("stalled", 1)
    assert restarted["pid"] == frozen
    assert Run.open(run).last_step() == 2000
    left = fresh.gone(10)
    assert not left
    seen.outcome("a rank that is frozen from outside is ended, the run finishes")
    seen.lost(processes=len(left), files=len(fresh.leftovers()))
