"""Small sweeps of baselines: no corpus, no pretraining, cells of a second."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from fault_project import PATIENCE, Command, Done, Project, events

TASKS = ("gc", "at")
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


@dataclass(frozen=True)
class Kills:
    """What a random-kill loop did: one word for each process that it killed."""

    victims: tuple[str, ...]
    done: Done


def kill_at_random(
    project: Project, command: Command, pauses: tuple[float, float], rng: random.Random
) -> Kills:
    """Kill one process of a command again and again, each as likely, until it ends.

    Victims are its driver, what computes cells or trains, and Ray's head. The command itself,
    which a person or a scheduler holds, is left alone.
    """
    victims: list[str] = []
    deadline = time.monotonic() + PATIENCE * 6
    while command.alive() and time.monotonic() < deadline:
        time.sleep(rng.uniform(*pauses))
        kinds = _victims(project, command)
        if kinds and command.alive():
            kind = rng.choice(sorted(kinds))
            rng.choice(kinds[kind]).kill()
            victims.append(kind)
    return Kills(tuple(victims), command.wait())


def _victims(project: Project, command: Command) -> dict[str, list[psutil.Process]]:
    found: dict[str, list[psutil.Process]] = {}
    for process in project.processes():
        if process.pid == command.pid:
            continue
        try:
            words, name = " ".join(process.cmdline()), process.name()
            parent = process.ppid()
        except psutil.Error:
            continue
        if parent == command.pid:
            kind = "driver"
        elif name in ("gcs_server", "raylet"):
            kind = "head"
        elif words.startswith("ray::"):
            kind = "worker"
        else:
            continue
        found.setdefault(kind, []).append(process)
    return found
