"""Rows as contents: their digests, and the strata that splits and subsets keep in proportion."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from gfmp.tasks.task import Rows, Target

NUM_VALUE_BINS = 10


def strata(rows: Rows, target: Target) -> NDArray[np.int64]:
    """Return the stratum of every row; it does not depend on the order of the rows.

    Classes are strata. Values fall into 10 quantile bins of the first target. A row with
    several labels belongs to the rarest of its positive ones, a row without any to one more.
    """
    if target.classifies:
        return rows.targets[:, 0].astype(np.int64)
    if target.kind == "regression":
        values = rows.targets[:, 0].astype(np.float64)
        inner = np.arange(1, NUM_VALUE_BINS) / NUM_VALUE_BINS
        borders = np.quantile(values, inner) if len(values) else inner
        return np.searchsorted(borders, values, side="right").astype(np.int64)
    positive = rows.targets == 1
    scarce_first = np.argsort(positive.sum(axis=0), kind="stable")
    chosen = scarce_first[np.argmax(positive[:, scarce_first], axis=1)]
    return np.where(positive.any(axis=1), chosen, len(target.names)).astype(np.int64)


def row_hashes(rows: Rows, seed: int) -> NDArray[np.uint64]:
    """Return a 64-bit hash of every row's sequence and targets, keyed by `seed`; shape (N,)."""
    start = hashlib.blake2b(digest_size=8, key=f"gfmp rows {seed}".encode())
    targets = rows.targets.astype("<f4").tobytes()
    width = len(targets) // max(1, len(rows))
    digests = bytearray()
    for i, sequence in enumerate(rows.sequences):
        running = start.copy()
        running.update(targets[i * width : (i + 1) * width])
        running.update(sequence)
        digests += running.digest()
    return np.frombuffer(bytes(digests), dtype="<u8").astype(np.uint64)


def contents_digest(rows: Rows) -> str:
    """Return the sha256 over the sequences and targets of all rows, in their order."""
    lengths = np.fromiter((len(s) for s in rows.sequences), dtype="<i8", count=len(rows))
    running = hashlib.sha256(repr(rows.targets.shape).encode("ascii"))
    running.update(lengths.tobytes())
    running.update(rows.targets.astype("<f4").tobytes())
    running.update(b"".join(rows.sequences))
    return running.hexdigest()
