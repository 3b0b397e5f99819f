"""Killed and resumed, on other workers, in other blocks, repeated: the same run."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from fault_project import STEPS, Prepared, Project, events, hashes, last_step
from fault_seen import Seen

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

# The feed is made in blocks of these many steps, by so many tasks; the product has one choice.
OTHER_BLOCKS = """\
import importlib.abc, importlib.machinery, sys


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "gfmp.cluster.feed":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            module.FIRST_BURST_STEPS, module.BURST_STEPS, module.TASKS_PER_BURST = 3, 5, 2

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
"""


def order_by_step(run: Path) -> dict[int, object]:
    """Return the order hash after every step."""
    return {int(str(e["step"])): e["order_hash"] for e in events(run, "step")}


@pytest.mark.fault("Y4")
def test_killed_at_step_8_and_resumed(prepared: Prepared, fresh: Project, seen: Seen) -> None:
    command = fresh.start("submit", str(fresh.job))
    run = fresh.next_run(command)
    fresh.wait_for_step(run, 8, command)
    for process in fresh.processes():
        os.kill(process.pid, signal.SIGKILL)
    seen.exit(command.wait().status)
    fresh.gone(30)
    at = last_step(run)
    assert at < STEPS
    done = fresh.run("submit", "--resume", run.name)
    seen.exit(done.status)
    assert done.status == 0, done.output
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    assert order_by_step(run) == order_by_step(prepared.run)
    seen.outcome(f"killed at {at}, resumed: equal order and weights")
    seen.lost(steps=STEPS - len(order_by_step(run)))


@pytest.mark.fault("Y4")
def test_one_worker_instead_of_two(prepared: Prepared, fresh: Project, seen: Seen) -> None:
    done = fresh.run("submit", str(fresh.job), "--set", "compute.workers=1")
    seen.exit(done.status)
    assert done.status == 0, done.output
    run = fresh.known_runs()[-1]
    assert order_by_step(run) == order_by_step(prepared.run)
    seen.outcome("1 worker: the same samples in every step")
    seen.lost(steps=STEPS - len(order_by_step(run)))


@pytest.mark.fault("Y4")
def test_other_blocks_of_the_feed(prepared: Prepared, fresh: Project, seen: Seen) -> None:
    hook = fresh.folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(OTHER_BLOCKS)
    path = os.pathsep.join(filter(None, (str(hook), os.environ.get("PYTHONPATH"))))
    tasks = ("--set", "compute.feed=tasks")
    done = fresh.run("submit", str(fresh.job), *tasks, env={"PYTHONPATH": path})
    seen.exit(done.status)
    assert done.status == 0, done.output
    run = fresh.known_runs()[-1]
    assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
    seen.outcome("blocks of 5 steps by 2 tasks: equal order and weights")
    seen.lost(steps=int(hashes(run)[1] != prepared.weights_hash))


@pytest.mark.fault("Y4")
def test_a_run_is_reproduced_from_its_record(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    """The job file and the specs are not read again."""
    shutil.copytree(prepared.run, fresh.runs / prepared.run.name)
    fresh.job.unlink()
    shutil.rmtree(fresh.corpora)
    done = fresh.run("reproduce", prepared.run.name)
    seen.exit(done.status)
    assert done.status == 0, done.output
    assert f"equals {prepared.run.name}: weights, order of samples and report" in done.output
    again = fresh.known_runs()[-1]
    assert hashes(again) == (prepared.order_hash, prepared.weights_hash)
    seen.outcome("reproduced from its record: weights, order and report equal to the bit")
    seen.lost(steps=0)
