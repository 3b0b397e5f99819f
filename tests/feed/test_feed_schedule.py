from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import DataError
from gfmp.feed.schedule import Schedule, group_bases
from gfmp.genome.corpus import RowGroup

MEAN_BP = 100.0
BASES = st.lists(st.integers(1, 2_000), min_size=1, max_size=12)


def windows_of(bases: list[int]) -> list[int]:
    return [max(1, int(b / MEAN_BP + 0.5)) for b in bases]


def schedule_of(bases: list[int], buffer: int, seed: int = 3) -> Schedule:
    return Schedule(seed, np.array(bases, dtype=np.int64), MEAN_BP, buffer)


@settings(deadline=None, max_examples=30)
@given(bases=BASES, buffer=st.integers(1, 5), epoch=st.integers(0, 3))
def test_an_epoch_gives_each_group_its_windows_once(
    bases: list[int], buffer: int, epoch: int
) -> None:
    schedule = schedule_of(bases, buffer)
    size = schedule.samples_per_epoch
    visits = schedule.visits(epoch * size, size)
    assert np.bincount(visits.groups, minlength=len(bases)).tolist() == windows_of(bases)


@settings(deadline=None, max_examples=30)
@given(bases=BASES, buffer=st.integers(1, 5))
def test_a_buffer_holds_few_groups_and_groups_stay_in_one_buffer(
    bases: list[int], buffer: int
) -> None:
    schedule = schedule_of(bases, buffer)
    visits = schedule.visits(0, schedule.samples_per_epoch)
    assert np.all(np.diff(visits.buffers) >= 0)
    homes: dict[int, set[int]] = {}
    for group, serial in zip(visits.groups.tolist(), visits.buffers.tolist(), strict=True):
        homes.setdefault(serial, set()).add(group)
    assert all(len(groups) <= buffer for groups in homes.values())
    assert sum(map(len, homes.values())) == len(bases)


@settings(deadline=None, max_examples=30)
@given(bases=BASES, buffer=st.integers(1, 5), first=st.integers(0, 500), count=st.integers(1, 300))
def test_any_range_reads_what_a_walk_reads(
    bases: list[int], buffer: int, first: int, count: int
) -> None:
    walk = schedule_of(bases, buffer).visits(0, first + count)
    jump = schedule_of(bases, buffer).visits(first, count)
    assert np.array_equal(walk.groups[first:], jump.groups)
    assert np.array_equal(walk.buffers[first:], jump.buffers)


def test_order_changes_with_epoch_and_seed_and_windows_are_shuffled() -> None:
    bases = [1_000] * 40
    first, second = (schedule_of(bases, 4).visits(400 * e, 400).groups for e in (0, 1))
    other = schedule_of(bases, 4, seed=4).visits(0, 400).groups
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)
    # Forty windows of a buffer come from four groups: neighbours mostly differ.
    same = np.mean(first[1:] == first[:-1])
    assert same < 0.5


def test_a_step_may_span_epochs() -> None:
    schedule = schedule_of([100, 250], 16)
    visits = schedule.visits(1, 10)
    assert len(visits.groups) == 10
    assert visits.buffers.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2][: len(visits.buffers)]


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match="no bases in its split 'valid'") as caught:
        group_bases([], "valid")
    assert "spec" in caught.value.problems[0].fix
    groups = [RowGroup("s", 0, "train", 2, 50), RowGroup("s", 1, "train", 1, 7)]
    assert group_bases(groups, "train").tolist() == [50, 7]
