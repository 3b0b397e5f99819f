from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gfmp.training.report import REPLICATES, Difference, VocabularyReport, checks, resampled
from gfmp.training.scores import (
    BITS,
    COLUMNS,
    CORRECT,
    HIDDEN,
    NATS,
    ORDER0,
    ORDER5,
    TARGETS,
    UNIGRAM,
)


def table(loss: float, bits: float, windows: int = 200, noise: float = 0.3) -> NDArray[np.float64]:
    """Draw windows around a loss per target and bits per base; the baselines are 8.0 and 1.95."""
    generator = np.random.default_rng(0)
    rows = np.zeros((windows, len(COLUMNS)))
    rows[:, TARGETS] = generator.integers(20, 60, windows)
    rows[:, HIDDEN] = generator.integers(100, 200, windows)
    shared = generator.normal(0, noise, windows)
    for column, mean, per in (
        (NATS, loss, TARGETS),
        (UNIGRAM, 8.0, TARGETS),
        (BITS, bits, HIDDEN),
        (ORDER0, 1.95, HIDDEN),
        (ORDER5, 1.90, HIDDEN),
    ):
        rows[:, column] = (mean + shared + generator.normal(0, noise / 10, windows)) * rows[:, per]
    rows[:, CORRECT] = rows[:, TARGETS] // 4
    return rows


def report(loss: float, bits: float, overlapping: bool = False) -> VocabularyReport:
    return VocabularyReport.of("v", overlapping, table(loss, bits), seed=0)


def test_numbers_are_ratios_of_sums() -> None:
    rows, made = table(7.0, 1.8), report(7.0, 1.8)
    assert made.loss == pytest.approx(rows[:, NATS].sum() / rows[:, TARGETS].sum())
    assert made.bits_per_base == pytest.approx(rows[:, BITS].sum() / rows[:, HIDDEN].sum())
    assert made.loss_minus_unigram.value == pytest.approx(made.loss - made.unigram_loss)
    assert made.bits_minus_order5.value == pytest.approx(made.bits_per_base - made.order5_bits)
    assert made.windows == 200
    assert made.hidden_bases == rows[:, HIDDEN].sum()


def test_pairing_makes_intervals_narrow() -> None:
    gap = report(7.9, 1.8).loss_minus_unigram
    assert gap.low < gap.value < gap.high < 0
    # Windows differ by 0.3 nats, model and baseline inside a window by a tenth of that.
    assert gap.high - gap.low < 0.05


def test_intervals_cover_the_truth_in_about_95_of_100() -> None:
    generator = np.random.default_rng(1)
    hits = 0
    for seed in range(60):
        rows = np.zeros((80, len(COLUMNS)))
        rows[:, TARGETS] = rows[:, HIDDEN] = 10
        rows[:, NATS] = generator.normal(10.0, 3.0, 80)
        gap = VocabularyReport.of("v", False, rows, seed).loss_minus_unigram
        hits += gap.low <= 1.0 <= gap.high
    assert 50 <= hits <= 60


def test_resampling_repeats_and_keeps_the_mean() -> None:
    rows = table(7.0, 1.8)
    drawn = resampled(rows, 3)
    assert np.array_equal(drawn, resampled(rows, 3))
    assert not np.array_equal(drawn, resampled(rows, 4))
    np.testing.assert_allclose(drawn.mean(axis=0)[NATS], rows.sum(axis=0)[NATS], rtol=0.01)


@pytest.mark.parametrize(
    ("loss", "bits", "overlapping", "passed"),
    [
        (7.0, 1.80, False, [True, True]),
        (7.0, 1.96, False, [True, False]),
        (8.01, 1.80, False, [False, True]),
        (8.5, 2.10, False, [False, False]),
        (7.0, 2.10, True, [True]),
        (9.0, 1.00, True, [False]),
    ],
)
def test_checks(loss: float, bits: float, overlapping: bool, passed: list[bool]) -> None:
    found = checks([report(loss, bits, overlapping)])
    assert [check.passed for check in found] == passed
    assert all(check.passed == (check.high < 0) for check in found)
    assert found[0].baseline == pytest.approx(8.0, abs=0.1)


