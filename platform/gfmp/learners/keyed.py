"""Seeds and draws of learners as functions of what they are for; no generator is shared."""

from __future__ import annotations

import hashlib
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

_MASK = 2**64 - 1


class Stream(IntEnum):
    """What a stream of words decides."""

    ORDER = 1
    DROPOUT = 2


def attempt_seed(seed: int, attempt: int) -> int:
    """Return the seed of an attempt, below 2**63: the first one uses `seed` itself."""
    if attempt == 0:
        return seed
    digest = hashlib.sha256(f"{seed}:attempt:{attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def words(seed: int, stream: Stream, index: int, num_words: int) -> NDArray[np.uint64]:
    """Return 64-bit words of Philox4x64-10; word w of (seed, stream, index) is always the same.

    Only raw words are used: NumPy promises those between versions, its distributions not.
    """
    key = np.array([seed & _MASK, int(stream)], dtype=np.uint64)
    counter = np.array([0, index, 0, 0], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(num_words)


def row_order(seed: int, epoch: int, num_rows: int) -> NDArray[np.int64]:
    """Return the order of the rows in an epoch: sorted by a word keyed by (seed, epoch, row)."""
    return np.argsort(words(seed, Stream.ORDER, epoch, num_rows), kind="stable").astype(np.int64)


def kept(seed: int, step: int, shape: tuple[int, int], drop_fraction: float) -> NDArray[np.float32]:
    """Return dropout factors: 0 with probability `drop_fraction`, else 1 / (1 - it)."""
    drawn = words(seed, Stream.DROPOUT, step, shape[0] * shape[1]) >> np.uint64(11)
    keep = drawn.astype(np.float64) * 2.0**-53 >= drop_fraction
    scale = 1.0 / (1.0 - drop_fraction) if drop_fraction < 1.0 else 0.0
    return (keep * scale).astype(np.float32).reshape(shape)
