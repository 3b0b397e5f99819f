"""Killing what a run consists of: its ranks, its driver, the head of its Ray session."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from fault_project import Command, Project, events, last_step

KINDS = ("worker", "driver", "head")
_HEAD = ("gcs_server", "raylet")
# A new owner empties the lock before it writes itself into it.
_WRITTEN_SECONDS = 10.0


def driver_pid(run: Path) -> int:
    """Return the process that drives the run, or drove it last: the owner of its lock."""
    deadline = time.monotonic() + _WRITTEN_SECONDS
    while not (written := (run / "owner.lock").read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return int(json.loads(written)["pid"])


def dead_sessions() -> list[Path]:
    """Return Ray's sessions in gfmp's own folder for them whose drivers are gone."""
    folder = Path(f"/tmp/gfmp-{os.getuid()}/ray")
    return [
        path
        for path in folder.glob("session_[0-9]*")
        if not psutil.pid_exists(int(path.name.rpartition("_")[2]))
    ]


@dataclass
class Killer:
    """Kills one process of a run after another, by id, and counts them.

    Attributes:
        project: Where the run is; only processes that carry its mark are touched.
        run: The run.
        seed: Of the draws.
    """

    project: Project
    run: Path
    seed: int
    killed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def seconds(self, least: float, most: float) -> float:
        """Draw how long to wait."""
        return self._random.uniform(least, most)

    def kill(self, kind: str) -> bool:
        """Kill one process of this kind; returns False when none lives."""
        found = self._living(kind)
        if not found:
            self.killed["missed"] += 1
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            self._random.choice(found).kill()
        self.killed[kind] += 1
        return True

    def kill_any(self, kinds: tuple[str, ...] = KINDS) -> None:
        """Kill a process of a kind that is drawn."""
        self.kill(self._random.choice(kinds))

    def _living(self, kind: str) -> list[psutil.Process]:
        marked = {process.pid: process for process in self.project.processes()}
        if kind == "worker":
            return [marked[pid] for pid in self._ranks() if pid in marked]
        with contextlib.suppress(OSError, ValueError, KeyError, psutil.NoSuchProcess):
            driver = marked[driver_pid(self.run)]
            if kind == "driver":
                return [driver]
            return [child for child in driver.children() if child.name() in _HEAD]
        return []

    def _ranks(self) -> list[int]:
        pids = []
        for path in (self.run / "workers").glob("rank*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                pids.append(int(json.loads(path.read_text())["pid"]))
        return pids


def wait_for_new_steps(run: Path, command: Command, seconds: float) -> bool:
    """Wait until the run takes steps again; returns False when the command ended before."""
    deadline = time.monotonic() + seconds
    before = len(events(run, "step"))
    while len(events(run, "step")) == before:
        if not command.alive():
            return False
        assert time.monotonic() < deadline, f"no step for {seconds} s\n{command.output}"
        time.sleep(0.1)
    return True


def every_step_once(run: Path, steps: int) -> int:
    """Return how many of the steps 1 .. `steps` are missing from the run's own curve."""
    from gfmp.ledger.run import Run

    found = [point.step for point in Run.open(run).series("loss")]
    assert found == sorted(set(found))
    assert last_step(run) <= steps
    return steps - len(found)
