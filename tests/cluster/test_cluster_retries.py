"""A new checkpoint forgives what failed before it; without one a run gives up and says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.cluster.failures import Failure
from gfmp.cluster.retries import Budget, given_up
from gfmp.ledger.run import Run

KILLED = Failure("killed", 1, 101, "SIGKILL", "its process ended by SIGKILL")
RAISED = Failure("raised", 1, 101, "", "ValueError: 3 is no shape")
MEMORY = Failure("out of memory", 1, 101, "SIGKILL", "Memory was 0.96", 3 << 30)
PREEMPTED = Failure("preempted", 0, 100, "", "its machine is taken away")


def test_failures_in_a_row_are_counted_and_waited_after() -> None:
    budget, waits = Budget(most=3, committed=4), []
    for _ in range(3):
        budget = budget.charge(RAISED, committed=4)
        assert not budget.spent(RAISED)
        waits.append(budget.delay_seconds)
    assert waits == [1.0, 2.0, 4.0]
    assert budget.charge(RAISED, committed=4).spent(RAISED)


def test_a_new_checkpoint_fills_the_budget_again() -> None:
    budget = Budget(most=1)
    for committed in range(1, 200):
        budget = budget.charge(RAISED, committed)
        assert not budget.spent(RAISED)
        assert budget.delay_seconds == 1.0
    assert budget.charge(RAISED, 199).spent(RAISED)


def test_kills_from_outside_are_borne_for_long_and_are_not_held_against_a_failure() -> None:
    budget = Budget(most=1)
    for _ in range(30):
        budget = budget.charge(KILLED, committed=0)
        assert not budget.spent(KILLED)
    assert budget.delay_seconds == 60.0
    assert budget.charge(KILLED, committed=0).spent(KILLED)
    assert not budget.charge(RAISED, committed=0).spent(RAISED)
    assert Budget(most=0).charge(KILLED, committed=0).spent(KILLED)


def test_a_preemption_costs_nothing() -> None:
    budget = Budget(most=0)
    for _ in range(50):
        budget = budget.charge(PREEMPTED, committed=0)
        assert not budget.spent(PREEMPTED)
        assert budget.delay_seconds == 0.0


@pytest.mark.parametrize(("most", "retried"), [(0, 0), (1, 1), (2, 2), (9, 2)])
def test_memory_is_retried_twice_at_most(most: int, retried: int) -> None:
    budget, count = Budget(most), 0
    while not (budget := budget.charge(MEMORY, committed=0)).spent(MEMORY):
        count += 1
    assert count == retried


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 4), st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_a_run_ends_after_so_many_failures_without_progress(most: int, steps: list[int]) -> None:
    budget, committed, since = Budget(most), 0, 0
    for step in steps:
        committed += step
        since = 1 if step else since + 1
        budget = budget.charge(RAISED, committed)
        assert budget.failures == since
        assert budget.spent(RAISED) == (since > most)
        assert 1.0 <= budget.delay_seconds <= 60.0


def test_giving_up_says_whose_fault_how_often_and_what_to_do(copied: Run) -> None:
    budget = Budget(most=2, failures=3)
    problem = given_up(copied, copied.plan().where, RAISED, budget).problems[0]
    assert "rank 1 (pid 101) failed (raised) after step 0: ValueError" in problem.message
    assert "3 failures without a new checkpoint in between, 2 are retried" in problem.why
    assert copied.resume_command in problem.fix


def test_memory_names_the_peak_and_a_smaller_batch_where_there_is_one(copied: Run) -> None:
    where = copied.plan().where
    problem = given_up(copied, where, MEMORY, Budget(3, failures=3)).problems[0]
    assert "rank 1 (pid 101) ran out of memory after step 0 with a peak of 3.00 GiB" in (
        problem.message
    )
    # Six sequences of at most 128 tokens are less than the smallest budget of a forward pass.
    assert "a forward pass holds 6 sequences" in problem.fix
    assert "which is small" in problem.fix
    split = given_up(copied, replace(where, accumulation=6), MEMORY, Budget(3)).problems[0]
    assert "a forward pass holds 1 sequences" in split.fix
