"""Counts of k-mers in sequences: windows of letters as numbers, summed row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from gfmp.vocabulary.tokenizer import OTHER_CODE, Packed, pack
from gfmp.vocabulary.vocabulary import BASES

# Cells of a block of rows whose windows are summed at once; 8 MiB of integers stay in a cache.
_BLOCK_CELLS = 1 << 20


@dataclass(frozen=True)
class Lengths:
    """Which k-mers are counted.

    Attributes:
        shortest: Smallest k, at least 1.
        longest: Largest k.
    """

    shortest: int
    longest: int

    @property
    def num_kmers(self) -> int:
        """Columns V of a table of counts: every k-mer over ACGT."""
        return sum(len(BASES) ** k for k in range(self.shortest, self.longest + 1))

    def kmers(self) -> tuple[str, ...]:
        """Return the k-mer of each column: short ones first, each length in alphabetical order."""
        spans = range(self.shortest, self.longest + 1)
        return tuple("".join(letters) for k in spans for letters in product(BASES, repeat=k))


def count(sequences: Sequence[bytes], lengths: Lengths) -> scipy.sparse.csr_matrix:
    """Count the k-mers of each sequence.

    A window with another letter than ACGT is no k-mer. Case is folded.

    Returns:
        Counts, float32, shape (N, V), columns as in `Lengths.kmers`.
    """
    rows = max(1, _BLOCK_CELLS // lengths.num_kmers)
    blocks = [
        _counted(pack(sequences[first : first + rows], 0), lengths)
        for first in range(0, len(sequences), rows)
    ]
    empty = scipy.sparse.csr_matrix((0, lengths.num_kmers), dtype=np.float32)
    return scipy.sparse.vstack([empty, *blocks], format="csr", dtype=np.float32)


def _counted(packed: Packed, lengths: Lengths) -> scipy.sparse.csr_matrix:
    """Return the counts of one block of rows."""
    num_rows, width = len(packed.offsets) - 1, lengths.num_kmers
    row_of = np.repeat(np.arange(num_rows, dtype=np.int64), np.diff(packed.offsets))
    cells = [row_of[at] * width + column for at, column in _windows(packed, row_of, lengths)]
    counts = np.bincount(np.concatenate(cells), minlength=num_rows * width)
    shown = np.flatnonzero(counts)
    row_ends = np.searchsorted(shown, np.arange(num_rows + 1) * width)
    parts = (counts[shown].astype(np.float32), shown % width, row_ends)
    return scipy.sparse.csr_matrix(parts, shape=(num_rows, width))


def _windows(
    packed: Packed, row_of: NDArray[np.int64], lengths: Lengths
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield, for each k, where its whole windows begin and the columns they count in."""
    codes = packed.codes.astype(np.int64)
    at = np.arange(len(codes), dtype=np.int64)
    number = np.zeros(len(codes), dtype=np.int64)
    first_column = 0
    for k in range(1, lengths.longest + 1):
        inside = at + k <= len(codes)
        at, number = at[inside], number[inside]
        last = at + k - 1
        whole = (codes[last] != OTHER_CODE) & (row_of[last] == row_of[at])
        at, number = at[whole], number[whole] * len(BASES) + codes[last[whole]]
        if k >= lengths.shortest:
            yield at, number + first_column
            first_column += len(BASES) ** k
