"""A motif as counts of the bases at each of its places, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

BASES = "ACGT"
UNIFORM = (0.25, 0.25, 0.25, 0.25)
# Added to the counts of a place in all, in the proportions of the background.
PSEUDOCOUNT = 1.0
# IUPAC letters by their bases (A 1, C 2, G 4, T 8).
_IUPAC = "-ACMGRSVTWYHKDBN"
# A letter stands for the fewest bases that have this share together.
_CONSENSUS_SHARE = 0.7


@dataclass(frozen=True, eq=False)
class Motif:
    """A position weight matrix with its name.

    Attributes:
        name: What tables call it: `motif-1`, `MA0139.1 CTCF`.
        counts: Sites with A, C, G, T at each place, shape (W, 4); fractions where a file gives
            frequencies.
    """

    name: str
    counts: NDArray[np.float64]

    def __post_init__(self) -> None:
        assert self.counts.ndim == 2 and self.counts.shape[1] == len(BASES), "W places, 4 bases"
        assert len(self.counts) > 0 and bool((self.counts >= 0).all()), "counts of some place"

    @property
    def width(self) -> int:
        """Places W."""
        return len(self.counts)

    @property
    def num_sites(self) -> float:
        """Sites of the place that most of them reach."""
        return float(self.counts.sum(axis=1).max())

    @cached_property
    def frequencies(self) -> NDArray[np.float64]:
        """Share of each base at each place, as counted; shape (W, 4), rows sum to 1."""
        totals = self.counts.sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.where(
            totals > 0, self.counts / np.where(totals > 0, totals, 1.0), 1 / len(BASES)
        )
        return shares

    def smoothed(self, background: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the shares with pseudocounts in the proportions of a background, shape (W, 4)."""
        totals = self.counts.sum(axis=1, keepdims=True)
        smooth: NDArray[np.float64] = (self.counts + PSEUDOCOUNT * background) / (
            totals + PSEUDOCOUNT
        )
        return smooth

    def log_odds(self, background: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log2 of the smoothed shares over a background, bits, shape (W, 4)."""
        bits: NDArray[np.float64] = np.log2(self.smoothed(background) / background)
        return bits

    def bits(self, background: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the relative entropy of each place against a background, bits, shape (W,)."""
        smooth = self.smoothed(background)
        entropy: NDArray[np.float64] = (smooth * np.log2(smooth / background)).sum(axis=1)
        return entropy

    @cached_property
    def information(self) -> NDArray[np.float64]:
        """Information of each place: 2 - entropy of its shares, bits, shape (W,), 0 to 2."""
        shares = self.frequencies
        logs = np.log2(np.where(shares > 0, shares, 1.0))
        bits: NDArray[np.float64] = 2.0 + (shares * logs).sum(axis=1)
        return np.clip(bits, 0.0, 2.0)

    @cached_property
    def consensus(self) -> str:
        """One IUPAC letter for each place: the fewest bases with 0.7 of its sites."""
        return "".join(map(_letter, self.frequencies))

    def reverse_complement(self) -> Motif:
        """Return the motif of the other strand."""
        return Motif(self.name, self.counts[::-1, ::-1].copy())

    def part(self, first: int, last: int) -> Motif:
        """Return the places first to last (half-open)."""
        return Motif(self.name, self.counts[first:last].copy())

    def named(self, name: str) -> Motif:
        """Return the motif under another name."""
        return Motif(name, self.counts)


def _letter(shares: NDArray[np.float64]) -> str:
    order = np.argsort(-shares, kind="stable")
    reached = np.cumsum(shares[order]) >= _CONSENSUS_SHARE - 1e-9
    bases = order[: int(np.argmax(reached)) + 1]
    return _IUPAC[int(sum(1 << int(base) for base in bases))]


def similarity(one: Motif, other: Motif, least_overlap: int) -> tuple[float, int, bool]:
    """Return how alike two motifs are in their best ungapped alignment.

    Args:
        one: A motif.
        other: Another.
        least_overlap: Places that an alignment has at least; fewer where a motif is narrower.

    Returns:
        The correlation of their shares over the overlap (Pearson), where the other begins in the
        first, and whether it stands reversed.
    """
    least = min(least_overlap, one.width, other.width)
    best = (-1.0, 0, False)
    for reverse in (False, True):
        turned = (other.reverse_complement() if reverse else other).frequencies
        for shift in range(least - len(turned), one.width - least + 1):
            mine = one.frequencies[max(shift, 0) : shift + len(turned)]
            theirs = turned[max(-shift, 0) : max(-shift, 0) + len(mine)]
            found = _correlation(mine.ravel(), theirs.ravel())
            if found > best[0] + 1e-12:
                best = (found, shift, reverse)
    return best


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0
