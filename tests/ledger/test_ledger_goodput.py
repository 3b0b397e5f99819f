"""Every second of a run has one place, and commits come as often as failures ask for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.ledger.events import LOST_RAY, Event
from gfmp.ledger.goodput import best_interval, goodput, interval_advice

SHARES = ("productive", "startup", "checkpoint", "recompute", "stall")


class Story:
    """Events with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.events: list[Event] = []

    def after(
        self, wait: float, kind: str, segment: int = 0, writer: str = "rank0", /, **fields: object
    ) -> Story:
        """Let time pass, then let a writer say something."""
        self.now += wait
        self.events.append(Event(len(self.events), self.now, segment, writer, kind, fields))
        return self

    def driver(self, wait: float, kind: str, segment: int = 0, /, **fields: object) -> Story:
        """The same for the driver."""
        return self.after(wait, kind, segment, "driver", **fields)

    def step(self, number: int, segment: int = 0, wait: float = 0.0) -> Story:
        """Take a step of one second and a hundred tokens, after a wait for its batch."""
        said = {"step": number, "seconds": 1.0 + wait, "feed_seconds": wait, "tokens": 100}
        return self.after(1.0 + wait, "step", segment, **said)

    def commit(self, step: int, segment: int = 0) -> Story:
        """Commit in half a second."""
        return self.after(0.5, "checkpoint", segment, step=step, seconds=0.5)


def clean() -> Story:
    story = Story().driver(0, "started").step(1, wait=9.0).step(2).commit(2)
    story.after(2.0, "evaluation", step=2).after(1.0, "report", step=2)
    return story.after(0.5, "outcome", step=2).driver(3.0, "finished", step=2)


def with_a_failure() -> Story:
    story = Story().driver(0, "started").step(1, wait=9.0).commit(1).step(2).step(3)
    story.driver(5.0, "restarted", cause="killed", rank=1, delay_seconds=4.0)
    story.after(14.0, "resumed", 1, step=1)
    story.step(2, 1).step(3, 1).commit(3, 1).after(0.0, "outcome", 1, step=3)
    return story.driver(2.0, "finished", step=3)


def test_a_clean_run_is_split_without_a_rest() -> None:
    found = goodput(clean().events)
    assert found.wall_seconds == pytest.approx(18.0)
    # Two steps, and the scoring that the plan asked for.
    assert found.productive_seconds == pytest.approx(2.0 + 3.5)
    # Nine seconds for the first batch, three from the last word to the end.
    assert found.startup_seconds == pytest.approx(9.0 + 3.0)
    assert found.checkpoint_seconds == pytest.approx(0.5)
    assert (found.recompute_seconds, found.failures) == (0.0, 0)
    assert found.stall_seconds == pytest.approx(0.0)
    assert found.ettr == pytest.approx(5.5 / 18.0)
    assert found.tokens_per_second == pytest.approx(200 / 18.0)


def test_a_failure_costs_what_was_lost_the_wait_and_the_way_up() -> None:
    found = goodput(with_a_failure().events)
    assert found.failures == 1
    assert found.recompute_seconds == pytest.approx(2.0)  # steps 2 and 3 of the first group
    assert found.productive_seconds == pytest.approx(3.0)
    assert found.tokens == 300
    # Nine for the first batch; ten of the fourteen after the wait; two to the end.
    assert found.startup_seconds == pytest.approx(9.0 + 10.0 + 2.0)
    # Five until the failure was seen, and four of waiting.
    assert found.stall_seconds == pytest.approx(9.0)
    assert sum(found.numbers()[f"goodput/{name}_seconds"] for name in SHARES) == pytest.approx(
        found.wall_seconds
    )


def test_the_silence_after_a_killed_driver_counts_and_that_after_a_stop_does_not() -> None:
    killed = Story().driver(0, "started").step(1).driver(60.0, "started", 1)
    killed.after(0.0, "resumed", 1, step=1).step(2, 1).driver(0, "finished", 1)
    assert goodput(killed.events).wall_seconds == pytest.approx(62.0)
    assert goodput(killed.events).failures == 1
    stopped = Story().driver(0, "started").step(1).driver(0, "interrupted", step=1)
    stopped.driver(60.0, "started", 1).after(0.0, "resumed", 1, step=1).step(2, 1)
    assert goodput(stopped.driver(0, "finished", 1).events).wall_seconds == pytest.approx(2.0)
    assert goodput(stopped.events).failures == 0


def test_a_driver_that_lost_ray_is_a_failure_whose_silence_counts() -> None:
    story = Story().driver(0, "started").step(1).commit(1)
    story.driver(0, "interrupted", step=1, signal=LOST_RAY).driver(20.0, "started", 1)
    story.after(5.0, "resumed", 1, step=1).step(2, 1).driver(0, "finished", 1)
    found = goodput(story.events)
    assert found.failures == 1
    assert found.wall_seconds == pytest.approx(27.5)
    assert (found.startup_seconds, found.stall_seconds) == (pytest.approx(5.0), pytest.approx(20.0))


