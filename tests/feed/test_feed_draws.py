from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.feed.draws import (
    Purpose,
    below,
    contiguous_words,
    permutation,
    ragged_words,
    sample_words,
    uniform,
)

SEED = 7


def test_the_words_are_those_of_every_earlier_version() -> None:
    # Pinned: other words would silently change which tokens a resumed run sees.
    assert contiguous_words(SEED, Purpose.WINDOW, 3, (1, 4)).tolist() == [
        [0x916CA442ADE899E5, 0xD731D3FD8F9FA5E1, 0xBFE296AFA718ADD0, 0x37DE7CE3DBAFEF9B]
    ]
    assert sample_words(SEED, Purpose.MASK, (3, 0), 3).tolist() == [
        0x4573931B124A89BB,
        0x38FE956DE8D5F220,
        0x7241B5CBCC8B42FA,
    ]


@settings(deadline=None, max_examples=25)
@given(first=st.integers(0, 2**40), count=st.integers(0, 20), skip=st.integers(0, 20))
def test_a_sample_owns_its_words_wherever_the_range_begins(
    first: int, count: int, skip: int
) -> None:
    whole = contiguous_words(SEED, Purpose.WINDOW, first, (skip + count, 8))
    part = contiguous_words(SEED, Purpose.WINDOW, first + skip, (count, 8))
    assert np.array_equal(whole[skip:], part)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 30)), max_size=6))
def test_ragged_words_do_not_depend_on_the_company(asked: list[tuple[int, int]]) -> None:
    samples = np.array([sample for sample, _ in asked], dtype=np.int64)
    counts = np.array([count for _, count in asked], dtype=np.int64)
    words = ragged_words(SEED, Purpose.MASK, samples, counts)
    alone = [sample_words(SEED, Purpose.MASK, (s, 0), n) for s, n in asked]
    assert words.tolist() == [word for part in alone for word in part.tolist()]


def test_seeds_purposes_and_indices_give_different_words() -> None:
    streams = [
        sample_words(seed, purpose, (i, j), 4).tobytes()
        for seed in (0, 1, 2**62)
        for purpose in Purpose
        for i in (0, 1)
        for j in (0, 1)
    ]
    assert len(set(streams)) == len(streams)


def test_uniform_and_below_stay_in_range_and_spread() -> None:
    words = contiguous_words(SEED, Purpose.WINDOW, 0, (5_000, 4)).ravel()
    drawn = uniform(words)
    assert drawn.min() >= 0.0 and drawn.max() < 1.0
    assert abs(drawn.mean() - 0.5) < 0.01
    counts = np.bincount(below(words, 10), minlength=10)
    assert len(counts) == 10
    assert np.all(abs(counts - 2_000) < 5 * np.sqrt(2_000))
    extremes = np.array([0, 2**64 - 1], dtype=np.uint64)
    assert below(extremes, 2**40).tolist() == [0, 2**40 - 1]


def test_below_takes_one_bound_per_word() -> None:
    words = contiguous_words(SEED, Purpose.WINDOW, 0, (200, 4)).ravel()
    bounds = np.arange(1, 801)
    assert np.all(below(words, bounds) < bounds)


def test_permutation_is_one_and_ties_keep_their_order() -> None:
    order = permutation(sample_words(SEED, Purpose.GROUP_ORDER, (0, 0), 100))
    assert sorted(order.tolist()) == list(range(100))
    assert permutation(np.array([5, 1, 5, 1], dtype=np.uint64)).tolist() == [1, 3, 0, 2]
