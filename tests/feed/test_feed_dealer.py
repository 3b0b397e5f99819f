from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import UsageError
from gfmp.feed.dealer import deal, deal_rank

LOADS = st.lists(st.floats(3.0, 512.0), min_size=12, max_size=80)


@settings(deadline=None, max_examples=50)
@given(loads=LOADS, num_parts=st.integers(1, 12))
def test_parts_are_alike(loads: list[float], num_parts: int) -> None:
    expected = np.array(loads)
    parts = deal(expected, num_parts)
    counts = np.bincount(parts, minlength=num_parts)
    sums = np.bincount(parts, weights=expected, minlength=num_parts)
    assert counts.max() - counts.min() <= 1
    assert sums.max() - sums.min() <= expected.max() + 1e-6


@settings(deadline=None, max_examples=50)
@given(loads=LOADS, world=st.integers(1, 4), accumulation=st.integers(1, 3))
def test_every_row_goes_to_one_micro_batch(
    loads: list[float], world: int, accumulation: int
) -> None:
    expected = np.array(loads)
    seen: list[int] = []
    for rank in range(world):
        rows, micros = deal_rank(expected, rank, world, accumulation)
        assert np.all(np.diff(micros) >= 0)
        assert set(micros.tolist()) == set(range(accumulation))
        for micro in range(accumulation):
            assert np.all(np.diff(rows[micros == micro]) > 0)
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(loads)))


def test_equal_loads_keep_their_order() -> None:
    assert deal(np.full(6, 100.0), 3).tolist() == [0, 1, 2, 2, 1, 0]


def test_too_small_a_batch_is_refused() -> None:
    with pytest.raises(UsageError, match="5 sequences for 2 ranks x 3") as caught:
        deal_rank(np.ones(5), 0, 2, 3)
    assert caught.value.problems[0].where == "sampling.global_batch_sequences"
    with pytest.raises(UsageError, match="x 0 micro-batches"):
        deal_rank(np.ones(5), 0, 1, 0)


@pytest.mark.parametrize(("rank", "world"), [(2, 2), (-1, 2), (0, 0)])
def test_ranks_beyond_the_world_are_refused(rank: int, world: int) -> None:
    with pytest.raises(UsageError, match=f"rank {rank} of {world}"):
        deal_rank(np.ones(8), rank, world, 1)
