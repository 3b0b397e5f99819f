"""Exact byte-pair encoding without merging; compiled on need.

A sequence of words is what merging gives exactly when each two neighbours are (as in the crate
`bpe` of rust-gems). So words are taken from the left, the longest first; one that cannot stand
behind the last is shortened, and where none is left the last one is taken back. A place that was
taken back never comes right, for what merging makes of the letters before it is one sequence only.
"""

from __future__ import annotations

import numpy as np
from numpy import uint8, uint16
from numpy.typing import NDArray

from gfmp.storage.compiled import Kernels

# No word.
NONE = 65_535
ROOT = 1
HEAD_BP = 8
_OTHER = 4
Text = tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.uint8]]
# The arrays of `_bpe_tables.Tables`, in its order.
Tables = tuple[
    NDArray[np.uint16],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.uint16],
    NDArray[np.uint32],
    NDArray[np.uint16],
    NDArray[np.uint16],
    NDArray[np.uint16],
    NDArray[np.uint8],
]


def _read_heads(codes: NDArray[np.uint8], heads: NDArray[np.uint16]) -> None:
    """Write the base-4 number of the eight codes that begin at each place."""
    for i in range(len(codes)):
        heads[i] = uint8(codes[i] & uint8(3))
    for width in (1, 2, 4):
        for i in range(len(codes)):
            heads[i] = uint16(uint16(heads[i] << uint16(2 * width)) | heads[i + width])


def _encode_stretch(
    begin: int, end: int, text: Text, tables: Tables, words: NDArray[np.uint16]
) -> int:
    """Write the words of a stretch of bases; return how many."""
    codes, heads, alive = text
    head_words, head_nodes, children, node_words, letters, shorter, rows, columns, fits = tables
    count, place, stop, new, word = 0, begin, begin, True, uint16(NONE)
    while place < end:
        if new:
            step, node, word = place, np.int32(ROOT), uint16(NONE)
            if end - place >= HEAD_BP:
                step, word = place + HEAD_BP, head_words[heads[place]]
                node = head_nodes[heads[place]]
            while node and step < end:
                node = children[node, codes[step]]
                word = node_words[node] if node_words[node] != NONE else word
                step += 1
        while word != NONE:
            stop, column = place + letters[word], columns[word]
            fit = count == 0 or fits[rows[words[count - 1]], column >> 3] >> (column & 7) & 1
            if fit and alive[stop]:
                break
            word = shorter[word]
        new = word != NONE
        if new:
            words[count] = word
            count, place = count + 1, stop
        else:
            alive[place] = 0
            count -= 1
            place -= letters[words[count]]
            word = shorter[words[count]]
    return count


def encode_sequences(
    codes: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    tables: Tables,
    words: NDArray[np.uint16],
    cu_tokens: NDArray[np.int64],
) -> None:
    """Write the words of every sequence.

    Args:
        codes: Base codes of all sequences, 4 for other letters, shape (N,).
        offsets: Where each begins and the last ends, shape (B+1,).
        tables: The vocabulary (see `_bpe_tables`).
        words: Written: words by rank, their number for a letter that is no base; shape (N,).
        cu_tokens: Written: where the words of each sequence begin and the last end, shape (B+1,).
    """
    heads = np.zeros(len(codes) + HEAD_BP, np.uint16)
    _read_heads(codes, heads)
    # A place with 0 was taken back.
    text = (codes, heads, np.ones(len(codes) + 1, np.uint8))
    unknown, count = len(tables[4]), 0
    for sequence in range(len(offsets) - 1):
        begin, end = offsets[sequence], offsets[sequence + 1]
        while begin < end:
            stop = begin
            while stop < end and codes[stop] != _OTHER:
                stop += 1
            count += _encode_stretch(begin, stop, text, tables, words[count:])
            if stop < end:
                words[count] = unknown
                count, stop = count + 1, stop + 1
            begin = stop
        cu_tokens[sequence + 1] = count


_TEXT = "Tuple((u1[::1], u2[::1], u1[::1]))"
_TABLES = (
    "Tuple((u2[::1], i4[::1], i4[:, ::1], u2[::1], u4[::1], u2[::1], u2[::1], u2[::1], u1[:, ::1]))"
)
KERNELS = Kernels(
    __name__,
    {
        "_read_heads": "void(u1[::1], u2[::1])",
        "_encode_stretch": f"i8(i8, i8, {_TEXT}, {_TABLES}, u2[::1])",
        "encode_sequences": f"void(u1[::1], i8[::1], {_TABLES}, u2[::1], i8[::1])",
    },
    # The library encodes as many bases while numba loads and the tables are made.
    worth=1 << 22,
)
