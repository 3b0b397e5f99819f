"""A run that is started again and again leaves no more behind than one that is not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import psutil
import pytest
from fault_kills import Killer, dead_sessions, driver_pid, every_step_once
from fault_project import Prepared, Project, committed, hashes, wait_until
from fault_seen import Seen

pytestmark = pytest.mark.long
RESTARTS = 30
STEPS = 3 * RESTARTS


def _files(workspace: Path) -> Counter[str]:
    """Count the files of a workspace by place; a ledger grows by two files a start, as it must."""
    places = (p.relative_to(workspace).parts for p in workspace.rglob("*") if p.is_file())
    return Counter("/".join(parts[:3]) for parts in places if "ledger" not in parts)


@pytest.mark.timeout(7200)
@pytest.mark.fault("L3")
def test_thirty_forced_restarts_leave_no_litter(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    job = ("--set", f"steps={STEPS}", "--set", "checkpoint.every_steps=1")
    rare = ("--set", f"evaluation.every_steps={STEPS}")
    clean = fresh.run("submit", str(fresh.job), *job, *rare, seconds=1800)
    assert clean.status == 0, clean.output
    undisturbed = fresh.known_runs()[-1]
    command = fresh.start("submit", str(fresh.job), *job, *rare, "--new")
    run = fresh.next_run(command, known=1)
    killer = Killer(fresh, run, seed=3)
    supervisor = psutil.Process(command.pid)
    fds, files, memory = [], [], []
    killed = 0
    for _ in range(RESTARTS):
        # A commit that was under way may still end after its driver: the next one's counts.
        wait_until(lambda killed=killed: driver_pid(run) != killed, command, 900)
        before = max(committed(run), default=0)
        wait_until(lambda before=before: max(committed(run), default=0) > before, command, 900)
        killed = driver_pid(run)
        fds.append((supervisor.num_fds(), psutil.Process(killed).num_fds()))
        files.append(_files(fresh.workspace))
        memory.append(supervisor.memory_info().rss)
        assert killer.kill("driver")
    done = command.wait(1800)
    seen.exit(done.status)
    assert done.status == 0, done.output
    assert done.output.count("the driver died (killed by SIGKILL)") == RESTARTS
    assert hashes(run) == hashes(undisturbed)
    # Nothing grows between the third life and the last.
    assert fds[-1][0] <= fds[2][0] + 2
    assert fds[-1][1] <= fds[2][1] + 20
    assert memory[-1] <= memory[2] + (16 << 20)
    grown = {place: count for place, count in (files[-1] - files[2]).items() if count > 2}
    assert not grown, grown
    assert len(dead_sessions()) <= 4  # the last three, and one of somebody else that just ended
    left = fresh.gone(10)
    missing = every_step_once(run, STEPS)
    seen.outcome(f"{RESTARTS} restarts: no growth of files, descriptors, processes or sessions")
    seen.lost(steps=missing, processes=len(left), files=len(fresh.leftovers()))
    assert (missing, left, fresh.leftovers()) == (0, [], [])
