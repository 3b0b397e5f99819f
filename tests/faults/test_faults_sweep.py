"""Sweeps with failing cells and killed processes: a table is whole, or says what it lacks."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from fault_project import Project, events, fault
from fault_seen import Seen
from fault_sweeps import (
    cell_files,
    computed,
    finished_cells,
    kill_at_random,
    make_sweeps,
    planned,
    table,
)

# How long the long kill loop goes on; a whole record takes 900 s.
LOOP_SECONDS = float(os.environ.get("GFMP_FAULT_SECONDS", "120"))


def words(text: str) -> str:
    """Return text as one line, so that wrapping cuts no sentence."""
    return " ".join(text.split())


def ended(project: Project) -> Project:
    """Make sure that nothing of a project is left running."""
    project.end_all()
    return project


@pytest.mark.fault("S1")
def test_two_of_six_cells_raise(tmp_path: Path, seen: Seen) -> None:
    project = make_sweeps(tmp_path / "project")
    done = project.run("sweep", "specs/grid.yaml", env=fault("raise-cell", percent=50))
    assert done.status == 3, done.output
    run = project.known_runs()[-1]
    said = words(done.output)
    assert "2 cells have no result" in said
    for name in ("gc", "at"):
        assert f"on {name} at 50 %, seed 0: RuntimeError: a fault of user code" in said
    assert "Traceback" not in done.output
    before = cell_files(project)
    assert len(finished_cells(project)) == 4
    assert (run / "report" / "report.html").is_file(), "what is finished is reported"
    again = project.run("sweep", "--resume", run.name)
    assert again.status == 0, again.output
    after = cell_files(project)
    assert {name: after[name] for name in before} == before, "four results, byte for byte"
    assert finished_cells(project) == set(planned(run))
    assert sorted(computed(run).values()) == [1] * 6, "two were run, four were not run again"
    seen.exit(done.status)
    seen.exit(again.status)
    seen.outcome("4 finish, both failed cells named; --resume runs 2")
    seen.lost(cells=len(set(planned(run)) - finished_cells(project)))
    assert ended(project).gone(5) == []


@pytest.mark.fault("S1")
def test_a_cell_that_kills_its_workers_is_given_up_alone(tmp_path: Path, seen: Seen) -> None:
    project = make_sweeps(tmp_path / "project")
    done = project.run("sweep", "specs/grid.yaml", env=fault("kill-cell", percent=50))
    assert done.status == 3, done.output
    assert words(done.output).count("its worker died 5 times while it computed this cell") == 2
    assert len(finished_cells(project)) == 4, "the cells behind it are not lost with it"
    seen.exit(done.status)
    seen.outcome("a deadly cell costs 5 workers and no other cell")
    seen.lost(cells=4 - len(finished_cells(project)))
    ended(project)


def undisturbed(folder: Path, seeds: tuple[int, ...]) -> bytes:
    """Return the table of the sweep when nobody kills anything."""
    project = make_sweeps(folder, seeds)
    done = project.run("sweep", "specs/grid.yaml")
    assert done.status == 0, done.output
    return table(project.known_runs()[-1])


def check_whole(project: Project, expected: bytes) -> None:
    """Check that a sweep that was killed at is what it would have been."""
    run = project.known_runs()[-1]
    assert finished_cells(project) == set(planned(run))
    assert table(run) == expected
    assert max(computed(run).values()) == 1, "no cell counts twice"
    assert len(events(run, "finished")) == 1
    assert project.gone(20) == []
    assert project.leftovers() == []


@pytest.mark.long
@pytest.mark.fault("T4")
def test_random_kills_of_a_sweep(tmp_path: Path, seen: Seen) -> None:
    expected = undisturbed(tmp_path / "calm", (0,))
    project = make_sweeps(tmp_path / "project")
    command = project.start("sweep", "specs/grid.yaml", env=fault("slow-cell", seconds=2))
    kills = kill_at_random(project, command, (3.0, 5.0), random.Random(1))
    assert kills.done.status == 0, kills.done.output
    check_whole(project, expected)
    seen.exit(kills.done.status)
    seen.outcome(f"finished after {len(kills.victims)} kills; the table of a calm sweep")
    seen.lost(cells=0, processes=len(ended(project).gone(1)))


@pytest.mark.long
@pytest.mark.fault("T4")
def test_twelve_cells_under_kills_for_as_long_as_is_asked(tmp_path: Path, seen: Seen) -> None:
    rng, began, num_kills, num_sweeps = random.Random(2), time.monotonic(), 0, 0
    while num_sweeps == 0 or time.monotonic() - began < LOOP_SECONDS:
        seeds = (2 * num_sweeps, 2 * num_sweeps + 1)
        expected = undisturbed(tmp_path / f"calm-{num_sweeps}", seeds)
        project = make_sweeps(tmp_path / f"project-{num_sweeps}", seeds)
        command = project.start("sweep", "specs/grid.yaml", env=fault("slow-cell", seconds=2))
        kills = kill_at_random(project, command, (3.0, 10.0), rng)
        assert kills.done.status == 0, kills.done.output
        check_whole(project, expected)
        num_kills += len(kills.victims)
        num_sweeps += 1
        ended(project)
    seen.exit(0)
    seconds = time.monotonic() - began
    seen.outcome(f"{num_sweeps} sweeps of 12 cells, {num_kills} kills in {seconds:.0f} s")
    seen.lost(cells=0, files=0, processes=0)
