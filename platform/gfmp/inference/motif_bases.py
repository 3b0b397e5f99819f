"""Rows laid end to end as base codes, and the windows in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gfmp.vocabulary.tokenizer import OTHER_CODE, pack

_NUM_BASES = 4
_NEVER = -np.inf


@dataclass(frozen=True)
class Bases:
    """N rows laid end to end.

    Attributes:
        codes: A C G T as 0..3; 4 for anything else and for what was erased; uint8, shape (C,).
        offsets: Row n holds codes[offsets[n]:offsets[n + 1]]; int64, shape (N+1,).
    """

    codes: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, sequences: Sequence[bytes]) -> Bases:
        """Join rows; case is folded."""
        packed = pack(sequences, 1)
        return cls(packed.codes.copy(), packed.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Which row each base belongs to, shape (C,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def background(self, both: bool) -> NDArray[np.float64]:
        """Return the share of A, C, G, T among the known bases, shape (4,); none is 0.

        Args:
            both: Count every base with its complement too, as on both strands.
        """
        counts = np.bincount(self.codes, minlength=_NUM_BASES + 1)[:_NUM_BASES] + 1.0
        counts = counts + counts[::-1] if both else counts
        shares: NDArray[np.float64] = counts / counts.sum()
        return shares

    def without(self, erased: NDArray[np.bool_]) -> Bases:
        """Return the rows with some bases made unreadable, shape (C,)."""
        return replace(self, codes=np.where(erased, OTHER_CODE, self.codes).astype(np.uint8))

    def whole(self, width: int) -> NDArray[np.bool_]:
        """Return where a window of so many bases begins inside its row, shape (C,)."""
        ends = np.repeat(self.offsets[1:], np.diff(self.offsets))
        return np.arange(len(self.codes)) + width <= ends

    def words(self, width: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the word that begins at each base as a number, and where one does, shape (C,).

        A word is `width` known bases of one row; its first base is its highest digit.
        """
        codes = np.zeros(len(self.codes), dtype=np.int64)
        known = self.whole(width)
        for place in range(width):
            shifted = self._shifted(place)
            codes = codes * _NUM_BASES + np.minimum(shifted, _NUM_BASES - 1)
            known = known & (shifted != OTHER_CODE)
        return codes, known

    def scores(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-odds of the window that begins at each base, bits, shape (C,).

        -inf where it leaves its row or holds a base that is not known.
        """
        width = len(log_odds)
        table = np.hstack([log_odds, np.full((width, 1), _NEVER)])
        total = np.where(self.whole(width), 0.0, _NEVER)
        for place in range(width):
            total += table[place, self._shifted(place)]
        return total

    def _shifted(self, place: int) -> NDArray[np.uint8]:
        """Return the code `place` bases on from each, shape (C,)."""
        shifted = np.full(len(self.codes), OTHER_CODE, dtype=np.uint8)
        shifted[: max(0, len(self.codes) - place)] = self.codes[place:]
        return shifted


def reverse_words(codes: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Return the reverse complements of words of `width` bases, as numbers."""
    left, turned = codes.copy(), np.zeros_like(codes)
    for _ in range(width):
        turned = turned * _NUM_BASES + (_NUM_BASES - 1 - left % _NUM_BASES)
        left //= _NUM_BASES
    return turned


def spelled(code: int, width: int) -> str:
    """Return the letters of a word."""
    return "".join("ACGT"[code // _NUM_BASES ** (width - 1 - i) % _NUM_BASES] for i in range(width))


@dataclass(frozen=True)
class Sites:
    """Where a motif stands, at most once in a row.

    Attributes:
        rows: Rows, rising, shape (S,).
        starts: First base of each site, counted from the start of its row, shape (S,).
        forward: Whether it stands as the motif reads; else on the other strand, shape (S,).
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    forward: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: NDArray[np.bool_]) -> Sites:
        """Return some of the sites."""
        return Sites(self.rows[which], self.starts[which], self.forward[which])

    def turned(self) -> Sites:
        """Return the sites as those of the reversed motif."""
        return replace(self, forward=~self.forward)

    def covered(self, bases: Bases, width: int) -> NDArray[np.bool_]:
        """Return which bases lie in a site, shape (C,)."""
        steps = np.zeros(len(bases.codes) + 1, dtype=np.int64)
        first = bases.offsets[self.rows] + self.starts
        np.add.at(steps, first, 1)
        np.add.at(steps, np.minimum(first + width, bases.offsets[self.rows + 1]), -1)
        return np.cumsum(steps)[:-1] > 0


def best_sites(
    bases: Bases, log_odds: NDArray[np.float64], both: bool, allowed: NDArray[np.bool_] | None
) -> tuple[Sites, NDArray[np.float64]]:
    """Return the best site of every row, and its log-odds; -inf where a row has none.

    Args:
        bases: N rows.
        log_odds: Of the motif, shape (W, 4).
        both: Whether the other strand is read too; the forward one wins a tie.
        allowed: Bases at which a site may begin, shape (C,); None allows all.

    Returns:
        N sites and N scores, bits.
    """
    scores = bases.scores(log_odds)
    forward = np.ones(len(scores), dtype=np.bool_)
    if both:
        other = bases.scores(log_odds[::-1, ::-1])
        forward = scores >= other
        scores = np.maximum(scores, other)
    if allowed is not None:
        scores = np.where(allowed, scores, _NEVER)
    best = np.maximum.reduceat(scores, bases.offsets[:-1])
    places = np.flatnonzero(scores == best[bases.rows])
    _, first = np.unique(bases.rows[places], return_index=True)
    at = places[first]
    sites = Sites(np.arange(len(bases)), at - bases.offsets[:-1], forward[at])
    return sites, best


def counted(bases: Bases, sites: Sites, width: int, flank: int) -> NDArray[np.float64]:
    """Return the counts of bases at sites and around them, in the direction each is read.

    Args:
        bases: The rows.
        sites: Sites in them.
        width: Bases of a site.
        flank: Bases before and after it; those outside a row count nothing.

    Returns:
        Shape (width + 2 * flank, 4).
    """
    places = np.arange(-flank, width + flank)
    forward = sites.forward[:, None]
    origin = (bases.offsets[sites.rows] + sites.starts)[:, None]
    at = origin + np.where(forward, places, width - 1 - places)
    low, high = bases.offsets[sites.rows][:, None], bases.offsets[sites.rows + 1][:, None]
    inside = (at >= low) & (at < high)
    codes = np.where(inside, bases.codes[np.clip(at, 0, len(bases.codes) - 1)], OTHER_CODE)
    known = codes != OTHER_CODE
    codes = np.where(forward | ~known, codes, _NUM_BASES - 1 - codes)
    counts: NDArray[np.float64] = np.zeros((len(places), _NUM_BASES))
    np.add.at(counts, (np.nonzero(known)[1], codes[known]), 1.0)
    return counts
