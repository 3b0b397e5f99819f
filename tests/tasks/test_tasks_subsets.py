"""Label subsets: nested, stratified, the same whatever the order of the rows."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_samples import BINARY, rows_of, task_of

from gfmp.errors import DataError, SpecError
from gfmp.tasks.strata import contents_digest, strata
from gfmp.tasks.subsets import choose, order
from gfmp.tasks.task import Rows, Target, Task

PERCENTS = (1.0, 3.0, 10.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0)
quick = settings(max_examples=30, deadline=None)
binary_classes = st.lists(st.integers(0, 1), min_size=2, max_size=120).filter(
    lambda classes: len(set(classes)) == 2
)


def _task(rows: Rows, target: Target = BINARY) -> Task:
    return task_of(rows, rows, rows, target)


def _contents(rows: Rows, chosen: np.ndarray) -> list[tuple[bytes, bytes]]:
    taken = rows.take(chosen)
    return [(s, t.tobytes()) for s, t in zip(taken.sequences, taken.targets, strict=True)]


@quick
@given(binary_classes, st.integers(0, 2**63 - 1))
def test_an_order_holds_every_row_once(classes: list[int], seed: int) -> None:
    ordered = order(rows_of(classes), BINARY, seed)
    assert ordered.dtype == np.int64
    assert sorted(ordered.tolist()) == list(range(len(classes)))


@quick
@given(binary_classes, st.integers(0, 9))
def test_every_prefix_is_stratified_within_one_row(classes: list[int], seed: int) -> None:
    rows = rows_of(classes)
    in_order = rows.targets[order(rows, BINARY, seed), 0]
    share = np.mean(in_order)
    lengths = np.arange(1, len(classes) + 1)
    assert np.all(np.abs(np.cumsum(in_order) - share * lengths) <= 1.0 + 1e-6)


@quick
@given(st.lists(st.integers(0, 4), min_size=1, max_size=150), st.integers(0, 9))
def test_every_prefix_holds_the_rounded_share_of_each_class(classes: list[int], seed: int) -> None:
    """At the end of a class's k-th row, others have their share of that level, rounded."""
    target = Target("multiclass", tuple("abcde"))
    rows = rows_of(classes)
    in_order = rows.targets[order(rows, target, seed), 0].astype(int)
    sizes = np.bincount(in_order, minlength=5)
    counts = np.cumsum(in_order[:, None] == np.arange(5), axis=0)
    for row, found in zip(in_order, counts, strict=True):
        level = (found[row] - 0.5) / sizes[row]
        present = sizes > 0
        assert np.all(np.abs(found - level * sizes)[present] <= 0.5 + 1e-6)


@quick
@given(binary_classes, st.integers(0, 9))
def test_the_order_of_the_input_changes_nothing(classes: list[int], seed: int) -> None:
    rows = rows_of(classes)
    shuffled_places = np.random.default_rng(seed).permutation(len(classes)).astype(np.int64)
    shuffled = rows.take(shuffled_places)
    first = _contents(rows, order(rows, BINARY, seed))
    assert first == _contents(shuffled, order(shuffled, BINARY, seed))


def test_repeated_rows_do_not_disturb_the_order() -> None:
    rows = rows_of([0, 1] * 20)
    doubled = rows.take(np.array([*range(40), *range(40)], dtype=np.int64))
    backwards = doubled.take(np.arange(80)[::-1].astype(np.int64))
    one = _contents(doubled, order(doubled, BINARY, 5))
    assert one == _contents(backwards, order(backwards, BINARY, 5))


def test_origins_and_groups_do_not_enter() -> None:
    rows = rows_of([0, 1] * 30)
    renamed = Rows(rows.sequences, rows.targets, ("x",) * 60, ("g",) * 60)
    assert np.array_equal(order(rows, BINARY, 1), order(renamed, BINARY, 1))
    assert choose(_task(rows), 10, 1) == choose(_task(renamed), 10, 1)


