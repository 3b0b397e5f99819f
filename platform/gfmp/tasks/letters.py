"""Sequences of files as A, C, G, T, N: one pass over all letters of a file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from gfmp.errors import DataError
from gfmp.genome.alphabet import AlphabetCounts, AlphabetPolicy, translate

# RNA is read as DNA; other ambiguity codes say no more than N to a model of four letters.
POLICY = AlphabetPolicy(soft_mask="upper", iupac="n", uracil="t")


def normalised(
    sequences: Sequence[str], column: str, where: Callable[[int], str]
) -> tuple[tuple[bytes, ...], AlphabetCounts]:
    """Return the sequences as upper-case A, C, G, T, N, and what the letters were before.

    Args:
        sequences: As they stand in the file; blanks around them are dropped.
        column: Name of their column, for messages.
        where: Tells the place of a row.

    Raises:
        DataError: a sequence is empty or holds anything but nucleotide letters.
    """
    texts = [text.strip() for text in sequences]
    if "" in texts:
        raise DataError(
            f"column {column!r} is empty",
            where=where(texts.index("")),
            why="every row has a sequence",
            fix="fill it in, or remove the row",
        )
    # One byte for each letter: what is no ASCII letter stays something that is refused.
    block = "".join(texts).encode("ascii", "replace")
    translated = translate(block, POLICY)
    ends = list(itertools.accumulate(len(text) for text in texts))
    if translated.refused < len(block):
        row = int(np.searchsorted(ends, translated.refused, side="right"))
        at = translated.refused - (ends[row] - len(texts[row]))
        raise DataError(
            f"column {column!r} holds {texts[row][at]!r} at letter {at + 1}",
            where=where(row),
            why="sequences are A C G T U N and IUPAC codes, in either case",
            fix="correct the sequence, or remove the row",
        )
    starts = [0, *ends[:-1]]
    bases = translated.bases
    return tuple(bases[a:b] for a, b in zip(starts, ends, strict=True)), translated.counts
