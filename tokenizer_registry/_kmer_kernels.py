"""Overlapping windows of k letters to ids, many per instruction; compiled on need.

Base codes and the numbers of three of them are bytes in short buffers, so that a pass is one vector
instruction for 64 windows, and a window of six is two threes. Every intermediate is narrowed by
hand: numba computes in 64 bits unless told. Places are unsigned, which numba does not look up from
the end, and whole arrays are handed on: a slice counts a reference, at the price of 50 windows.
"""

from __future__ import annotations

import numpy as np
from numpy import uint8, uint16, uint64
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


def _code(
    letters: NDArray[np.uint8],
    begin: int,
    count: int,
    codes: NDArray[np.uint8],
    threes: NDArray[np.uint8],
) -> None:
    """Write the code of each letter, and the number it spells with the two behind it.

    A letter that is no base reads as one.
    """
    for i in range(count):
        letter = letters[uint64(begin + i)]
        # The bits of A, C, G, T (0x41, 43, 47, 54) and a, c, g, t hold their alphabetical number.
        code = uint8(uint8(letter >> uint8(1)) ^ uint8(letter >> uint8(2))) & uint8(3)
        codes[uint64(i)] = uint8(code)
    for i in range(count):
        two = uint8(codes[uint64(i)] << uint8(4)) | uint8(codes[uint64(i + 1)] << uint8(2))
        threes[uint64(i)] = uint8(uint8(two) | codes[uint64(i + 2)])


def _all_bases(letters: NDArray[np.uint8], begin: int, count: int) -> bool:
    """Tell whether none of so many letters is foreign."""
    other = uint8(0)
    for i in range(count):
        other = uint8(other | uint8(not _is_base(letters[uint64(begin + i)])))
    return other == uint8(0)


def _in_order(table: NDArray[np.uint16]) -> bool:
    """Tell whether the ids follow one another."""
    other = uint16(0)
    for i in range(len(table)):
        other = uint16(other | uint16(uint16(table[i] - table[0]) ^ uint16(i)))
    return other == uint16(0)


def _join(
    threes: NDArray[np.uint8],
    where: tuple[int, int, int],
    k: int,
    first: np.uint16,
    ids: NDArray[np.uint16],
) -> None:
    """Write `first` and more: the base-4 numbers of windows of k.

    Args:
        threes: From `_code`.
        where: The first window, the place of its id, and how many windows.
        k: Letters of a window.
        first: Id of the number 0.
        ids: Where they are written.
    """
    begin, place, count = where
    spare = uint16(2 * max(0, 3 - k))
    for i in range(count):
        ids[uint64(place + i)] = uint16(uint16(threes[uint64(begin + i)]) >> spare)
    for later in range(3, k):
        for i in range(count):
            so_far = uint16(ids[uint64(place + i)] << uint16(2))
            code = uint16(threes[uint64(begin + later + i)]) >> uint16(4)
            ids[uint64(place + i)] = uint16(so_far | uint16(code))
    for i in range(count):
        ids[uint64(place + i)] = uint16(ids[uint64(place + i)] + first)


def _join_six(
    threes: NDArray[np.uint8],
    where: tuple[int, int, int],
    first: np.uint16,
    ids: NDArray[np.uint16],
) -> None:
    """Do the same for windows of six, as most DNA is read: one pass."""
    begin, place, count = where
    for i in range(count):
        high = uint16(uint16(threes[uint64(begin + i)]) << uint16(6))
        low = uint16(threes[uint64(begin + i + 3)])
        ids[uint64(place + i)] = uint16(uint16(high | low) + first)


def _forget(
    letters: NDArray[np.uint8], k: int, unknown: np.uint16, ids: NDArray[np.uint16]
) -> None:
    """Write `unknown` for every window that holds a letter that is no base."""
    for begin in range(0, len(letters), _GLANCE):
        end = min(begin + _GLANCE, len(letters))
        if _all_bases(letters, begin, end - begin):
            continue
        for i in range(begin, end):
            if not _is_base(letters[i]):
                ids[max(0, i - k + 1) : i + 1] = unknown


def encode_windows(
    letters: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    k: int,
    table: NDArray[np.uint16],
    unknown: np.uint16,
    ids: NDArray[np.uint16],
) -> None:
    """Write the id of every window of k letters of every sequence.

    Args:
        letters: The sequences, one after another.
        offsets: Where each begins and the last ends; none is shorter than k.
        k: Letters of a window, 2..7.
        table: Id of each base-4 number, shape (4^k,).
        unknown: Id of a window with another letter.
        ids: Where they are written; shape (letters - sequences * (k - 1),).
    """
    in_order = _in_order(table)
    first_id = table[0] if in_order else uint16(0)
    codes = np.zeros(_BLOCK + 2 * _GLANCE, np.uint8)
    threes = np.zeros(_BLOCK + 2 * _GLANCE, np.uint8)
    row = 0
    for begin in range(0, len(letters) - k + 1, _BLOCK):
        end = min(begin + _BLOCK, len(letters) - k + 1)
        _code(letters, begin, end + k - 1 - begin, codes, threes)
        clean = _all_bases(letters, begin, end + k - 1 - begin)
        while row < len(offsets) - 1 and offsets[row] < end:
            first, last = max(begin, offsets[row]), min(end, offsets[row + 1] - k + 1)
            place = first - row * (k - 1)
            # Whole vectors: what is written too far the next row overwrites.
            count = min((last - first + _GLANCE - 1) // _GLANCE * _GLANCE, len(ids) - place)
            if k == 6:
                _join_six(threes, (first - begin, place, count), first_id, ids)
            else:
                _join(threes, (first - begin, place, count), k, first_id, ids)
            for i in range(place, place if in_order else place + count):
                ids[i] = table[ids[i]]
            if not clean and not _all_bases(letters, first, last + k - 1 - first):
                part = letters[first : last + k - 1]
                _forget(part, k, unknown, ids[place : place + last - first])
            if offsets[row + 1] - k + 1 > end:
                break
            row += 1


KERNELS = Kernels(
    __name__,
    {
        "_is_base": "boolean(u1)",
        "_all_bases": "boolean(u1[::1], i8, i8)",
        "_code": "void(u1[::1], i8, i8, u1[::1], u1[::1])",
        "_in_order": "boolean(u2[::1])",
        "_join": "void(u1[::1], UniTuple(i8, 3), i8, u2, u2[::1])",
        "_join_six": "void(u1[::1], UniTuple(i8, 3), u2, u2[::1])",
        "_forget": "void(u1[::1], i8, u2, u2[::1])",
        "encode_windows": "void(u1[::1], i8[::1], i8, u2[::1], u2, u2[::1])",
    },
    # Importing numba takes most of a second; numpy needs as long for so many bases.
    worth=1 << 26,
)