@quick
@given(st.integers(100, 400), st.integers(0, 9))
def test_each_subset_is_contained_in_the_next(num_rows: int, seed: int) -> None:
    task = _task(rows_of([i % 2 for i in range(num_rows)]))
    percents = [percent for percent in PERCENTS if round(percent / 100 * num_rows) >= 2]
    subsets = [choose(task, percent, seed) for percent in percents]
    for small, large in itertools.pairwise(subsets):
        assert np.array_equal(large.rows[: len(small.rows)], small.rows)
    for percent, subset in zip(percents, subsets, strict=True):
        assert len(subset.rows) == round(percent / 100 * num_rows)
        assert subset.fingerprint == contents_digest(task.train.take(subset.rows))
    assert sorted(subsets[-1].rows.tolist()) == list(range(num_rows))


def test_seeds_choose_different_rows() -> None:
    task = _task(rows_of([i % 2 for i in range(200)]))
    chosen = {choose(task, 10, seed).fingerprint for seed in range(20)}
    assert len(chosen) == 20


def test_every_row_is_chosen_equally_often() -> None:
    rows = rows_of([i % 2 for i in range(40)])
    counts = np.zeros(40)
    for seed in range(400):
        counts[choose(_task(rows), 25, seed).rows] += 1
    assert counts.min() > 60 and counts.max() < 140  # 100 +- 4.6 standard deviations


def test_a_subset_can_be_capped() -> None:
    task = _task(rows_of([i % 2 for i in range(100)]))
    capped = choose(task, 100, 3, most_rows=8)
    assert np.array_equal(capped.rows, choose(task, 100, 3).rows[:8])
    assert len(choose(task, 4, 3, most_rows=8).rows) == 4


@pytest.mark.parametrize("num_rare", [1, 2, 3, 10])
def test_a_missing_class_is_an_error_that_says_from_where_it_works(num_rare: int) -> None:
    task = _task(rows_of([1] * num_rare + [0] * (1000 - num_rare)))
    with pytest.raises(DataError) as caught:
        choose(task, 1, 0) if num_rare < 10 else choose(task, 0.1, 0)
    (problem,) = caught.value.problems
    assert "have no row of class yes" in problem.message
    found = re.fullmatch(r"it works from ([0-9.]+) % on", problem.fix)
    assert found, problem.fix
    percent = float(found[1])
    assert 1 in task.train.targets[choose(task, percent, 0).rows, 0]
    with pytest.raises(DataError):
        choose(task, 0.9 * percent, 0)


def test_a_cap_that_loses_a_class_names_the_rows_it_takes() -> None:
    task = _task(rows_of([1] * 10 + [0] * 990))
    with pytest.raises(DataError, match="have no row of class yes") as caught:
        choose(task, 100, 0, most_rows=5)
    allowed = re.fullmatch(r"allow at least (\d+) rows", caught.value.problems[0].fix)
    assert allowed
    assert 1 in task.train.targets[choose(task, 100, 0, most_rows=int(allowed[1])).rows, 0]


@pytest.mark.parametrize("percent", [0.0, -1.0, 100.5, float("nan")])
def test_a_percent_out_of_range_is_refused(percent: float) -> None:
    with pytest.raises(SpecError, match="is not allowed"):
        choose(_task(rows_of([0, 1])), percent, 0)


def test_values_are_stratified_by_quantile() -> None:
    values = np.random.default_rng(0).lognormal(size=500)
    rows, target = rows_of(values.astype(np.float32)), Target("regression", ("value",))
    bins = strata(rows, target)
    assert np.bincount(bins).tolist() == [50] * 10
    first = order(rows, target, 4)[:20]
    assert np.bincount(bins[first], minlength=10).tolist() == [2] * 10


def test_equal_values_are_one_stratum() -> None:
    rows = rows_of(np.ones(30, dtype=np.float32))
    target = Target("regression", ("value",))
    assert len(set(strata(rows, target).tolist())) == 1
    assert sorted(order(rows, target, 0).tolist()) == list(range(30))


def test_several_labels_count_by_the_rarest_positive_one() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0], [np.nan, 0, 0], [1, 0, np.nan]])
    rows = rows_of(labels.astype(np.float32))
    target = Target("multilabel", ("common", "less", "rare"))
    assert strata(rows, target).tolist() == [0, 1, 2, 3, 3, 0]
    assert choose(_task(rows, target), 1, 0).rows.shape == (1,)
