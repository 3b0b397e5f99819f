"""Candidate regions of a map."""

from __future__ import annotations

import numpy as np

from gfmp.inference.motif_regions import candidate_bases, regions
from gfmp.spec.motifs import RegionLaw


def test_runs_above_the_mean_with_their_flanks() -> None:
    scores = np.zeros(40)
    scores[10:16] = 1.0
    scores[30:33] = 1.0
    (found,) = candidate_bases([scores], RegionLaw(deviations=0.0, shortest_bp=5, flank_bp=2))
    assert regions(found) == [(8, 18)], "three bases are too short a run"
    (every,) = candidate_bases([scores], RegionLaw(deviations=0.0, shortest_bp=3, flank_bp=0))
    assert regions(every) == [(10, 16), (30, 33)]


def test_flanks_stay_in_the_row() -> None:
    scores = np.array([1.0] * 5 + [0.0] * 20 + [1.0] * 5)
    (found,) = candidate_bases([scores], RegionLaw(flank_bp=4))
    assert regions(found) == [(0, 9), (21, 30)]


def test_more_deviations_leave_less() -> None:
    scores = np.random.default_rng(0).normal(size=400).cumsum()
    shares = [
        candidate_bases([scores], RegionLaw(deviations=d, flank_bp=0))[0].mean()
        for d in (0.0, 0.5, 1.0, 5.0)
    ]
    assert shares == sorted(shares, reverse=True) and shares[-1] == 0


def test_a_flat_map_has_no_region() -> None:
    (found,) = candidate_bases([np.full(30, 0.25)], RegionLaw(deviations=0.0))
    assert not found.any() and regions(found) == []


def test_a_map_that_is_not_finite_has_none_either() -> None:
    (found,) = candidate_bases([np.full(30, np.nan)], RegionLaw())
    assert not found.any()