def test_what_is_rewound_was_for_nothing() -> None:
    story = Story().driver(0, "started").step(1).commit(1).step(2).step(3)
    story.after(0.0, "rewound", step=1, from_step=3).step(2).driver(0, "finished")
    found = goodput(story.events)
    assert (found.recompute_seconds, found.productive_seconds) == (2.0, 2.0)
    assert (found.tokens, found.failures) == (200, 0)


def test_a_late_word_of_a_dead_writer_is_lost() -> None:
    story = Story().driver(0, "started").step(1).step(1, 1).step(2, 1).step(2).step(3)
    found = goodput(story.driver(0, "finished").events)
    assert (found.recompute_seconds, found.tokens) == (3.0, 200)


def test_a_preempted_group_is_no_failure_but_costs_its_way_up() -> None:
    story = Story().driver(0, "started").step(1).commit(1)
    story.driver(0, "restarted", cause="preempted", rank=0, delay_seconds=0.0)
    story.after(7.0, "resumed", 1, step=1).step(2, 1).driver(0, "finished")
    found = goodput(story.events)
    assert (found.failures, found.recompute_seconds) == (0, 0.0)
    assert found.startup_seconds == pytest.approx(7.0)


def test_a_run_that_never_began_has_no_time() -> None:
    found = goodput([])
    assert (found.wall_seconds, found.ettr, found.tokens_per_second) == (0.0, 0.0, 0.0)
    assert interval_advice([]) is None
    assert interval_advice(Story().driver(0, "started").step(1).events) is None


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0.0, 30.0)), min_size=1, max_size=5),
    st.floats(0.0, 20.0),
)
def test_any_history_sums_to_its_wall_time(history: list[tuple[int, float]], way: float) -> None:
    story = Story().driver(0, "started")
    committed = 0
    for segment, (steps, silence) in enumerate(history):
        story.after(way, "resumed", segment, step=committed)
        for step in range(committed + 1, committed + steps + 1):
            story.step(step, segment)
        committed += steps // 2
        story.commit(committed, segment)
        story.driver(silence, "restarted", cause="killed", delay_seconds=silence / 2)
        story.now += silence / 2
    found = goodput(story.driver(0, "failed").events)
    shares = [found.numbers()[f"goodput/{name}_seconds"] for name in SHARES]
    assert all(share >= 0.0 for share in shares)
    assert math.fsum(shares) == pytest.approx(found.wall_seconds)
    assert 0.0 <= found.ettr <= 1.0
    assert found.failures == len(history) + 1


def test_the_interval_follows_young_where_commits_are_short() -> None:
    # A commit of a second and a failure every three hours: Young's rule, within Daly's orders.
    young = math.sqrt(2 * 10_800.0)
    assert best_interval(1.0, 10_800.0) == pytest.approx(young, rel=0.01)
    # A commit that takes as long as two failures apart: there is nothing to choose.
    assert best_interval(100.0, 50.0) == 50.0


@pytest.mark.parametrize("between", [60.0, 3600.0, 86_400.0])
def test_no_other_interval_costs_less_than_the_advised_one(between: float) -> None:
    def _cost(interval: float) -> float:
        return 2.0 / interval + interval / (2.0 * between)

    best = _cost(best_interval(2.0, between))
    assert all(_cost(2.0 * 1.2**k) >= 0.97 * best for k in range(60))


def test_the_advice_says_what_it_stands_on() -> None:
    assumed = interval_advice(clean().events)
    assert assumed is not None
    assert (assumed.measured, assumed.between_failures_seconds) == (False, 86_400.0)
    assert (assumed.save_seconds, assumed.step_seconds, assumed.present_steps) == (0.5, 1.0, 2)
    assert assumed.every_steps == round(best_interval(0.5, 86_400.0))
    assert assumed.cost_fraction(assumed.every_steps) < assumed.cost_fraction(2)
    measured = interval_advice(with_a_failure().events)
    assert measured is not None
    assert measured.measured
    assert measured.between_failures_seconds == pytest.approx(goodput_wall())
    assert measured.every_steps < assumed.every_steps


def test_the_interval_is_never_shorter_than_the_writing_of_a_commit() -> None:
    story = Story().driver(0, "started").step(1).step(2)
    story.after(0.001, "checkpoint", step=2, seconds=0.001, write_seconds=500.5)
    advice = interval_advice(story.events)
    assert advice is not None
    assert round(best_interval(0.001, 86_400.0)) < 500
    assert advice.every_steps == 501


def goodput_wall() -> float:
    return goodput(with_a_failure().events).wall_seconds
