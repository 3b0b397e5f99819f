"""Ids of every window of k letters: compiled where it pays, else by numpy; both alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.vocabulary.tokenizer import OTHER_CODE, Letters, TokenIds
from tokenizer_registry._kmer_codes import window_any, window_codes
from tokenizer_registry._kmer_kernels import KERNELS, LONGEST


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


def window_ids(letters: Letters, names: WindowNames) -> TokenIds:
    """Name every window of every sequence; none is shorter than a window."""
    overhang = names.k - 1
    cu_tokens = letters.offsets - overhang * np.arange(len(letters.offsets))
    small = names.ids.dtype == np.uint16 and names.k <= LONGEST
    kernels = KERNELS.after(len(letters.letters)) if small else None
    if kernels is None:
        return TokenIds(_by_numpy(letters, names, cu_tokens), cu_tokens)
    ids = np.empty(cu_tokens[-1], dtype=np.uint16)
    last = np.array([names.unknown, names.in_order], dtype=np.uint16)
    table = np.concatenate((names.ids, last))
    kernels.encode_windows(letters.letters, letters.offsets, names.k, table, ids)
    return TokenIds(ids, cu_tokens)


def _by_numpy(
    letters: Letters, names: WindowNames, cu_tokens: NDArray[np.int64]
) -> NDArray[np.integer]:
    codes = letters.packed().codes
    windows = window_codes(codes & np.uint8(3), names.k)
    found = windows + names.ids[0] if names.in_order else names.ids[windows]
    if codes.max(initial=0) == OTHER_CODE:
        found[window_any(codes == OTHER_CODE, names.k)] = names.unknown
    # Windows across the seam of two sequences were computed; they are left out here.
    ids = np.empty(cu_tokens[-1], dtype=names.ids.dtype)
    ends = cu_tokens.tolist()
    begins = letters.offsets.tolist()
    for row in range(len(ends) - 1):
        count = ends[row + 1] - ends[row]
        ids[ends[row] : ends[row + 1]] = found[begins[row] : begins[row] + count]
    return ids
