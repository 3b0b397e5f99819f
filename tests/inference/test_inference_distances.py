"""Distances: by their formulas, zero for the same, growing with unlikeness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import distance

from gfmp.inference.distances import distances
from gfmp.spec.variant_effect import DISTANCES

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.normal(size=(2, 7, 5))


def test_they_are_those_of_scipy() -> None:
    found = distances(DISTANCES, ONE, OTHER)
    assert found.shape == (7, 4)
    for row, (a, b) in enumerate(zip(ONE, OTHER, strict=True)):
        expected = (
            *(distance.euclidean(a, b), distance.cityblock(a, b)),
            *(distance.cosine(a, b), -float(a @ b)),
        )
        np.testing.assert_allclose(found[row], expected, rtol=1e-12)


def test_nothing_is_far_from_itself_and_the_order_of_names_is_kept() -> None:
    same = distances(("cosine", "manhattan", "euclidean"), ONE, ONE)
    np.testing.assert_allclose(same, 0.0, atol=1e-15)
    swapped = distances(("dot", "euclidean"), ONE, OTHER)
    np.testing.assert_array_equal(swapped[:, ::-1], distances(("euclidean", "dot"), ONE, OTHER))


def test_a_small_angle_is_not_lost_to_rounding() -> None:
    tilted = np.array([[1.0, 1e-9]])
    (found,) = distances(("cosine",), np.array([[1.0, 0.0]]), tilted)
    assert found[0] == pytest.approx(5e-19, rel=1e-6)
    (zero,) = distances(("cosine",), np.zeros((1, 2)), np.zeros((1, 2)))
    assert zero[0] == 0.0
