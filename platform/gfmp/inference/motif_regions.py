"""Candidate regions: where in a row a map is high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RegionLaw:
    """Which bases are candidates.

    DNABERT-viz takes runs of at least five bases above the mean of their row and above ten times
    its minimum; the second asks what attention from [CLS] has and other maps have not, so here it
    is a number of standard deviations.

    Attributes:
        deviations: A candidate base is above its row's mean by so many standard deviations.
        shortest_bp: Shorter runs are left out.
        flank_bp: Bases added on either side of a run.
    """

    deviations: float = 0.5
    shortest_bp: int = 5
    flank_bp: int = 3


def candidate_bases(
    maps: Sequence[NDArray[np.floating]], law: RegionLaw
) -> tuple[NDArray[np.bool_], ...]:
    """Return for each row which of its bases are in a candidate region."""
    return tuple(_candidates(np.asarray(one, dtype=np.float64), law) for one in maps)


def regions(candidates: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the runs of candidate bases of a row, 0-based, half-open."""
    steps = np.diff(candidates.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _candidates(scores: NDArray[np.float64], law: RegionLaw) -> NDArray[np.bool_]:
    high = scores > scores.mean() + law.deviations * scores.std()
    found = np.zeros(len(scores), dtype=np.bool_)
    for start, end in regions(high):
        if end - start >= law.shortest_bp:
            found[max(0, start - law.flank_bp) : end + law.flank_bp] = True
    return found
