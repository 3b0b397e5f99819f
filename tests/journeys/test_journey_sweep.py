"""Kill a sweep: what was finished stays, the rest is run, and the table is the undisturbed one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from journey_project import Project, events, make_project

SWEEP = """\
kind: sweep
name: grid
tasks: [gc]
label_percents: [25, 50, 100]
seeds: [0, 1]
arms:
  - learner: {kind: probe, penalties: [0.1, 1.0]}
    vocabularies: [kmer3]
    initial: [small]
  - learner: {kind: finetune, learning_rate: 1e-3, batch_rows: 8, epochs: 25, patience: 25}
    vocabularies: [kmer3]
    initial: [small]
    label_percents: [100]
  - learner: {kind: kmer, longest: 4}
compute: {workers: 1}
"""
NUM_CELLS = 6 + 2 + 6
TASK = """\
kind: task
description: Sequences with more G and C, and with less.
source: {format: csv, files: {all: {path: gc.csv}}, split_column: split}
target: {kind: binary}
metric: mcc
"""
QUICK = (
    "steps=4",
    "optimiser.warmup_steps=1",
    "compute.workers=1",
    "compute.zero_stage=ddp",
    "sampling.global_batch_sequences=4",
    "evaluation.final_hidden_bases=200",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a task, a sweep and a model that was really pretrained."""
    project = make_project(tmp_path_factory.mktemp("sweep") / "trained")
    (project.folder / "specs" / "tasks").mkdir()
    (project.folder / "specs" / "tasks" / "gc.yaml").write_text(TASK)
    (project.folder / "specs" / "tasks" / "gc.csv").write_text("\n".join(_rows()) + "\n")
    (project.folder / "sweep.yaml").write_text(SWEEP)
    options = [part for text in QUICK for part in ("--set", text)]
    assert project.run("submit", str(project.job), *options) == 0, project.output
    return project


def _rows() -> list[str]:
    generator = np.random.default_rng(3)
    rows = ["sequence,label,split"]
    for split, num_rows in (("train", 64), ("valid", 40), ("test", 40)):
        for row in range(num_rows):
            gc = 0.65 if row % 2 else 0.35
            chances = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
            rows.append(
                f"{''.join(generator.choice(list('ACGT'), 60, p=chances))},{row % 2},{split}"
            )
    return rows


def _copy(trained: Project, name: str) -> Project:
    """Return the project in a folder of its own, with the model and no cells."""
    folder = trained.folder.with_name(name)
    shutil.copytree(trained.folder, folder)
    return Project(folder)


@pytest.fixture(scope="module")
def clean(trained: Project) -> Path:
    """A sweep that nobody disturbed."""
    project = _copy(trained, "clean")
    assert project.run("sweep", "sweep.yaml") == 0, project.output
    run = project.known_runs()[-1]
    assert len(_cells(run)) == NUM_CELLS
    return run


def _cells(run: Path) -> set[object]:
    return {event["fields"]["cell"] for event in events(run, "cell")}


def _tables(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "report").glob("*.csv"))}


def _interrupted_at(project: Project, cells: int) -> tuple[subprocess.Popen[str], Path]:
    """Start the sweep and return when so many cells have results."""
    driver = project.start("sweep", "sweep.yaml")
    run = project.next_run(driver)
    while len(_cells(run)) < cells:
        assert driver.poll() is None, f"ended before {cells} cells\n{project.output}"
        time.sleep(0.02)
    return driver, run


def _check_nothing_ran_twice(run: Path) -> None:
    """Check that no cell began again after its result was there."""
    done = {
        e["fields"]["cell"]: e["time"] for e in events(run, "cell") if not e["fields"]["reused"]
    }
    late = [
        event
        for event in events(run, "cell_started")
        if event["fields"]["cell"] in done and event["time"] > done[event["fields"]["cell"]]
    ]
    assert not late
    results = Counter(e["fields"]["cell"] for e in events(run, "cell") if not e["fields"]["reused"])
    assert set(results.values()) == {1}


def test_kill_the_driver_then_resume(trained: Project, clean: Path) -> None:
    project = _copy(trained, "killed")
    driver, run = _interrupted_at(project, 3)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    before = _cells(run)
    assert 3 <= len(before) < NUM_CELLS
    assert not (run / "report").exists()
    assert project.run("sweep", "--resume", run.name) == 0, project.output
    assert _cells(run) == _cells(clean)
    _check_nothing_ran_twice(run)
    began_again = {e["fields"]["cell"] for e in events(run, "cell_started") if e["segment"] > 0}
    assert began_again and not began_again & before
    assert _tables(run) == _tables(clean)
    # It is over now: another resume changes nothing and says so.
    assert project.run("sweep", "--resume", run.name) == 73
    assert "is finished" in project.output


def test_sigterm_stops_between_cells_and_says_how_to_go_on(trained: Project, clean: Path) -> None:
    project = _copy(trained, "stopped")
    driver, run = _interrupted_at(project, 1)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=90) == 143, project.output
    assert f"gfmp sweep --resume {run.name}" in " ".join(project.output.split())
    assert len(events(run, "interrupted")) == 1
    before = _cells(run)
    assert 1 <= len(before) < NUM_CELLS
    # What had begun was finished: nothing is lost by a polite stop.
    assert {e["fields"]["cell"] for e in events(run, "cell_started")} == before
    assert project.run("sweep", "--resume", run.name) == 0, project.output
    _check_nothing_ran_twice(run)
    assert (
        Counter(e["fields"]["cell"] for e in events(run, "cell_started")).most_common(1)[0][1] == 1
    )
    assert _tables(run) == _tables(clean)
