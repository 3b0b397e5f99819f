"""Rows as contents: their digests, and the strata that splits and subsets keep in proportion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gfmp.tasks.sparse import SparseLabels, Targets, has_label, positive_counts
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
    return _rarest_labels(rows.targets)


def _rarest_labels(targets: Targets) -> NDArray[np.int64]:
    """Return the rarest positive label of every row; one past the last label for none."""
    scarce_first = np.argsort(positive_counts(targets), kind="stable")
    if isinstance(targets, SparseLabels):
        places = np.argsort(scarce_first)[targets.columns]
        rarest = np.full(len(targets), len(scarce_first), dtype=np.int64)
        rows = np.flatnonzero(has_label(targets))
        if len(rows):
            rarest[rows] = scarce_first[np.minimum.reduceat(places, targets.starts[rows])]
        return rarest
    positive = targets == 1
    chosen = scarce_first[np.argmax(positive[:, scarce_first], axis=1)]
    return np.where(positive.any(axis=1), chosen, len(scarce_first)).astype(np.int64)


def row_hashes(rows: Rows, seed: int) -> NDArray[np.uint64]:
    """Return a 64-bit hash of every row's sequence and targets, keyed by `seed`; shape (N,)."""
    start = hashlib.blake2b(digest_size=8, key=f"gfmp rows {seed}".encode())
    targets = _row_bytes(rows.targets)
    digests = bytearray()
    for sequence, own in zip(rows.sequences, targets, strict=True):
        running = start.copy()
        running.update(own)
        running.update(sequence)
        digests += running.digest()
    return np.frombuffer(bytes(digests), dtype="<u8").astype(np.uint64)


def _row_bytes(targets: Targets) -> Iterator[bytes]:
    if isinstance(targets, SparseLabels):
        yield from (targets.row_bytes(row) for row in range(len(targets)))
        return
    whole = targets.astype("<f4").tobytes()
    width = len(whole) // max(1, len(targets))
    yield from (whole[i * width : (i + 1) * width] for i in range(len(targets)))


def contents_digest(rows: Rows) -> str:
    """Return the sha256 over sequences, targets and features of all rows, in their order."""
    lengths = np.fromiter((len(s) for s in rows.sequences), dtype="<i8", count=len(rows))
    running = hashlib.sha256(repr(rows.targets.shape).encode("ascii"))
    running.update(lengths.tobytes())
    if isinstance(rows.targets, SparseLabels):
        running.update(b"sparse" + rows.targets.ends.astype("<i8").tobytes())
        running.update(rows.targets.columns.astype("<i4").tobytes())
    else:
        running.update(rows.targets.astype("<f4").tobytes())
    running.update(b"".join(rows.sequences))
    if rows.contexts is not None:
        running.update(b"contexts" + rows.contexts.row_digests().tobytes())
    return running.hexdigest()
