"""Workers are killed: the run goes on by itself, says what happened, and ends as if nothing had."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest
from fault_project import STEPS, Prepared, Project, committed, events, fault, hashes, kill_rank
from fault_seen import Seen

from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.training.restore import find_newest


def kills(folder: Path, *places: tuple[int, int]) -> dict[str, str]:
    """Return the environment that kills ranks once each, at (rank, step)."""
    made = [
        fault("kill", once=folder / f"killed-{number}", rank=rank, step=step)
        for number, (rank, step) in enumerate(places)
    ]
    return {**made[0], "GFMP_FAULT": ";".join(each["GFMP_FAULT"] for each in made)}


def recoveries(run: Path) -> list[float]:
    """Return the seconds from each failure to the next step that was taken."""
    told: list[Event] = list(Run.open(run).events("restarted", "step"))
    found, failed = [], 0.0
    for event in told:
        if event.kind == "restarted":
            failed = event.time
        elif failed:
            found.append(event.time - failed)
            failed = 0.0
    return found


def lost_steps(run: Path) -> int:
    """Return how many steps of the job the run has no number of."""
    return STEPS - len(Run.open(run).series("loss"))


@pytest.mark.ci
@pytest.mark.fault("T1")
def test_two_killed_ranks_cost_a_few_steps_and_nothing_else(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    env = kills(fresh.folder, (0, 10), (1, 18))
    done = fresh.run("submit", str(fresh.job), "--set", "compute.max_failures=1", env=env)
    seen.exit(done.status)
    assert done.status == 0, done.output
    run = fresh.known_runs()[-1]
    restarts = events(run, "restarted")
    assert [(e["cause"], e["rank"], e["signal"]) for e in restarts] == [
        ("killed", 0, "SIGKILL"),
        ("killed", 1, "SIGKILL"),
    ]
    assert all(isinstance(e["pid"], int) and e["pid"] > 1 for e in restarts)
    assert [(e["step"], e["delay_seconds"]) for e in restarts] == [(9, 1.0), (17, 1.0)]
    assert "rank 0 (pid" in done.output
    assert "killed by SIGKILL after step 9" in done.output
    # The newest checkpoint, or the one before it where its commit was still under way.
    first, second = (e["step"] for e in events(run, "resumed"))
    assert (first in (4, 8), second in (12, 16)) == (True, True), (first, second)
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    assert committed(run) == committed(prepared.run)
    assert {p.name for p in run.iterdir()} == {p.name for p in prepared.run.iterdir()}
    slowest = max(recoveries(run))
    assert slowest <= 45, f"training again after {slowest:.1f} s"
    seen.outcome(f"weights of the clean run; training again {slowest:.0f} s after each kill")
    left = fresh.gone(10)
    seen.lost(steps=lost_steps(run), processes=len(left), files=len(fresh.leftovers()))
    assert (lost_steps(run), left, fresh.leftovers()) == (0, [], [])
    _tells_where_the_time_went(fresh, run, done.output)


def _tells_where_the_time_went(project: Project, run: Path, output: str) -> None:
    """G2: ETTR and its shares at the end of the run, in `runs show`, and in MLflow."""
    line = next(text for text in output.splitlines() if text.startswith("ETTR "))
    assert all(f"{name} " in line for name in ("productive", "start-up", "checkpoint"))
    assert all(f"{name} " in line for name in ("recompute", "stall"))
    assert "tokens a second of that time, with 2 failures" in output
    assert "checkpoint.every_steps=" in output
    shown = project.run("runs", "show", run.name)
    assert line in shown.output
    numbers = json.loads(project.run("runs", "show", run.name, "--json").output)["goodput"]
    shares = ("productive", "startup", "checkpoint", "recompute", "stall")
    total = sum(numbers[f"goodput/{name}_seconds"] for name in shares)
    assert total == pytest.approx(numbers["goodput/wall_seconds"], rel=1e-6)
    assert numbers["goodput/failures"] == 2
    assert 0.0 < numbers["goodput/ettr"] < 1.0
    assert numbers["goodput/recompute_seconds"] > 0.0


@pytest.mark.fault("T1")
def test_a_rank_that_fails_at_one_place_again_and_again_ends_the_run(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    env = fault("raise", rank=1, step=6)
    done = fresh.run("submit", str(fresh.job), "--set", "compute.max_failures=1", env=env)
    seen.exit(done.status)
    assert done.status == 70, done.output
    assert "RuntimeError: a fault of user code" in " ".join(done.output.split())
    assert "2 failures without a new checkpoint" in done.output
    run = fresh.known_runs()[-1]
    assert len(events(run, "restarted")) == 1
    assert events(run, "failed")
    newest = find_newest(run / "checkpoints")
    assert newest.path is not None
    assert newest.path.name == "step-000000004"
    again = fresh.run("submit", "--resume", run.name)
    seen.exit(again.status)
    assert again.status == 0, again.output
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    seen.outcome("gives up after the failures it may retry; the resumed run equals the clean one")
    seen.lost(steps=lost_steps(run), processes=len(fresh.gone(10)))
    assert lost_steps(run) == 0


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.fault("T1")
def test_a_kill_every_minute_leaves_most_of_the_time_to_training(
    fresh: Project, seen: Seen
) -> None:
    """G2: with a kill every 60 s for 5 min the ETTR is at least 0.55, the weights are the same."""
    long_job = ("--set", "steps=9000", "--set", "checkpoint.every_steps=20")
    rare = ("--set", "evaluation.every_steps=9000")
    clean = fresh.run("submit", str(fresh.job), *long_job, *rare, seconds=900)
    assert clean.status == 0, clean.output
    undisturbed = fresh.known_runs()[-1]
    command = fresh.start("submit", str(fresh.job), *long_job, *rare, "--new")
    run = fresh.next_run(command, known=1)
    began = time.monotonic()
    for number in itertools.count(1):
        while command.alive() and time.monotonic() - began < 60 * number:
            time.sleep(0.2)
        if not command.alive() or number > 5:
            break
        kill_rank(run, number % 2)
    done = command.wait(900)
    seen.exit(done.status)
    assert done.status == 0, done.output
    assert hashes(run) == hashes(undisturbed)
    numbers = json.loads(fresh.run("runs", "show", run.name, "--json").output)["goodput"]
    restarts = len(events(run, "restarted"))
    assert restarts >= 4
    assert numbers["goodput/ettr"] >= 0.55
    seen.outcome(f"ETTR {numbers['goodput/ettr']:.2f} with {restarts} kills, one a minute")
    left = fresh.gone(10)
    seen.lost(processes=len(left), files=len(fresh.leftovers()))
    assert (left, fresh.leftovers()) == ([], [])
