"""Sweeps with failing cells and killed processes: a table is whole, or says what it lacks."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest
from fault_project import Command, Project, events, fault
from fault_seen import Seen
from fault_sweeps import (
    SweepKiller,
    cell_files,
    computed,
    finished_cells,
    make_sweeps,
    planned,
    table,
    wait_for_work,
)

# How long the long kill loop goes on; a whole record takes 900 s.
LOOP_SECONDS = float(os.environ.get("GFMP_KILL_SECONDS", "120"))
PATIENCE = 3600.0


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
    said = words(done.output)
    for name in ("gc", "at"):
        assert f"on {name} at 50 %, seed 0: its worker died 5 times while it computed this" in said
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


def check_whole(project: Project, command: Command, expected: bytes, seen: Seen) -> None:
    """Check that a sweep that was killed at is what it would have been, and left nothing."""
    done = command.wait(PATIENCE)
    seen.exit(done.status)
    assert done.status == 0, done.output
    (run,) = project.known_runs()
    lacking = set(planned(run)) - finished_cells(project)
    left = project.gone(20)
    seen.lost(cells=len(lacking), processes=len(left), files=len(project.leftovers()))
    assert (lacking, left, project.leftovers()) == (set(), [], [])
    assert table(run) == expected
    assert max(computed(run).values()) == 1, "no cell counts twice"
    assert len(events(run, "finished")) == 1
    assert not (run / "ray").exists()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.fault("T4")
def test_random_kills_every_few_seconds_of_a_sweep(tmp_path: Path, seen: Seen) -> None:
    """The seconds are those in which cells are computed, as in Ray's own stress test."""
    expected = undisturbed(tmp_path / "calm", (0,))
    project = make_sweeps(tmp_path / "project")
    command = project.start("sweep", "specs/grid.yaml", env=fault("slow-cell", seconds=1))
    killer = SweepKiller(project, project.next_run(command), seed=1)
    while wait_for_work(killer.run, command, 900):
        killer.pause(3, 5)
        killer.kill_any(("worker", "driver"))
    check_whole(project, command, expected, seen)
    seen.outcome(f"6 cells, {dict(killer.killed)}: the table of a calm sweep")


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.fault("T4")
def test_twelve_cells_killed_at_for_as_long_as_is_asked(tmp_path: Path, seen: Seen) -> None:
    """A trial, the driver or Ray's head every 3 to 10 s by the clock, then the sweep is let go."""
    began, killed, number = time.monotonic(), Counter[str](), 0
    while number == 0 or time.monotonic() - began < LOOP_SECONDS:
        seeds = (2 * number, 2 * number + 1)
        expected = undisturbed(tmp_path / f"calm-{number}", seeds)
        project = make_sweeps(tmp_path / f"project-{number}", seeds)
        command = project.start("sweep", "specs/grid.yaml", env=fault("slow-cell", seconds=3))
        killer = SweepKiller(project, project.next_run(command), seed=number)
        while command.alive() and time.monotonic() - began < LOOP_SECONDS:
            killer.pause(3, 10)
            killer.kill_any(("worker", "driver", "head"))
        check_whole(project, command, expected, seen)
        killed += killer.killed
        number += 1
    seen.outcome(f"{LOOP_SECONDS:g} s, {number} sweeps of 12 cells, {dict(killed)}: calm tables")
