"""Kill anything at any time: the run ends as if nobody had."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from fault_kills import KINDS, Killer, dead_sessions, every_step_once, wait_for_new_steps
from fault_project import Command, Prepared, Project, committed, events, hashes
from fault_seen import Seen

pytestmark = pytest.mark.long
# The whole loop takes 900 s; a part of it shows the same in less time.
LOOP_SECONDS = float(os.environ.get("GFMP_KILL_SECONDS", "120"))
PATIENCE = 3600.0
# More than are taken under kills in that time, so that the loop is not over before.
LOOP_STEPS = max(600, round(1.5 * LOOP_SECONDS))


@pytest.mark.timeout(3600)
@pytest.mark.fault("T4")
def test_random_kills_every_few_seconds_of_training_until_it_is_done(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    """As in Ray's own stress test, the seconds are those in which the work goes on."""
    job = ("--set", "steps=400", "--set", "checkpoint.every_steps=5")
    rare = ("--set", "evaluation.every_steps=400")
    clean = _clean(fresh, *job, *rare)
    command = fresh.start("submit", str(fresh.job), *job, *rare, "--new")
    run = fresh.next_run(command, known=1)
    killer = Killer(fresh, run, seed=4)
    newest = 0
    while wait_for_new_steps(run, command, 900):
        time.sleep(killer.seconds(3, 5))
        reached = _newest(run)
        assert reached >= newest, "progress was lost"
        newest = reached
        killer.kill_any(("worker", "driver"))
    _ends_like(clean, run, fresh, command, seen, 400)
    seen.outcome(f"{dict(killer.killed)} (seed {killer.seed}): weights of the clean run")


@pytest.mark.timeout(7200)
@pytest.mark.fault("T4")
def test_a_kill_every_few_seconds_whatever_the_run_is_doing(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    """A worker, the driver or Ray's head every 3 to 10 s by the clock, then the run is let go."""
    job = ("--set", f"steps={LOOP_STEPS}", "--set", "checkpoint.every_steps=5")
    rare = ("--set", f"evaluation.every_steps={LOOP_STEPS}")
    clean = _clean(fresh, *job, *rare)
    command = fresh.start("submit", str(fresh.job), *job, *rare, "--new")
    run = fresh.next_run(command, known=1)
    killer = Killer(fresh, run, seed=5)
    began = time.monotonic()
    while command.alive() and time.monotonic() < began + LOOP_SECONDS:
        time.sleep(killer.seconds(3, 10))
        killer.kill_any(KINDS)
    seconds = time.monotonic() - began
    _ends_like(clean, run, fresh, command, seen, LOOP_STEPS)
    starts = len(events(run, "started"))
    said = f"{seconds:.0f} s: {dict(killer.killed)}, {starts} starts (seed {killer.seed})"
    seen.outcome(f"{said}: weights of the clean run")
    assert len(dead_sessions()) <= 4  # the last three, and one of somebody else that just ended


def _clean(project: Project, *job: str) -> Path:
    done = project.run("submit", str(project.job), *job, seconds=PATIENCE)
    assert done.status == 0, done.output
    return project.known_runs()[-1]


def _newest(run: Path) -> int:
    return max(committed(run), default=0)


def _ends_like(
    clean: Path, run: Path, project: Project, command: Command, seen: Seen, steps: int
) -> None:
    done = command.wait(PATIENCE)
    seen.exit(done.status)
    assert done.status == 0, done.output
    assert hashes(run) == hashes(clean)
    assert committed(run) == committed(clean)
    assert project.known_runs() == [clean, run]
    missing = every_step_once(run, steps)
    left = project.gone(10)
    seen.lost(steps=missing, processes=len(left), files=len(project.leftovers()))
    assert (missing, left, project.leftovers()) == (0, [], [])
    # The same files as in a run that nobody disturbed, but for its longer history.
    assert _files(run) == _files(clean)


def _files(run: Path) -> set[str]:
    return {
        str(path.relative_to(run))
        for path in run.rglob("*")
        if path.is_file() and "ledger" not in path.parts and path.name != "closed.json"
    }
