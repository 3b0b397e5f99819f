from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import UsageError
from gfmp.feed.dealer import LANE_RANKS, deal, deal_rank, lanes_of, num_lanes

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
        rows, micros = deal_rank(expected, np.arange(len(loads)) % 5, rank, world, accumulation)
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
        deal_rank(np.ones(5), np.zeros(5, np.int64), 0, 2, 3)
    assert caught.value.problems[0].where == "sampling.global_batch_sequences"
    with pytest.raises(UsageError, match="x 0 micro-batches"):
        deal_rank(np.ones(5), np.zeros(5, np.int64), 0, 1, 0)


@pytest.mark.parametrize(("rank", "world"), [(2, 2), (-1, 2), (0, 0)])
def test_ranks_beyond_the_world_are_refused(rank: int, world: int) -> None:
    with pytest.raises(UsageError, match=f"rank {rank} of {world}"):
        deal_rank(np.ones(8), np.zeros(8, np.int64), rank, world, 1)


@given(world=st.integers(1, 5000))
def test_a_small_world_is_one_lane_and_lanes_are_whole(world: int) -> None:
    lanes = num_lanes(world)
    assert world % lanes == 0
    assert world // lanes >= min(world, LANE_RANKS)
    assert world >= 2 * LANE_RANKS or lanes == 1


@settings(deadline=None, max_examples=50)
@given(
    loads=st.lists(st.integers(3, 512), min_size=40, max_size=300),
    num_groups=st.integers(1, 20),
    lanes=st.integers(1, 8),
    seed=st.integers(0, 9),
)
def test_lanes_share_rows_and_lengths_alike(
    loads: list[int], num_groups: int, lanes: int, seed: int
) -> None:
    expected = np.array(loads, dtype=np.float64)
    groups = np.random.default_rng(seed).integers(0, num_groups, len(loads))
    found = lanes_of(expected, groups, lanes)
    counts = np.bincount(found, minlength=lanes)
    assert counts.max() - counts.min() <= 1
    sums = np.bincount(found, weights=expected, minlength=lanes)
    # Within a turn lanes differ by what its rows do; over the turns that adds up to one span.
    assert sums.max() - sums.min() <= 8 * (expected.max() - expected.min()) + expected.max()


def test_many_ranks_share_a_batch_alike() -> None:
    world, rng = 512, np.random.default_rng(0)
    expected = rng.integers(70, 512, 8192).astype(np.float64)
    groups = rng.integers(0, 128, len(expected))
    dealt = [deal_rank(expected, groups, rank, world, 1)[0] for rank in range(world)]
    assert sorted(np.concatenate(dealt).tolist()) == list(range(len(expected)))
    sums = [expected[rows].sum() for rows in dealt]
    assert max(sums) <= 1.05 * np.mean(sums)


def test_a_lane_meets_few_of_the_groups_of_a_buffer() -> None:
    rng = np.random.default_rng(1)
    met = set()
    for _ in range(150):
        expected = rng.integers(70, 512, 1536).astype(np.float64)
        groups = rng.integers(0, 128, 1536)
        rows, _ = deal_rank(expected, groups, 100, 512, 1)
        met |= set(groups[rows].tolist())
    assert len(met) < 128 // 3, "without lanes a rank meets all of them"
