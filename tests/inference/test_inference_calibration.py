"""A temperature puts right what is too sure, intervals hold what they say, few rows are told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from gfmp.errors import DataError
from gfmp.inference.calibration import Calibration, calibration_error, fit
from gfmp.tasks.task import Target

CLASSES = Target("multiclass", ("a", "b", "c"))
LABELS = Target("multilabel", ("x", "y"))


@pytest.mark.parametrize("too_sure", [0.4, 1.0, 3.0])
def test_the_temperature_is_found_again(too_sure: float) -> None:
    generator = np.random.default_rng(2)
    true = generator.normal(size=(6_000, 3)) * 1.5
    draws = generator.random(6_000)[:, None]
    classes = (softmax(true, axis=1).cumsum(axis=1) < draws).sum(axis=1)[:, None]
    outputs = (true * too_sure).astype(np.float32)
    found = fit(outputs, classes.astype(np.float32), CLASSES)
    assert abs(found.temperature / too_sure - 1) < 0.1
    assert found.calibrated_loss <= found.loss + 1e-9
    assert found.calibrated_error < 0.03
    assert Calibration.from_json(found.to_json()) == found


def test_unknown_labels_count_for_nothing() -> None:
    generator = np.random.default_rng(3)
    true = generator.normal(size=(4_000, 2)) * 2
    labels = (generator.random(true.shape) < expit(true)).astype(np.float32)
    outputs = (true * 2).astype(np.float32)
    whole = fit(outputs[:2_000], labels[:2_000], LABELS)
    labels[2_000:] = np.nan
    holes = fit(outputs, labels, LABELS)
    assert abs(whole.temperature / 2 - 1) < 0.1
    assert abs(holes.temperature - whole.temperature) < 1e-3


def test_intervals_hold_nine_of_ten_new_rows() -> None:
    generator = np.random.default_rng(4)
    outputs = np.zeros((2_000, 2), dtype=np.float32)
    values = generator.normal(size=(2_000, 2)).astype(np.float32) * [1.0, 7.0]
    found = fit(
        outputs[:1_000], values[:1_000].astype(np.float32), Target("regression", ("a", "b"))
    )
    held = np.abs(values[1_000:]) <= np.array(found.half_width)
    assert (np.abs(held.mean(axis=0) - 0.9) < 0.03).all()


def test_the_error_is_the_gap_between_word_and_deed() -> None:
    sure = np.full(100, 0.9)
    assert abs(calibration_error(sure, np.arange(100) < 90)) < 1e-9
    assert abs(calibration_error(sure, np.arange(100) < 60) - 0.3) < 1e-9
    assert calibration_error(np.ones(10), np.ones(10, dtype=bool)) == 0.0


@pytest.mark.parametrize("target", [CLASSES, Target("regression", ("a", "b", "c"))])
def test_few_rows_are_told(target: Target) -> None:
    outputs = np.zeros((8, 3), dtype=np.float32)
    with pytest.raises(DataError, match="8 validation rows") as caught:
        fit(outputs, outputs, target, "task 'x'")
    assert "--no-calibration" in caught.value.problems[0].fix


def test_a_value_that_nobody_knows_is_told() -> None:
    outputs = np.zeros((50, 2), dtype=np.float32)
    values = outputs.copy()
    values[:, 1] = np.nan
    with pytest.raises(DataError, match="0 validation rows know the value 'b'"):
        fit(outputs, values, Target("regression", ("a", "b")))
