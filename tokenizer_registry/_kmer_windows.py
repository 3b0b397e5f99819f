"""Ids of every window of k letters: compiled where it pays, else by numpy; both alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.vocabulary.tokenizer import OTHER_CODE, Packed, TokenIds, pack
from tokenizer_registry._kmer_codes import window_any, window_codes
from tokenizer_registry._kmer_kernels import KERNELS, LONGEST

_PART_BP = 1 << 17


@dataclass(frozen=True)
class WindowNames:
    """What windows of k letters are called.

    Attributes:
        ids: Id of each base-4 number, shape (4^k,).
        unknown: Id of a window that holds another letter, of the same type.
    """

    ids: NDArray[np.integer]
    unknown: np.integer

    @property
    def k(self) -> int:
        """Letters of a window."""
        return (len(self.ids).bit_length() - 1) // 2

    @property
    def in_order(self) -> bool:
        """True when the ids are 16-bit numbers that follow one another."""
        small = self.ids.dtype == np.uint16
        return small and bool(np.all(self.ids[1:] - self.ids[:-1] == 1))


def window_ids(
    sequences: Sequence[bytes], offsets: NDArray[np.int64], names: WindowNames
) -> TokenIds:
    """Name every window of every sequence; none is shorter than a window.

    Args:
        sequences: Bases of B sequences.
        offsets: From `offsets_of`, shape (B+1,).
        names: What windows are called.
    """
    cu_tokens = offsets - (names.k - 1) * np.arange(len(offsets))
    small = names.ids.dtype == np.uint16 and names.k <= LONGEST
    kernels = KERNELS.after(int(offsets[-1])) if small else None
    if kernels is None:
        return TokenIds(_by_numpy(pack(sequences, names.k), names, cu_tokens), cu_tokens)
    ids = np.empty(cu_tokens[-1], dtype=np.uint16)
    table = np.ascontiguousarray(names.ids)
    for rows in _parts(offsets):
        # A bytearray, for compiled functions take arrays that could be written.
        letters = np.frombuffer(bytearray().join(sequences[rows]), dtype=np.uint8)
        own = offsets[rows.start : rows.stop + 1] - offsets[rows.start]
        part = ids[cu_tokens[rows.start] : cu_tokens[rows.stop]]
        kernels.encode_windows(letters, own, names.k, table, names.unknown, part)
    return TokenIds(ids, cu_tokens)


def _parts(offsets: NDArray[np.int64]) -> Iterator[slice]:
    """Yield rows that are laid end to end together: what they have stays in the cache."""
    wanted = np.arange(0, offsets[-1], _PART_BP)
    borders = np.append(np.unique(np.searchsorted(offsets, wanted)), len(offsets) - 1)
    yield from map(slice, borders[:-1].tolist(), borders[1:].tolist())


def _by_numpy(
    packed: Packed, names: WindowNames, cu_tokens: NDArray[np.int64]
) -> NDArray[np.integer]:
    codes = packed.codes
    windows = window_codes(codes & np.uint8(3), names.k)
    found = windows + names.ids[0] if names.in_order else names.ids[windows]
    if codes.max(initial=0) == OTHER_CODE:
        found[window_any(codes == OTHER_CODE, names.k)] = names.unknown
    # Windows across the seam of two sequences were computed; they are left out here.
    ids = np.empty(cu_tokens[-1], dtype=names.ids.dtype)
    ends = cu_tokens.tolist()
    begins = packed.offsets.tolist()
    for row in range(len(ends) - 1):
        count = ends[row + 1] - ends[row]
        ids[ends[row] : ends[row + 1]] = found[begins[row] : begins[row] + count]
    return ids
