from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gfmp.training.report import VocabularyReport, checks, resampled
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
