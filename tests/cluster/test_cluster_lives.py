"""How drivers die, how often that is survived, and how long is waited in between."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from cluster_world import World

from gfmp.cluster.lives import Lives, cause_of, died
from gfmp.errors import GfmpError
from gfmp.ledger.run import Run


def _all_errors(kind: type[GfmpError] = GfmpError) -> list[type[GfmpError]]:
    return [kind, *(one for sub in kind.__subclasses__() for one in _all_errors(sub))]


def test_only_deaths_are_restarted() -> None:
    decided = {error.exit_status for error in _all_errors()} - {75}
    assert not any(died(status) for status in {0, 2, 141, *decided})
    assert all(died(status) for status in (-9, -15, -6, -11, 1, 134, 75))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (-signal.SIGKILL, "killed by SIGKILL"),
        (-50, "killed by signal 50"),
        (75, "Ray's head was lost"),
        (134, "exit status 134"),
    ],
)
def test_a_death_has_a_name(status: int, words: str) -> None:
    assert cause_of(status) == words


def test_before_there_is_a_run_three_deaths_are_survived() -> None:
    lives = Lives()
    for number in (1, 2, 3):
        lives = lives.after(-9, None)
        assert (lives.deaths, lives.spent) == (number, False)
    assert lives.after(-9, None).spent


def _commit(run: Run, step: int) -> None:
    with run.open_writer("rank0") as rank:
        rank.append("checkpoint", {"step": step, "path": "x", "bytes": 1, "seconds": 0.1})


def test_a_new_checkpoint_makes_all_deaths_good(copied: Run) -> None:
    lives = Lives()
    for _ in range(30):
        lives = lives.after(-9, copied)
        assert not lives.spent
    assert lives.delay_seconds == 60.0
    assert lives.after(-9, copied).spent
    _commit(copied, 5)
    lives = lives.after(-9, copied)
    assert (lives.deaths, lives.committed, lives.delay_seconds) == (1, 5, 1.0)
    # The same checkpoint again is no progress, an older one even less.
    lives = lives.after(-9, copied).after(-9, copied)
    assert (lives.deaths, lives.delay_seconds) == (3, 4.0)


def test_crashes_of_the_program_are_counted_by_the_plan(copied: Run) -> None:
    allowed = copied.plan().where.max_failures
    lives = Lives()
    for _ in range(allowed):
        lives = lives.after(-signal.SIGSEGV, copied)
    assert not lives.spent
    assert lives.after(-signal.SIGSEGV, copied).spent
    assert not lives.after(-signal.SIGKILL, copied).spent


def test_a_plan_may_forbid_all_retries(world: World) -> None:
    run = world.run("compute.max_failures=0")
    assert Lives().after(-9, run).spent


def test_a_plan_that_cannot_be_read_is_not_tried_again(copied: Run) -> None:
    Path(copied.plan_path).write_text("{}")
    assert Lives().after(-9, copied).spent
