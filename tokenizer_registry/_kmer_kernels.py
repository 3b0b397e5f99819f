"""Overlapping windows of k letters to ids, many per instruction; compiled on need.

Base codes, pairs of them and whole windows are 16-bit numbers in one short buffer, so that every
pass is one vector instruction for many windows (doubling: a pair is two codes, a window of six is
three pairs). Every intermediate is narrowed by hand: numba computes in 64 bits unless told.
"""

from __future__ import annotations

import numpy as np
from numpy import uint8, uint16
from numpy.typing import NDArray

from gfmp.storage.compiled import Kernels

# Windows of a block: its buffers stay in the first-level cache.
_BLOCK = 4096
LONGEST = 7
# Letters that are looked at together for a foreign one.
_GLANCE = 64


def _is_base(letter: np.uint8) -> bool:
    """Tell whether a letter is one of A, C, G and T in either case."""
    upper = uint8(letter & uint8(0xDF))
    purine = (upper == uint8(65)) | (upper == uint8(71))
    return purine | (upper == uint8(67)) | (upper == uint8(84))


def _pair(letters: NDArray[np.uint8], pairs: NDArray[np.uint16]) -> None:
    """Write the number each letter and its follower spell, in either case.

    The last letter is paired with what stands behind it in `pairs`. A letter that is no base
    reads as one.
    """
    for i in range(len(letters)):
        letter = letters[i]
        # The bits of A, C, G and T (0x41, 43, 47, 54) hold their alphabetical number.
        pairs[i] = uint8(uint8(letter >> uint8(1)) ^ uint8(letter >> uint8(2))) & uint8(3)
    # Not through a slice: it would overlap, and numba would go one by one.
    for i in range(len(letters)):
        pairs[i] = uint16(uint16(pairs[i] << uint16(2)) | uint16(pairs[i + 1] & uint16(3)))


def _all_bases(letters: NDArray[np.uint8]) -> bool:
    """Tell whether no letter is foreign."""
    other = uint8(0)
    for i in range(len(letters)):
        other = uint8(other | uint8(not _is_base(letters[i])))
    return other == uint8(0)


def _join(pairs: NDArray[np.uint16], k: int, first: np.uint16, ids: NDArray[np.uint16]) -> None:
    """Write `first` and more: the base-4 number of each window of k."""
    third, fifth = pairs[2:], pairs[4:]
    if k == 6:
        # Most of all DNA is read so: one pass.
        for i in range(len(ids)):
            four = uint16(uint16(pairs[i] << uint16(8)) | uint16(third[i] << uint16(4)))
            ids[i] = uint16(uint16(four | fifth[i]) + first)
        return
    for i in range(len(ids)):
        ids[i] = pairs[i]
    for place in range(2, k - 1, 2):
        later = pairs[place:]
        for i in range(len(ids)):
            ids[i] = uint16(uint16(ids[i] << uint16(4)) | later[i])
    # The last pair of an odd window shares a base with the one before.
    later = pairs[k - 2 :]
    for i in range(len(ids) if k % 2 else 0):
        ids[i] = uint16(uint16(ids[i] << uint16(2)) | uint16(later[i] & uint16(3)))
    for i in range(len(ids)):
        ids[i] = uint16(ids[i] + first)


def _forget(letters: NDArray[np.uint8], k: int, unknown: int, ids: NDArray[np.uint16]) -> None:
    """Write `unknown` for every window that holds a letter that is no base."""
    for begin in range(0, len(letters), _GLANCE):
        glance = letters[begin : begin + _GLANCE]
        if _all_bases(glance):
            continue
        for i in range(begin, begin + len(glance)):
            if not _is_base(letters[i]):
                ids[max(0, i - k + 1) : i + 1] = unknown


def encode_windows(
    letters: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    k: int,
    table: NDArray[np.uint16],
    ids: NDArray[np.uint16],
) -> None:
    """Write the id of every window of k letters of every sequence.

    Args:
        letters: The sequences, one after another.
        offsets: Where each begins and the last ends; none is shorter than k.
        k: Letters of a window, 2..7.
        table: Id of each base-4 number, then the id of a window with another letter, then 1 where
            the ids of the numbers follow one another, else 0; shape (4^k + 2,).
        ids: Where they are written; shape (letters - sequences * (k - 1),).
    """
    in_order, unknown = table[-1], table[-2]
    first_id = table[0] if in_order else uint16(0)
    pairs = np.zeros(_BLOCK + _GLANCE + LONGEST, np.uint16)
    row = 0
    for begin in range(0, len(letters) - k + 1, _BLOCK):
        end = min(begin + _BLOCK, len(letters) - k + 1)
        block = letters[begin : end + k - 1]
        _pair(block, pairs)
        clean = _all_bases(block)
        while row < len(offsets) - 1 and offsets[row] < end:
            first, last = max(begin, offsets[row]), min(end, offsets[row + 1] - k + 1)
            place = first - row * (k - 1)
            # Whole vectors: what is written too far the next row overwrites.
            count = min((last - first + _GLANCE - 1) // _GLANCE * _GLANCE, len(ids) - place)
            named = ids[place : place + count]
            _join(pairs[first - begin :], k, first_id, named)
            for i in range(0 if in_order else count):
                named[i] = table[named[i]]
            if not clean and not _all_bases(letters[first : last + k - 1]):
                _forget(letters[first : last + k - 1], k, unknown, named[: last - first])
            if offsets[row + 1] - k + 1 > end:
                break
            row += 1


KERNELS = Kernels(
    __name__,
    {
        "_is_base": "boolean(u1)",
        "_all_bases": "boolean(u1[::1])",
        "_pair": "void(u1[::1], u2[::1])",
        "_join": "void(u2[::1], i8, u2, u2[::1])",
        "_forget": "void(u1[::1], i8, u2, u2[::1])",
        "encode_windows": "void(u1[::1], i8[::1], i8, u2[::1], u2[::1])",
    },
    # Importing numba takes most of a second; numpy needs as long for so many bases.
    worth=1 << 26,
)
