"""Which bins of a contig the peaks of a profile fill: more than half of them, as in DeepSEA."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def widened(spans: Integers, peak_bp: int) -> tuple[Integers, int]:
    """Return peaks with those of one base made `peak_bp` long, and how many those are.

    Args:
        spans: Start and end of each peak, 0-based and half-open, shape (N, 2).
        peak_bp: That base is the middle; of an even length it is the first after the middle.
    """
    sites = spans[:, 1] - spans[:, 0] == 1
    starts = np.where(sites, spans[:, 0] - peak_bp // 2, spans[:, 0])
    ends = np.where(sites, starts + peak_bp, spans[:, 1])
    wide = np.stack([np.maximum(starts, 0), ends], axis=1)
    return wide, int(sites.sum()) if peak_bp > 1 else 0


def filled(spans: Integers, bin_bp: int) -> Integers:
    """Return the bins of which the peaks together cover more than half, ascending, shape (M,).

    Args:
        spans: Start and end of each peak, in any order, overlapping or not, shape (N, 2).
        bin_bp: Bin b is the bases from b * bin_bp to (b + 1) * bin_bp.
    """
    if not len(spans):
        return np.empty(0, np.int64)
    merged = _merged(spans)
    bins = np.unique(_ranges(merged[:, 0] // bin_bp, (merged[:, 1] - 1) // bin_bp + 1))
    # Covered bases to the left of a place: lines of slope 1 within peaks and 0 between them.
    places, before = merged.ravel(), np.cumsum(merged[:, 1] - merged[:, 0])
    covered = np.stack([np.append(0, before)[:-1], before], axis=1).ravel()
    left, right = (
        np.interp(edge, places, covered) for edge in (bins * bin_bp, (bins + 1) * bin_bp)
    )
    return bins[2 * (right - left) > bin_bp]


def num_without(spans: Integers, bins: Integers, bin_bp: int) -> int:
    """Return how many peaks share no base with any of these bins.

    Args:
        spans: Start and end of each peak, shape (N, 2).
        bins: Bins, ascending.
        bin_bp: Length of a bin.
    """
    first = np.searchsorted(bins, spans[:, 0] // bin_bp)
    last = np.searchsorted(bins, (spans[:, 1] - 1) // bin_bp, side="right")
    return int(np.sum(first == last))


def _merged(spans: Integers) -> Integers:
    """Return the stretches that peaks cover: apart from each other, ascending, shape (M, 2)."""
    ordered = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    begins = np.append(True, ordered[1:, 0] > reach[:-1])
    ends = np.append(begins[1:], True)
    return np.stack([ordered[begins, 0], reach[ends]], axis=1)


def _ranges(starts: Integers, ends: Integers) -> Integers:
    """Return the numbers from each start to its end, one range after the other."""
    counts = ends - starts
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(starts, counts) + within
