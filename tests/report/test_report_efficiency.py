"""Annotation reduction: known shifts give known factors, and what is not seen is not invented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_sweeps import Sweep
from numpy.typing import NDArray

from gfmp.report.analysis import analyse
from gfmp.report.efficiency import Curve, Reduction, first_reached, reduction, reductions

PERCENTS = np.array([1.0, 3.0, 10.0, 30.0, 100.0])


def curve(values: NDArray[np.float64], noise: float = 0.0, percents: object = PERCENTS) -> Curve:
    places = np.asarray(percents, dtype=np.float64)
    spread = np.random.default_rng(3).standard_normal((400, 1)) * noise
    return Curve(places, values, values + spread * np.ones(len(places)))


def test_a_curve_shifted_by_three_needs_a_third_of_the_labels() -> None:
    reference = curve(np.log(PERCENTS))
    found = reduction(curve(np.log(3 * PERCENTS)), reference)
    assert found.factor == pytest.approx(3.0)
    assert (found.low, found.high) == (pytest.approx(3.0), pytest.approx(3.0))
    assert found.not_reached_fraction == 0.0
    assert found.words(found.factor) == "3"


@settings(deadline=None, max_examples=40)
@given(st.floats(1.0, 90.0))
def test_any_shift_of_a_log_linear_curve_is_found(shift: float) -> None:
    found = reduction(curve(np.log(shift * PERCENTS)), curve(np.log(PERCENTS)))
    assert found.factor == pytest.approx(shift, rel=1e-9)


def test_a_model_against_itself_needs_the_same_labels() -> None:
    same = curve(np.log(PERCENTS), noise=0.1)
    found = reduction(same, same)
    assert (found.factor, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_better_curve_never_needs_more_labels() -> None:
    rng = np.random.default_rng(0)
    reference = curve(np.sort(rng.random(5)))
    values = np.sort(rng.random(5))
    factors = [reduction(curve(values + up), reference).factor for up in np.linspace(0, 1, 21)]
    assert factors == sorted(factors)


def test_what_is_never_reached_is_said() -> None:
    found = reduction(curve(0.1 * np.log(PERCENTS)), curve(np.log(PERCENTS)))
    assert found.factor == 0.0
    assert found.not_reached_fraction == 1.0
    assert found.words(found.low) == "not reached"


def test_what_is_reached_at_once_is_a_lower_bound() -> None:
    found = reduction(curve(np.full(5, 9.0)), curve(np.log(PERCENTS)))
    assert found.factor == found.ceiling == 100.0
    assert found.words(found.factor) == ">= 100"


def test_replicates_that_differ_give_an_interval_of_things_that_happened() -> None:
    reference = curve(np.log(PERCENTS))
    found = reduction(curve(np.log(1.2 * PERCENTS), noise=0.5), reference)
    assert found.low == 0.0
    assert found.high > found.factor == pytest.approx(1.2)
    assert 0.2 < found.not_reached_fraction < 0.5
    assert (found.words(found.low), found.words(float("nan"))) == ("not reached", "undefined")


def test_only_measured_shares_count() -> None:
    small = curve(np.array([1.0, 2.0]), percents=[1.0, 3.0])
    large = curve(np.array([0.5, 1.5, 2.5]), percents=[1.0, 3.0, 100.0])
    assert reduction(small, large).factor == 0.0
    assert reduction(small, large).model_percents == (1.0, 3.0)
    back = reduction(large, small)
    assert back.reference_percent == 3.0
    assert back.factor == pytest.approx(3.0 / np.exp(0.5 * np.log(3.0) + 0.5 * np.log(100.0)))
    single = curve(np.array([3.0]), percents=[3.0])
    assert reduction(single, small).words(reduction(single, small).factor) == ">= 1"


def test_the_first_crossing_of_a_curve_that_falls_again_counts() -> None:
    found = first_reached(PERCENTS, np.array([[0.1, 0.5, 0.2, 0.6, 0.7]]), np.array([0.5]))
    np.testing.assert_allclose(found, [3.0])


def test_flat_steps_and_undefined_scores() -> None:
    values = np.array([[0.2, 0.2, 0.4, 0.4, 0.4], [0.1, np.nan, 0.2, 0.5, 0.6]])
    found = first_reached(PERCENTS, values, np.array([0.4, 0.5]))
    assert found[0] == 10.0
    assert np.isnan(found[1])
    broken = curve(np.array([0.1, np.nan, 0.3, 0.4, 0.5]))
    undefined: Reduction = reduction(broken, curve(np.log(PERCENTS)))
    assert np.isnan([undefined.factor, undefined.low, undefined.not_reached_fraction]).all()


def test_every_model_of_ours_is_compared_with_every_other_one() -> None:
    analysis = analyse(Sweep(tasks=("species",), num_test=120).data(), 50)
    found = reductions(analysis)
    assert len(found) == 6 * 7
    assert {one.reference.name for one in found} >= {"kmer", "cnn", "full / kmer6 / scratch"}
    assert not any(one.model.family == "baseline" for one in found)
    strong = next(
        one.reduction
        for one in found
        if (one.model.name, one.reference.name) == ("full / bpe4096 / pretrained", "cnn")
    )
    assert strong.low > 1.0
