"""Hypergeometric p-values, and what they are worth among many."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.report.enrichment import Enrichment, log10_tail, q_values


def exact(x: int, n: int, positives: int, negatives: int) -> Fraction:
    total = math.comb(positives + negatives, n)
    most = min(n, positives)
    ways = sum(math.comb(positives, i) * math.comb(negatives, n - i) for i in range(x, most + 1))
    return Fraction(ways, total)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), positives=st.integers(1, 40), negatives=st.integers(1, 40))
def test_p_values_are_exact(data: st.DataObject, positives: int, negatives: int) -> None:
    here = data.draw(st.integers(0, positives))
    there = data.draw(st.integers(0, negatives))
    found = log10_tail(np.array([here]), np.array([here + there]), (positives, negatives))
    wanted = exact(here, here + there, positives, negatives)
    assert found[0] == pytest.approx(math.log10(wanted), abs=1e-6)


def test_many_at_once_are_each_alone() -> None:
    here, rows = np.array([5, 0, 5, 9]), np.array([6, 3, 6, 9])
    together = log10_tail(here, rows, (20, 30))
    alone = [log10_tail(here[i : i + 1], rows[i : i + 1], (20, 30))[0] for i in range(4)]
    np.testing.assert_allclose(together, alone)
    assert together[1] == 0.0, "what no positive row has is certain to be there as often"


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    p = np.array([0.001, 0.02, 0.03, 0.5])
    wanted = [0.004, 0.04, 0.04, 0.5]
    np.testing.assert_allclose(q_values(np.log10(p)), wanted)
    assert q_values(np.zeros(0)).shape == (0,)
    assert q_values(np.array([-5000.0]))[0] < 1e-290, "beyond what a float can say"


def test_an_enrichment_says_how_often_and_how_much() -> None:
    have = np.array([True] * 8 + [False] * 2)
    found = Enrichment.of(have, ~have)
    assert (found.positives, found.negatives) == (8, 2)
    assert found.p == pytest.approx(float(exact(8, 10, 10, 10)))
    assert found.fold == pytest.approx(8.5 / 2.5)
    nothing = Enrichment.of(~np.ones(3, dtype=np.bool_), ~np.ones(3, dtype=np.bool_))
    assert nothing.p == 1.0 and nothing.fold == 1.0
