"""Stretches without a peak that match the peaks: the negative sampling of Ye et al., A.5.

A negative lies on the contig of its peak, is as long, has as many G and C within the tolerance
and touches no peak, no excluded region, no N and no other negative. Places are first tried at
random; peaks with a rare content, such as CpG islands, would then be lost, so what is left
is looked for in all places that begin at a multiple of 64.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.tasks.derivation.windows import rank

Span = tuple[int, int]
_STEP_BP = 64


@dataclass(frozen=True)
class Matching:
    """How negatives are drawn.

    Attributes:
        gc_tolerance: Largest difference of the shares of G and C.
        attempts: Places tried at random for each.
        seed: Another number draws others.
    """

    gc_tolerance: float
    attempts: int
    seed: int


class Blocked:
    """Stretches that nothing may touch, merged and sorted."""

    def __init__(self, spans: Sequence[Span]) -> None:
        merged: list[list[int]] = []
        for start, end in sorted(spans):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        self._starts = np.array([start for start, _ in merged] + [np.iinfo(np.int64).max])
        self._ends = np.array([end for _, end in merged], dtype=np.int64)

    def free(self, starts: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
        """Tell for every start whether a stretch of that length touches nothing."""
        following = np.searchsorted(self._ends, starts, side="right")
        return self._starts[following] >= starts + length


class _Taken:
    """Negatives that were drawn already."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def meets(self, start: int, length: int) -> bool:
        """Tell whether a stretch touches one of them."""
        place = bisect.bisect_left(self._spans, (start, start))
        before = place > 0 and self._spans[place - 1][1] > start
        return before or (place < len(self._spans) and self._spans[place][0] < start + length)

    def add(self, start: int, length: int) -> None:
        """Take a stretch."""
        bisect.insort(self._spans, (start, start + length))


def unknown_runs(bases: bytes) -> list[Span]:
    """Return the runs of N of a contig, 0-based and half-open."""
    is_n = np.frombuffer(bases, np.uint8) == ord("N")
    borders = np.flatnonzero(np.diff(is_n, prepend=False, append=False))
    return list(zip(borders[::2].tolist(), borders[1::2].tolist(), strict=True))


def gc_count(bases: bytes, start: int, end: int) -> int:
    """Return how many of the bases start..end are G or C."""
    return bases.count(b"G", start, end) + bases.count(b"C", start, end)


def matched(
    contig: str, bases: bytes, peaks: Sequence[Span], blocked: Blocked, rule: Matching
) -> list[int | None]:
    """Return the start of a negative for each peak; None where no place matches.

    Args:
        contig: Its name; with the peak and the seed it decides which places are tried.
        bases: Its letters, upper case.
        peaks: Rows of class 1 on this contig, 0-based and half-open.
        blocked: What no negative may touch.
        rule: How they are drawn.
    """
    taken, starts = _Taken(), list[int | None]()
    index = _GcIndex(bases)
    for start, end in peaks:
        length = end - start
        wanted = gc_count(bases, start, end)
        slack = rule.gc_tolerance * length
        draw = np.random.default_rng(rank(rule.seed, "negative", contig, start, end))
        last = len(bases) - length
        tried = draw.integers(0, last + 1, rule.attempts)
        found = _first(bases, tried[blocked.free(tried, length)], (length, wanted, slack), taken)
        if found is None:
            near = index.near(length, wanted, slack)
            near = draw.permutation(near[blocked.free(near, length)])
            found = _first(bases, near, (length, wanted, slack), taken)
        if found is not None:
            taken.add(found, length)
        starts.append(found)
    return starts


def _first(
    bases: bytes, places: NDArray[np.int64], content: tuple[int, int, float], taken: _Taken
) -> int | None:
    """Return the first place whose content is as wanted and that touches no other negative."""
    length, wanted, slack = content
    for place in places.tolist():
        fits = abs(gc_count(bases, place, place + length) - wanted) <= slack
        if fits and not taken.meets(place, length):
            return int(place)
    return None


class _GcIndex:
    """G and C in all stretches that begin at a multiple of 64, from one count for each 64 bases."""

    def __init__(self, bases: bytes) -> None:
        letters = np.frombuffer(bases, np.uint8)
        is_gc = (letters == ord("G")) | (letters == ord("C"))
        whole = len(bases) // _STEP_BP
        counts = is_gc[: whole * _STEP_BP].reshape(whole, _STEP_BP).sum(axis=1, dtype=np.int64)
        self._sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        self._num_bases = len(bases)

    def near(self, length: int, wanted: int, slack: float) -> NDArray[np.int64]:
        """Return starts whose content may be as wanted; the last 64 bases are not counted."""
        steps = length // _STEP_BP
        starts = np.arange(len(self._sums) - steps, dtype=np.int64)
        low = self._sums[steps:] - self._sums[: len(starts)]
        rest = length - steps * _STEP_BP
        may = (low <= wanted + slack) & (low + rest >= wanted - slack)
        places = starts[may] * _STEP_BP
        return places[places + length <= self._num_bases]