def test_fields_are_flat_numbers() -> None:
    fields = report(7.0, 1.8).fields()
    assert {type(value) for value in fields.values()} == {float, int}
    assert fields["report/v/loss"] == pytest.approx(7.0, abs=0.1)
    assert fields["report/v/bits_minus_order0/high"] < 0
    assert all(name.startswith("report/v/") for name in fields)


@settings(deadline=None, max_examples=15)
@given(windows=st.integers(1, 40), seed=st.integers(0, 2**32), scale=st.floats(0.1, 10))
def test_every_replicate_draws_as_many_windows_as_there_are(
    windows: int, seed: int, scale: float
) -> None:
    generator = np.random.default_rng(0)
    rows = np.column_stack([np.ones(windows), generator.random(windows), np.arange(windows)])
    drawn = resampled(rows, seed)
    assert drawn.shape == (REPLICATES, 3)
    assert (drawn[:, 0] == windows).all()
    assert (drawn[:, 2] <= windows * (windows - 1)).all()
    # One draw serves all columns: what is proportional in the windows stays so in replicates.
    np.testing.assert_allclose(resampled(rows * scale, seed), drawn * scale, rtol=1e-9)
    paired = resampled(np.column_stack([rows[:, 1], rows[:, 1] - rows[:, 2]]), seed)
    np.testing.assert_allclose(paired[:, 0] - paired[:, 1], drawn[:, 2], atol=1e-6)


def test_a_single_window_has_no_spread() -> None:
    gap = VocabularyReport.of("v", False, table(7.0, 1.8, windows=1), 0).loss_minus_unigram
    assert gap.low == pytest.approx(gap.value)
    assert gap.high == pytest.approx(gap.value)


def test_replicates_spread_as_theory_says() -> None:
    values = np.random.default_rng(4).normal(2.0, 3.0, (400, 1))
    spread = resampled(values, 0).std() / math.sqrt(400)
    assert spread == pytest.approx(values.std(), rel=0.06)


def covered(correlation: float, per_target: bool, draws: int) -> float:
    """Tell how often the interval of a mean of windows of unequal size holds the truth.

    Targets of one window share a part of their noise. `per_target` resamples targets as if they
    were windows of their own, which is what the report must not do.
    """
    generator = np.random.default_rng(5)
    hits = 0
    for seed in range(draws):
        sizes = generator.integers(5, 25, 40)
        shared = np.repeat(generator.normal(0, math.sqrt(correlation), 40), sizes)
        alone = generator.normal(0, math.sqrt(1 - correlation), sizes.sum())
        owner = np.arange(sizes.sum()) if per_target else np.repeat(np.arange(40), sizes)
        rows = np.zeros((owner[-1] + 1, len(COLUMNS)))
        rows[:, TARGETS] = rows[:, HIDDEN] = np.bincount(owner)
        rows[:, NATS] = np.bincount(owner, 1.0 + shared + alone)
        gap = VocabularyReport.of("v", False, rows, seed).loss_minus_unigram
        hits += gap.low <= 1.0 <= gap.high
    return hits / draws


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_windows_of_unequal_size_are_covered(correlation: float) -> None:
    assert 0.86 <= covered(correlation, per_target=False, draws=60) <= 1.0


@pytest.mark.long
def test_coverage_is_that_of_95_and_targets_alone_would_pretend() -> None:
    assert 0.91 <= covered(0.5, per_target=False, draws=600) <= 0.97
    assert covered(0.5, per_target=True, draws=150) < 0.75


def test_below_is_not_enough_when_the_interval_reaches_zero() -> None:
    rows = table(7.0, 1.8, windows=6)
    rows[:, UNIGRAM] = rows[:, NATS] + np.array([90, -30, -30, -30, 100, -30])
    made = VocabularyReport.of("v", False, rows, 0)
    (loss, _) = checks([made])
    assert loss.value < loss.baseline
    assert loss.low < 0 < loss.high
    assert not loss.passed


def test_equal_scores_do_not_pass() -> None:
    rows = table(7.0, 1.8)
    rows[:, UNIGRAM] = rows[:, NATS]
    gap = VocabularyReport.of("v", True, rows, 0)
    assert gap.loss_minus_unigram == Difference(0.0, 0.0, 0.0)
    assert [check.passed for check in checks([gap])] == [False]
