"""The bootstrap: intervals that hold what they promise, draws that are the same for everyone."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_sweeps import labels, noisy

from gfmp.report.bootstrap import (
    Replicates,
    Resampling,
    interval,
    over_seeds,
    scores,
)

SEEDS = (1, 2, 3)


def scored(num_test: int, strength: float, seeds: tuple[int, ...] = SEEDS) -> Replicates:
    targets = labels(num_test)
    resampling = Resampling.of(targets, 300)
    guesses = [noisy(targets, strength, seed) for seed in seeds]
    return over_seeds(*scores("mcc", targets, guesses, resampling), resampling)


def test_an_interval_holds_its_value_and_shrinks_with_rows() -> None:
    widths = []
    for num_test in (100, 400, 1600):
        estimate = scored(num_test, 1.5).estimate()
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.num_seeds, estimate.num_test) == (3, num_test)
        widths.append(estimate.high - estimate.low)
    assert widths[0] > 1.4 * widths[1] > 1.4 * 1.4 * widths[2]


def test_a_paired_difference_is_antisymmetric_and_narrower_than_an_unpaired_one() -> None:
    weak, strong = scored(400, 1.5, (1, 2)), scored(400, 1.7, (1, 2))
    forth, back = strong.minus(weak), weak.minus(strong)
    assert forth.value == -back.value
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))
    unpaired = weak.estimate()
    assert forth.high - forth.low < unpaired.high - unpaired.low


def test_equal_models_differ_by_exactly_nothing() -> None:
    difference = scored(200, 1.0).minus(scored(200, 1.0))
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
    assert not difference.above_zero
    assert not difference.below_zero


def test_with_one_seed_only_rows_are_drawn() -> None:
    targets = labels(100)
    resampling = Resampling.of(targets, 50)
    values, replicates = scores("mcc", targets, [noisy(targets, 1.0, 1)], resampling)
    one = over_seeds(values, replicates, resampling)
    np.testing.assert_array_equal(one.values, replicates[0])
    assert one.num_seeds == 1


def test_disagreeing_seeds_widen_the_interval() -> None:
    targets = labels(400)
    resampling = Resampling.of(targets, 300)
    same = [noisy(targets, 1.0, 1)] * 3
    apart = [noisy(targets, strength, 1) for strength in (0.2, 1.0, 1.8)]
    widths = []
    for guesses in (same, apart):
        found = over_seeds(*scores("mcc", targets, guesses, resampling), resampling).estimate()
        widths.append(found.high - found.low)
    assert widths[1] > 1.5 * widths[0]


def test_draws_depend_on_labels_only_and_not_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = labels(60)
    whole = np.concatenate([counts for _, counts in Resampling.of(targets, 20).blocks()])
    monkeypatch.setattr("gfmp.report.bootstrap._BLOCK_COUNTS", 60 * 7)
    blocks = list(Resampling.of(targets, 20).blocks())
    assert [places.stop - places.start for places, _ in blocks] == [7, 7, 6]
    np.testing.assert_array_equal(np.concatenate([counts for _, counts in blocks]), whole)
    assert (whole.sum(axis=1) == 60).all()
    assert Resampling.of(targets[::-1], 20).key != Resampling.of(targets, 20).key
    more = np.concatenate([counts for _, counts in Resampling.of(targets, 30).blocks()])
    np.testing.assert_array_equal(more[:20], whole)


def test_seed_draws_are_shares_and_pair_equal_numbers_of_seeds() -> None:
    resampling = Resampling.of(labels(10), 400)
    shares = resampling.seed_shares(3)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(shares.mean(axis=0), 1 / 3, atol=0.06)
    np.testing.assert_array_equal(shares, resampling.seed_shares(3))


def test_an_undefined_seed_is_never_left_out() -> None:
    resampling = Resampling.of(labels(10), 400)
    replicates = np.stack([np.ones(400), np.full(400, np.nan)])
    found = over_seeds(np.array([1.0, np.nan]), replicates, resampling).estimate()
    assert np.isnan(found.value)
    assert np.isnan(found.low)
    assert 0 < found.num_undefined < 400  # some replicates drew the defined seed twice


def test_an_interval_of_too_few_replicates_is_undefined() -> None:
    values = np.arange(100.0)
    values[:4] = np.nan
    assert np.isfinite(interval(values)).all()
    values[:6] = np.nan
    assert np.isnan(interval(values)).all()
    assert np.isnan(interval(np.full(5, np.nan))).all()
    assert np.isnan(interval(np.zeros(0))).all()


def test_no_test_rows_are_no_score() -> None:
    targets = labels(0)
    resampling = Resampling.of(targets, 10)
    guess = np.zeros((0, 2), dtype=np.float32)
    values, replicates = scores("mcc", targets, [guess], resampling)
    assert np.isnan(values).all()
    assert np.isnan(replicates).all()


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """120 fresh test sets: the accuracy of a coin with known odds lies inside 95 % of them."""
    rng = np.random.default_rng(11)
    num_rows, odds, inside = 150, 0.8, 0
    for _ in range(120):
        targets = rng.integers(0, 2, num_rows)[:, None].astype(np.float32)
        right = rng.random(num_rows) < odds
        said = np.where(right, targets[:, 0], 1 - targets[:, 0]).astype(int)
        guess = np.eye(2, dtype=np.float32)[said]
        resampling = Resampling.of(targets, 150)
        found = over_seeds(*scores("accuracy", targets, [guess], resampling), resampling)
        estimate = found.estimate()
        inside += estimate.low <= odds <= estimate.high
    assert 0.88 <= inside / 120 <= 0.99
