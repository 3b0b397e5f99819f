"""Byte-pair training over one array of tokens; compiled on need.

A token of several letters stands at its first and at its last letter, so both neighbours of a
token are one step away without links. Each word keeps the places where it was made, ascending: the
places of a pair are those of its rarer half beside the other. A pair's count falls and never rises
after the merge that made it, for every merge makes pairs of a new word only; so a heap whose
entries are checked when they come up finds the most frequent pair, the lowest of several.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gfmp.storage.compiled import Kernels

# What stands between pieces and inside tokens; no word has these numbers.
BORDER, INSIDE = 65_535, 65_534
FREE = 0xFFFFFFFF
FEWEST = 2
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _slot(pair: np.uint32, keys: NDArray[np.uint32]) -> np.int64:
    """Return where a pair stands in the table, or the free place where it would."""
    last = len(keys) - 1
    place = np.int64((np.uint64(pair) * _GOLDEN) >> _HIGH) & last
    while keys[place] != FREE and keys[place] != pair:
        place = (place + 1) & last
    return place


def _push(heap: NDArray[np.uint64], size: int, entry: np.uint64) -> None:
    """Put an entry into a heap of `size` entries; the largest is first."""
    place = size
    while place > 0 and heap[(place - 1) // 2] < entry:
        heap[place] = heap[(place - 1) // 2]
        place = (place - 1) // 2
    heap[place] = entry


def _sink(heap: NDArray[np.uint64], size: int, entry: np.uint64) -> None:
    """Put an entry in the place of the first of a heap of `size` entries."""
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= entry:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = entry


def best_pair(
    heap: NDArray[np.uint64], size: int, keys: NDArray[np.uint32], counts: NDArray[np.uint32]
) -> int:
    """Bring the most frequent pair to the front of the heap; return the heap's size.

    An entry holds a count in its upper half and the complement of its pair in the lower, so the
    lowest of several equal pairs is first. Entries with the count of an earlier time are renewed.
    """
    while size > 0:
        entry = heap[0]
        pair = np.uint32(_LOW - (entry & _LOW))
        count = counts[_slot(pair, keys)]
        if count == entry >> _HIGH:
            break
        if count < FEWEST:
            size -= 1
            _sink(heap, size, heap[size])
        else:
            _sink(heap, size, (np.uint64(count) << _HIGH) | (entry & _LOW))
    return size


def _join(
    tokens: NDArray[np.uint16],
    place: int,
    merge: NDArray[np.int64],
    beside: NDArray[np.int64],
) -> None:
    """Join the pair that begins at a place and count its neighbours, left and right."""
    border = place + merge[3]
    end = border + merge[4]
    before, behind = tokens[place - 1], tokens[end]
    tokens[border - 1] = tokens[border] = INSIDE
    tokens[place] = tokens[end - 1] = merge[2]
    if before != BORDER:
        beside[0, before] += 1
    if behind != BORDER:
        beside[1, behind] += 1


def join_bases(
    tokens: NDArray[np.uint16],
    merge: NDArray[np.int64],
    made: NDArray[np.int32],
    beside: NDArray[np.int64],
) -> int:
    """Join a pair of bases wherever it stands; as `join_words`, but nobody knows the places."""
    num_made = 0
    for place in range(1, len(tokens) - 1):
        if tokens[place] == merge[0] and tokens[place + 1] == merge[1]:
            _join(tokens, place, merge, beside)
            made[num_made] = place
            num_made += 1
    return num_made


def join_words(
    tokens: NDArray[np.uint16],
    places: NDArray[np.int32],
    merge: NDArray[np.int64],
    made: NDArray[np.int32],
    beside: NDArray[np.int64],
) -> tuple[int, int]:
    """Join a pair, leftmost first, at the known places of one half.

    Args:
        tokens: A word at the first and last letter of each token, `BORDER` around pieces.
        places: Where tokens of one half began when they were made, ascending; those that are
            still there are moved to the front.
        merge: Left word, right word, the word they make, letters of the left, letters of the
            right, 1 where the places are those of the right word.
        made: Where the new tokens begin is written here, ascending.
        beside: How many new tokens have each word on the left (row 0) and right (row 1).

    Returns:
        New tokens, and places that are still there.
    """
    num_made = num_kept = 0
    left, right, width = merge[0], merge[1], merge[3]
    from_right = merge[5] == 1
    half = right if from_right else left
    for i in range(len(places)):
        place = places[i]
        if tokens[place] != half:
            continue
        if tokens[place - 1] == left if from_right else tokens[place + width] == right:
            begin = place - width if from_right else place
            _join(tokens, begin, merge, beside)
            made[num_made] = begin
            num_made += 1
        else:
            places[num_kept] = place
            num_kept += 1
    return num_made, num_kept


def _lower(pair: np.uint32, by: int, keys: NDArray[np.uint32], counts: NDArray[np.uint32]) -> None:
    """Take from the count of a pair, if it is in the table."""
    place = _slot(pair, keys)
    if keys[place] == pair:
        counts[place] -= min(counts[place], np.uint32(by))


def _enter(
    pair: np.uint32,
    count: int,
    table: tuple[NDArray[np.uint32], NDArray[np.uint32]],
    heap: NDArray[np.uint64],
    size: int,
) -> int:
    """Enter a new pair that is frequent enough; return the size of the heap."""
    if count < FEWEST:
        return size
    place = _slot(pair, table[0])
    table[0][place] = pair
    table[1][place] = count
    _push(heap, size, (np.uint64(count) << _HIGH) | (_LOW - np.uint64(pair)))
    return size + 1


def recount(
    merge: NDArray[np.int64],
    beside: NDArray[np.int64],
    table: tuple[NDArray[np.uint32], NDArray[np.uint32]],
    heap: NDArray[np.uint64],
    size: int,
) -> int:
    """Bring table and heap up to date after a merge; empty `beside`; return the heap's size.

    Where a new token follows another, both were counted: the first had the left word behind it
    before the second was made.
    """
    left, right, new = merge[0], merge[1], merge[2]
    twice = beside[0, new]
    _lower((left << 16) | right, FREE, table[0], table[1])
    for word in range(new):
        before, behind = beside[0, word], beside[1, word]
        if before:
            _lower((word << 16) | left, before, table[0], table[1])
            size = _enter((word << 16) | new, before, table, heap, size)
        if behind:
            _lower((right << 16) | word, behind, table[0], table[1])
            behind -= twice if word == left else 0
            size = _enter((new << 16) | word, behind, table, heap, size)
    beside[:, : new + 1] = 0
    return _enter((new << 16) | new, twice, table, heap, size)


def move_pairs(
    keys: NDArray[np.uint32],
    counts: NDArray[np.uint32],
    table: tuple[NDArray[np.uint32], NDArray[np.uint32]],
) -> int:
    """Copy the pairs that can still be merged into another table; return how many."""
    moved = 0
    for i in range(len(keys)):
        if keys[i] != FREE and counts[i] >= FEWEST:
            place = _slot(keys[i], table[0])
            table[0][place] = keys[i]
            table[1][place] = counts[i]
            moved += 1
    return moved


_TABLE = "UniTuple(u4[::1], 2)"
KERNELS = Kernels(
    __name__,
    {
        "_slot": "i8(u4, u4[::1])",
        "_push": "void(u8[::1], i8, u8)",
        "_sink": "void(u8[::1], i8, u8)",
        "best_pair": "i8(u8[::1], i8, u4[::1], u4[::1])",
        "_join": "void(u2[::1], i8, i8[::1], i8[:, ::1])",
        "join_bases": "i8(u2[::1], i8[::1], i4[::1], i8[:, ::1])",
        "join_words": "UniTuple(i8, 2)(u2[::1], i4[::1], i8[::1], i4[::1], i8[:, ::1])",
        "_lower": "void(u4, i8, u4[::1], u4[::1])",
        "_enter": f"i8(u4, i8, {_TABLE}, u8[::1], i8)",
        "recount": f"i8(i8[::1], i8[:, ::1], {_TABLE}, u8[::1], i8)",
        "move_pairs": f"i8(u4[::1], u4[::1], {_TABLE})",
    },
    # The library learns as many bases in the time that compiled code takes to load.
    worth=1 << 19,
)
