"""Base-4 codes of all windows of k bases, by doubling: log2(k) passes over the array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_K = 8


def window_codes(codes: NDArray[np.uint8], k: int) -> NDArray[np.uint16]:
    """Return the number each window of k base codes spells, first base most significant.

    Args:
        codes: Base codes 0..3, shape (N,).
        k: Window length, 1..8; sixteen bits hold it.

    Returns:
        Codes in 0..4^k - 1, shape (max(0, N - k + 1),).
    """
    assert 1 <= k <= MAX_K, "sixteen bits hold at most eight bases"
    if len(codes) < k:
        return np.empty(0, dtype=np.uint16)
    if k == 1:
        return codes.astype(np.uint16)
    half = k // 2
    part = window_codes(codes, half)
    doubled = (part[:-half] << np.uint16(2 * half)) | part[half:]
    return doubled if k % 2 == 0 else (doubled[:-1] << np.uint16(2)) | codes[k - 1 :]


def window_any(flags: NDArray[np.bool_], k: int) -> NDArray[np.bool_]:
    """Return whether any flag of each window of k is set, shape (max(0, N - k + 1),)."""
    if len(flags) < k:
        return np.empty(0, dtype=np.bool_)
    if k == 1:
        return flags
    half = k // 2
    part = window_any(flags, half)
    doubled = part[:-half] | part[half:]
    return doubled if k % 2 == 0 else doubled[:-1] | flags[k - 1 :]


def word_code(word: str) -> int:
    """Return the base-4 number a word over ACGT spells."""
    code = 0
    for base in word:
        code = code * 4 + "ACGT".index(base)
    return code
