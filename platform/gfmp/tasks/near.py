"""Stretches of sequence that two sets of rows share, on either strand.

Rows are compared by their words of 32 bases, a word and its reverse complement being one. Words
are hashed; of very much sequence only every n-th hash is kept, as FracMinHash does (Irber et al.
2022, doi 10.1101/2022.01.11.475838), so memory is bounded and shares stay unbiased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORD_BP = 32
# Two rows are near each other when they share 64 bases in a row, or half of a shorter row.
NEAR_BP = 64
# So many words are kept at most (8 bytes each), until one in `MOST_SAMPLE` is.
MOST_WORDS = 1 << 25
MOST_SAMPLE = 8
_BATCH_BP = 1 << 22
_CODES = np.full(256, 4, dtype=np.uint8)
_CODES[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(4, dtype=np.uint8)

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Words:
    """Words of some sequences, in order; those with an N are left out.

    Attributes:
        hashes: Hash of each word, the same on both strands.
        rows: Index of the sequence each word is of.
        starts: 0-based position of the word in its sequence.
        per_row: Words of each sequence.
    """

    hashes: Hashes
    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    per_row: NDArray[np.int64]


def sample_of(num_bp: int) -> int:
    """Return which share of words is kept of so much sequence: one in the returned number."""
    return min(MOST_SAMPLE, max(1, -(-num_bp // MOST_WORDS)))


def words_of(sequences: Sequence[bytes], sample: int = 1) -> Words:
    """Return the words of sequences in upper case.

    Args:
        sequences: The sequences.
        sample: One word in so many is kept, the same ones wherever they stand.
    """
    parts = []
    first = 0
    for last in _batches(sequences):
        parts.append(_batch(sequences[first:last], first, sample))
        first = last
    hashes, rows, starts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Words(hashes, rows, starts, np.bincount(rows, minlength=len(sequences)))


def _batches(sequences: Sequence[bytes]) -> list[int]:
    """Return the ends of runs of sequences that are worked on together."""
    ends = []
    total = 0
    for index, sequence in enumerate(sequences):
        total += len(sequence)
        if total >= _BATCH_BP:
            ends.append(index + 1)
            total = 0
    return ends if ends and ends[-1] == len(sequences) else [*ends, len(sequences)]


def _batch(
    sequences: Sequence[bytes], first: int, sample: int
) -> tuple[Hashes, NDArray[np.int64], NDArray[np.int64]]:
    """Return hash, sequence and start of each kept word; sequences are parted by an N."""
    codes = _CODES[np.frombuffer(b"N".join(sequences), dtype=np.uint8)]
    hashes = _hashed(_canonical(codes))
    whole = np.concatenate(([0], np.cumsum(codes == 4)))
    valid = whole[WORD_BP:] == whole[:-WORD_BP] if len(codes) >= WORD_BP else whole[:0] == 0
    kept = np.flatnonzero(valid & (hashes % np.uint64(sample) == 0))
    lengths = np.array([len(sequence) + 1 for sequence in sequences], dtype=np.int64)
    origins = np.cumsum(lengths) - lengths
    rows = np.searchsorted(origins, kept, side="right") - 1
    return hashes[kept], rows + first, kept - origins[rows]


def _canonical(codes: NDArray[np.uint8]) -> Hashes:
    """Return the smaller of each word and its reverse complement, 2 bits a base."""
    forward = (codes & 3).astype(np.uint64)
    reverse = 3 - forward
    width = 1
    # Words of twice the width are made of two words; codes of other letters are sorted out later.
    while width < WORD_BP:
        shift = np.uint64(2 * width)
        forward = (forward[:-width] << shift) | forward[width:]
        reverse = reverse[:-width] | (reverse[width:] << shift)
        width *= 2
    return np.minimum(forward, reverse)


def _hashed(words: Hashes) -> Hashes:
    """Mix the bits of each word, one to one (the finalizer of splitmix64)."""
    mixed = words ^ (words >> np.uint64(30))
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    mixed = mixed ^ (mixed >> np.uint64(27))
    mixed = mixed * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def found_in(hashes: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Return which hashes are among `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(hashes), dtype=np.bool_)
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    same: NDArray[np.bool_] = known[places] == hashes
    return same


def num_shared(words: Words, shared: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many distinct words of each sequence are flagged; repeats count once."""
    rows, hashes = words.rows[shared], words.hashes[shared]
    order = np.lexsort((hashes, rows))
    rows, hashes = rows[order], hashes[order]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (rows[1:] != rows[:-1]) | (hashes[1:] != hashes[:-1])
    return np.bincount(rows[new], minlength=len(words.per_row))


def are_near(words: Words, shared: NDArray[np.bool_], sample: int) -> NDArray[np.bool_]:
    """Return which sequences share enough of their words; those without a word never do."""
    enough = np.minimum((NEAR_BP - WORD_BP + 1) / sample, words.per_row / 2)
    near: NDArray[np.bool_] = (words.per_row > 0) & (num_shared(words, shared) >= enough)
    return near
