"""Byte-pair merges learnt by compiled functions: what `tokenizers` learns, in a tenth of the time.

The library moves all letters of a piece behind each merge and keeps each piece as links; here a
piece costs the same whatever its length. Same order: the most frequent pair, the lowest of several,
joined from the left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gfmp.storage.compiled import Compiled
from gfmp.vocabulary.vocabulary import BASES
from tokenizer_registry._bpe_training_kernels import BORDER, FREE, INSIDE

MOST_WORDS = INSIDE
# Letters and borders, counted in 32 bits.
MOST_LETTERS = 2**31 - 2
_SEAM = "\n"
_FIRST_TABLE = 1 << 16


def merged_pairs(kernels: Compiled, pieces: Sequence[str], num_words: int) -> list[tuple[int, int]]:
    """Return the pairs that are merged, first to last, until there are `num_words` words.

    Fewer where no pair is left that occurs twice. Word i < 4 is a base, word 4 + i pair i.

    Args:
        kernels: The compiled functions of `_bpe_training_kernels`.
        pieces: Upper-case stretches of ACGT.
        num_words: Words wanted, bases included.
    """
    merging = _Merging(kernels, pieces, num_words)
    pairs: list[tuple[int, int]] = []
    for _ in range(len(BASES), num_words):
        pair = merging.best()
        if pair is None:
            break
        merging.merge(*pair)
        pairs.append(pair)
    return pairs


class _Merging:
    """Tokens, places of words and counts of pairs between two merges."""

    def __init__(self, kernels: Compiled, pieces: Sequence[str], num_words: int) -> None:
        self._kernels = kernels
        self._tokens = _bases(pieces)
        self._letters = [1] * len(BASES)
        # Every merge leaves a token less, so all places of all words fit in one array.
        self._pool = np.empty(len(self._tokens), dtype=np.int32)
        self._used = 0
        self._places: list[NDArray[np.int32]] = [self._pool[:0]] * len(BASES)
        self._beside = np.zeros((2, num_words + 1), dtype=np.int64)
        self._table = _table(_FIRST_TABLE)
        self._num_pairs = 0
        self._heap = np.empty(_FIRST_TABLE, dtype=np.uint64)
        self._in_heap = 0
        self._count_bases()

    def best(self) -> tuple[int, int] | None:
        """Return the pair to merge next; None where none occurs twice."""
        self._in_heap = self._kernels.best_pair(self._heap, self._in_heap, *self._table)
        if not self._in_heap:
            return None
        pair = FREE - (int(self._heap[0]) & FREE)
        return pair >> 16, pair & 0xFFFF

    def merge(self, left: int, right: int) -> None:
        """Make a word of a pair."""
        new, letters = len(self._letters), self._letters
        here, there = self._places[left], self._places[right]
        from_right = left < len(BASES) or (right >= len(BASES) and len(there) < len(here))
        merge = np.array([left, right, new, letters[left], letters[right], from_right], np.int64)
        made = self._pool[self._used :]
        if max(left, right) < len(BASES):
            num_made = self._kernels.join_bases(self._tokens, merge, made, self._beside)
        else:
            half = right if from_right else left
            num_made, num_kept = self._kernels.join_words(
                self._tokens, self._places[half], merge, made, self._beside
            )
            self._places[half] = self._places[half][:num_kept]
        self._letters.append(letters[left] + letters[right])
        self._places.append(made[:num_made])
        self._used += num_made
        self._recount(merge)

    def _recount(self, merge: NDArray[np.int64]) -> None:
        most = self._in_heap + 2 * len(self._letters)
        if most > len(self._heap):
            self._heap = np.concatenate((self._heap, np.empty(most, dtype=np.uint64)))
        if 2 * (self._num_pairs + 2 * len(self._letters)) > len(self._table[0]):
            bigger = _table(2 * len(self._table[0]))
            self._num_pairs = self._kernels.move_pairs(*self._table, bigger)
            self._table = bigger
        before = self._in_heap
        self._in_heap = self._kernels.recount(
            merge, self._beside, self._table, self._heap, self._in_heap
        )
        self._num_pairs += self._in_heap - before

    def _count_bases(self) -> None:
        size = len(BASES)
        left, right = self._tokens[:-1], self._tokens[1:]
        for first in range(size):
            beside = np.bincount(right[left == first], minlength=size)[:size]
            for second in range(size):
                self._enter(first, second, int(beside[second]))

    def _enter(self, left: int, right: int, count: int) -> None:
        pair = np.uint32((left << 16) | right)
        before = self._in_heap
        self._in_heap = self._kernels._enter(pair, count, self._table, self._heap, before)
        self._num_pairs += self._in_heap - before


def _table(size: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    return np.full(size, FREE, dtype=np.uint32), np.zeros(size, dtype=np.uint32)


def _bases(pieces: Sequence[str]) -> NDArray[np.uint16]:
    """Return the pieces as words 0..3, each between two borders."""
    table = np.full(256, BORDER, dtype=np.uint16)
    table[np.frombuffer(BASES.encode("ascii"), dtype=np.uint8)] = np.arange(len(BASES))
    joined = _SEAM.join(("", *pieces, "")).encode("ascii")
    return table[np.frombuffer(joined, dtype=np.uint8)]
