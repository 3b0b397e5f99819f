"""A step counts once, and the newest computation of it counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.ledger.events import Event
from gfmp.ledger.series import Point, SeriesBook, numbers_of, running_mean


def step(number: int, segment: int, loss: float = 0.0) -> Event:
    return Event(0, float(number), segment, "rank0", "step", {"step": number, "loss": loss})


def resumed(at: int, segment: int) -> Event:
    return Event(0, 0.0, segment, "rank0", "resumed", {"step": at})


def values(book: SeriesBook, name: str = "loss") -> dict[int, float]:
    return {point.step: point.value for point in book.series(name)}


def test_recomputed_steps_count_once_and_the_later_segment_wins() -> None:
    book = SeriesBook()
    book.add(step(n, 0, 1.0) for n in range(1, 13))
    book.add([resumed(10, 1), *(step(n, 1, 2.0) for n in range(11, 15))])
    assert values(book) == dict.fromkeys(range(1, 11), 1.0) | dict.fromkeys(range(11, 15), 2.0)
    assert book.recomputed == (11, 12)
    assert book.restarts == (11,)


def test_what_was_lost_is_gone_before_it_is_computed_again() -> None:
    book = SeriesBook()
    book.add(step(n, 0) for n in range(1, 13))
    book.add([resumed(5, 1), step(6, 1)])
    assert list(values(book)) == [1, 2, 3, 4, 5, 6]


def test_a_run_that_goes_back_forgets_what_it_said() -> None:
    book = SeriesBook()
    book.add(step(n, 0, 1.0) for n in range(1, 9))
    book.add([Event(0, 0.0, 0, "rank0", "rewound", {"step": 4}), step(5, 0, 2.0), step(9, 0, 2.0)])
    assert values(book) == {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0, 5: 2.0, 9: 2.0}
    assert book.recomputed == (5, 6, 7, 8)


def test_a_segment_without_a_word_of_resuming_starts_at_its_first_step() -> None:
    book = SeriesBook()
    book.add([step(1, 0, 1.0), step(2, 0, 1.0), step(2, 1, 2.0)])
    assert values(book) == {1: 1.0, 2: 2.0}


def test_a_late_word_of_a_dead_writer_changes_nothing() -> None:
    book = SeriesBook()
    book.add([step(1, 0, 1.0), resumed(1, 1), step(2, 1, 2.0), step(2, 0, 9.0), step(3, 0, 9.0)])
    assert values(book) == {1: 1.0, 2: 2.0}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=5))
def test_any_history_of_restarts_reads_as_one_run(history: list[tuple[int, int]]) -> None:
    book, expected, reached = SeriesBook(), {}, 0
    for segment, (back, forward) in enumerate(history):
        start = max(0, reached - back)
        reached = start + forward
        book.add([resumed(start, segment)])
        book.add(step(n, segment, float(segment)) for n in range(start + 1, reached + 1))
        expected = {n: s for n, s in expected.items() if n <= start}
        expected |= dict.fromkeys(range(start + 1, reached + 1), float(segment))
    assert values(book) == expected
    assert list(expected) == list(range(1, reached + 1))


def test_names_of_different_kinds_do_not_collide() -> None:
    fields = {"step": 5, "seconds": 2.0, "heldout/kmer6/loss": 1.0, "note": "x", "full": True}
    evaluation = Event(0, 0.0, 0, "rank0", "evaluation", fields)
    assert numbers_of(evaluation) == {"evaluation/seconds": 2.0, "heldout/kmer6/loss": 1.0}
    assert numbers_of(Event(0, 0.0, 0, "driver", "finished", {"step": 5, "seconds": 9.0})) == {}
    book = SeriesBook()
    book.add([step(5, 0), evaluation])
    assert book.names() == ("evaluation/seconds", "heldout/kmer6/loss", "loss")
    assert set(book.curves()) == set(book.names())


def test_a_book_can_keep_few_steps_but_keeps_every_evaluation() -> None:
    book = SeriesBook(keep=lambda number: number % 10 == 0)
    book.add(step(n, 0) for n in range(1, 31))
    book.add([Event(0, 0.0, 0, "rank0", "evaluation", {"step": 7, "heldout/a/loss": 1.0})])
    assert list(values(book)) == [10, 20, 30]
    assert list(values(book, "heldout/a/loss")) == [7]


def test_values_that_are_not_finite_stay_in_the_curve() -> None:
    book = SeriesBook()
    book.add([step(1, 0, math.nan), step(2, 0, math.inf)])
    assert math.isnan(values(book)[1])
    assert values(book)[2] == math.inf
    assert book.series("unknown") == ()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.integers(1, 10))
def test_a_running_mean_is_the_mean_around_each_point(data: list[float], window: int) -> None:
    points = tuple(Point(i + 1, value, 0.0) for i, value in enumerate(data))
    for i, mean in enumerate(running_mean(points, window)):
        around = data[max(0, i - window // 2) : i + (window + 1) // 2]
        assert mean.value == pytest.approx(sum(around) / len(around), abs=1e-9)
        assert mean.step == i + 1
