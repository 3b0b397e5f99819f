"""Background models: how predictable DNA is from the few bases before it.

A trained model is compared with them in bits per base. Order 0 is base composition, order 5 is
the usual background of motif tools.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.alphabet import reverse_complement
from gfmp.genome.corpus import Corpus
from gfmp.genome.sample import sample_sequences
from gfmp.genome.splits import Split

HIGHEST_ORDER = 10
_FIT_CHUNK_BP = 10_000
_FIT_SEED = 0
_PSEUDOCOUNT = 1.0
_UNKNOWN = 4


@dataclass(frozen=True)
class MarkovModel:
    """Probabilities of a base given up to `order` bases before it, both strands pooled.

    Attributes:
        order: Longest context in bases.
        tables: For each context length k = 0..order, float64 of shape (4**k, 4): probability of
            A, C, G, T in that column order after a context read as base-4 digits, the newest
            base lowest.
    """

    order: int
    tables: tuple[NDArray[np.float64], ...]

    @classmethod
    def fit(
        cls, corpus: Corpus, order: int, split: Split = "train", max_bp: int = 50_000_000
    ) -> MarkovModel:
        """Count contexts on at most about `max_bp` bases of `split`, sampled uniformly.

        Every table gets a pseudocount of 1 per cell.
        """
        assert 0 <= order <= HIGHEST_ORDER, f"order {order} is not in 0..{HIGHEST_ORDER}"
        counts = [np.full((4**k, 4), _PSEUDOCOUNT) for k in range(order + 1)]
        for chunk in sample_sequences(corpus, max_bp, _FIT_CHUNK_BP, _FIT_SEED, split):
            forward = np.frombuffer(chunk, np.uint8)
            for strand in (forward, reverse_complement(forward)):
                _count(_CODES[strand], counts)
        return cls(order, tuple(c / c.sum(axis=1, keepdims=True) for c in counts))

    def bits(self, sequence: bytes) -> NDArray[np.float64]:
        """Return -log2 of the probability of each base given the true bases before it.

        Args:
            sequence: Letters of one strand, either case; a position uses only its own letters
                before it, and fewer of them at the start and after an N.

        Returns:
            float64 of shape (len(sequence),); NaN where the base itself is not A, C, G or T.
        """
        codes = _CODES[np.frombuffer(sequence, np.uint8)]
        depth = _context_depth(codes, self.order)
        known = codes != _UNKNOWN
        result = np.full(len(codes), np.nan)
        for k, table in enumerate(self.tables):
            here = np.flatnonzero(known & (depth == k))
            result[here] = -np.log2(table[_contexts(codes, k)[here], codes[here]])
        return result


def _count(codes: NDArray[np.uint8], counts: list[NDArray[np.float64]]) -> None:
    """Add the contexts of one strand to the counts of every order."""
    depth = _context_depth(codes, len(counts) - 1)
    for k, table in enumerate(counts):
        here = (codes != _UNKNOWN) & (depth >= k)
        cells = _contexts(codes, k)[here] * 4 + codes[here]
        table += np.bincount(cells, minlength=table.size).reshape(table.shape)


def _contexts(codes: NDArray[np.uint8], k: int) -> NDArray[np.int64]:
    """Read the k bases before each position as a number; any where fewer are known."""
    contexts = np.zeros(len(codes), np.int64)
    digits = codes.astype(np.int64) & 3
    for distance in range(1, min(k, len(codes)) + 1):
        contexts[distance:] += digits[: len(codes) - distance] << (2 * (distance - 1))
    return contexts


def _context_depth(codes: NDArray[np.uint8], order: int) -> NDArray[np.int64]:
    """Count the known bases right before each position, at most `order`."""
    positions = np.arange(len(codes))
    unknown = np.where(codes == _UNKNOWN, positions, -1)
    newest = np.concatenate([[-1], np.maximum.accumulate(unknown)[:-1]]) if len(codes) else unknown
    depth: NDArray[np.int64] = np.minimum(positions - newest - 1, order)
    return depth


def _codes() -> NDArray[np.uint8]:
    table = np.full(256, _UNKNOWN, np.uint8)
    for code, letter in enumerate(b"ACGT"):
        table[letter] = table[letter + 32] = code
    return table


_CODES = _codes()
