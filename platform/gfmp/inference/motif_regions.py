"""Candidate regions: where in a row a map is high."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gfmp.spec.motifs import RegionLaw


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
