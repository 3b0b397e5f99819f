"""Small sweeps of baselines: no corpus, no pretraining, cells of a second."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from fault_kills import driver_pid
from fault_project import Command, Project, events

TASKS = ("gc", "at")
_HEAD = ("gcs_server", "raylet")
TASK = """\
kind: task
description: Sequences with more {name}, and with less.
source: {{format: csv, files: {{all: {{path: {name}.csv}}}}, split_column: split}}
target: {{kind: binary}}
metric: mcc
"""
SWEEP = """\
kind: sweep
name: grid
tasks: [gc, at]
label_percents: [25, 50, 100]
seeds: {seeds}
arms:
  - learner: {{kind: kmer, longest: 3}}
compute: {{workers: 2, threads_per_worker: 1}}
"""


def make_sweeps(folder: Path, seeds: Sequence[int] = (0,)) -> Project:
    """Write a project whose sweep has six cells for each seed, in two trials."""
    for name in ("specs/tasks", "workspace"):
        (folder / name).mkdir(parents=True)
    for name in TASKS:
        (folder / "specs" / "tasks" / f"{name}.yaml").write_text(TASK.format(name=name))
        (folder / "specs" / "tasks" / f"{name}.csv").write_text("\n".join(_rows(name)) + "\n")
    (folder / "specs" / "grid.yaml").write_text(SWEEP.format(seeds=list(seeds)))
    return Project(folder)


def _rows(name: str) -> list[str]:
    rng = np.random.default_rng(len(name) + ord(name[0]))
    rows = ["sequence,label,split"]
    for split, number in (("train", 64), ("valid", 40), ("test", 40)):
        for row in range(number):
            share = 0.62 if (row % 2 == 0) == (name == "at") else 0.38
            chances = [(1 - share) / 2, share / 2, share / 2, (1 - share) / 2]
            letters = "".join(rng.choice(list("ACGT"), 60, p=chances))
            rows.append(f"{letters},{row % 2},{split}")
    return rows


def cell_files(project: Project) -> dict[str, str]:
    """Return the digest of every file of every finished cell, by its path."""
    cells = project.workspace / "cells"
    return {
        str(path.relative_to(cells)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(cells.glob("??/[!.]*/*"))
    }


def finished_cells(project: Project) -> set[str]:
    """Return the fingerprints of the cells that have a result."""
    return {path.parent.name for path in (project.workspace / "cells").glob("??/[!.]*/result.json")}


def planned(run: Path) -> list[str]:
    """Return the fingerprints of the cells of a sweep."""
    return [cell["fingerprint"] for cell in json.loads((run / "plan.json").read_text())["cells"]]


def table(run: Path) -> bytes:
    """Return the table of results of a sweep."""
    return (run / "report" / "results.csv").read_bytes()


def computed(run: Path) -> Counter[str]:
    """Return how often the ledger says that this run computed each cell."""
    return Counter(str(e["cell"]) for e in events(run, "cell") if e["reused"] is False)


@dataclass
class SweepKiller:
    """Kills what a sweep consists of: its trials, its driver, the head of its Ray session.

    The command itself, which a person or a scheduler holds, is left alone.

    Attributes:
        project: Only processes that carry its mark are touched.
        run: The sweep.
        seed: Of the draws.
    """

    project: Project
    run: Path
    seed: int
    killed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def pause(self, least: float, most: float) -> None:
        """Wait for as long as is drawn."""
        time.sleep(self._random.uniform(least, most))

    def kill_any(self, kinds: Sequence[str]) -> None:
        """Kill a process of a kind that is drawn."""
        kind = self._random.choice(list(kinds))
        found = self._living(kind)
        if found:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._random.choice(found).kill()
        self.killed[kind if found else "missed"] += 1

    def _living(self, kind: str) -> list[psutil.Process]:
        marked = self.project.processes()
        if kind == "worker":
            return [process for process in marked if _title(process).startswith("ray::Implicit")]
        driver = driver_pid(self.run)
        if kind == "driver":
            return [process for process in marked if process.pid == driver]
        return [process for process in marked if _title(process).split(" ")[0] in _HEAD]


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        return " ".join([Path(words[0]).name, *words[1:]]) if words else ""
    return ""


def wait_for_work(run: Path, command: Command, seconds: float) -> bool:
    """Wait until a cell is begun or ends; returns False when the command ended before."""
    deadline = time.monotonic() + seconds
    before = len(events(run, "cell_started", "cell"))
    while len(events(run, "cell_started", "cell")) == before:
        if not command.alive():
            return False
        assert time.monotonic() < deadline, f"no cell for {seconds} s\n{command.output}"
        time.sleep(0.1)
    return True
