"""Labels of very wide targets: of each row only which ones are positive.

Of the 919 profiles of DeepSEA a row has about twenty, of 75,000 about as large a share: a dense
matrix of 2.2 million rows would take 8 GB, or 660. Whoever learns takes the rows of a batch,
which come dense.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gfmp.errors import DataError

# Above this a dense copy is a mistake, not a wish.
MOST_DENSE_BYTES = 16 << 30


@dataclass(frozen=True, eq=False)
class SparseLabels:
    """A 0/1 matrix of N rows and K labels, every label known.

    Indexing by rows, or by rows and columns, gives a dense float32 array, as numpy would.

    Attributes:
        ends: One past the last positive of each row in `columns`, int64, shape (N,).
        columns: Positive labels of one row after the other, ascending in a row, int32.
        num_labels: K.
    """

    ends: NDArray[np.int64]
    columns: NDArray[np.int32]
    num_labels: int

    def __post_init__(self) -> None:
        last = int(self.ends[-1]) if len(self.ends) else 0
        assert last == len(self.columns), "the rows hold every positive label"

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows N and labels K."""
        return len(self.ends), self.num_labels

    @property
    def starts(self) -> NDArray[np.int64]:
        """First positive of each row in `columns`, int64, shape (N,)."""
        return np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])[: len(self.ends)]

    def take(self, rows: NDArray[np.int64]) -> SparseLabels:
        """Return the rows at these positions, in this order, still sparse."""
        starts, counts = self.starts[rows], (self.ends - self.starts)[rows]
        ends = np.cumsum(counts)
        within = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
        return SparseLabels(ends, self.columns[np.repeat(starts, counts) + within], self.num_labels)

    def __getitem__(self, key: object) -> NDArray[np.float32]:
        """Return a dense part: `labels[rows]` or `labels[rows, columns]`, as of an array."""
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        chosen = np.arange(len(self))[rows]
        dense = self.take(np.atleast_1d(chosen)).dense()[:, columns]
        return dense if chosen.ndim else dense[0]

    def dense(self) -> NDArray[np.float32]:
        """Return the whole matrix, float32, shape (N, K).

        Raises:
            DataError: it would take more than 16 GiB.
        """
        size = len(self) * self.num_labels * 4
        if size > MOST_DENSE_BYTES:
            raise DataError(
                f"{len(self):,} rows of {self.num_labels:,} labels are {size >> 30:,} GiB",
                why="they are kept as lists of positive labels, and something wants all at once",
                fix="take fewer rows, such as a smaller label ratio",
            )
        matrix = np.zeros(self.shape, dtype=np.float32)
        matrix[np.repeat(np.arange(len(self)), self.ends - self.starts), self.columns] = 1.0
        return matrix

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.generic]:
        matrix = self.dense()
        return matrix if dtype is None else matrix.astype(dtype)

    def only(self, columns: NDArray[np.int64]) -> SparseLabels:
        """Return these labels of every row, in this order, still sparse; no label twice."""
        places = np.full(self.num_labels, len(columns))
        places[columns] = np.arange(len(columns))
        chosen = places[self.columns] < len(columns)
        rows = np.repeat(np.arange(len(self)), self.ends - self.starts)[chosen]
        return labels_at(rows, places[self.columns][chosen], (len(self), len(columns)))

    def positives(self) -> NDArray[np.int64]:
        """Return the rows that have each label, int64, shape (K,)."""
        return np.bincount(self.columns, minlength=self.num_labels).astype(np.int64)

    def row_bytes(self, row: int) -> bytes:
        """Return bytes that say which labels a row has."""
        start = int(self.ends[row - 1]) if row else 0
        return self.columns[start : int(self.ends[row])].astype("<i4").tobytes()


Targets = NDArray[np.float32] | SparseLabels


def sparse_labels(rows: Sequence[NDArray[np.int64]], num_labels: int) -> SparseLabels:
    """Return the labels of rows given as arrays of positive labels; repeats count once."""
    unique = [np.unique(row) for row in rows]
    ends = np.cumsum([len(row) for row in unique], dtype=np.int64)
    columns = np.concatenate(unique) if unique else np.empty(0, np.int64)
    return SparseLabels(ends, columns.astype(np.int32), num_labels)


def labels_at(
    rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> SparseLabels:
    """Return labels of which the positives are given, each once and in any order.

    Args:
        rows: Row of each positive.
        columns: Its label.
        shape: Rows N and labels K.
    """
    order = np.lexsort((columns, rows))
    ends = np.cumsum(np.bincount(rows, minlength=shape[0]), dtype=np.int64)
    return SparseLabels(ends, columns[order].astype(np.int32), shape[1])


def of_dense(matrix: NDArray[np.bool_]) -> SparseLabels:
    """Return the labels that are set in a matrix, shape (N, K)."""
    _, columns = np.nonzero(matrix)
    ends = np.cumsum(matrix.sum(axis=1), dtype=np.int64)
    return SparseLabels(ends, columns.astype(np.int32), matrix.shape[1])


def stacked(parts: Sequence[Targets]) -> Targets:
    """Return the targets of all parts, one part after the other."""
    sparse = [part for part in parts if isinstance(part, SparseLabels)]
    if not sparse:
        return np.concatenate([np.asarray(part) for part in parts])
    assert len(sparse) == len(parts), "the parts of a source have targets of one kind"
    offsets = np.cumsum([0, *(len(part.columns) for part in sparse)])
    ends = [part.ends + offset for part, offset in zip(sparse, offsets, strict=False)]
    columns = np.concatenate([part.columns for part in sparse])
    return SparseLabels(np.concatenate(ends), columns, sparse[0].num_labels)


def taken(targets: Targets, rows: NDArray[np.int64]) -> Targets:
    """Return the targets of these rows, as sparse or dense as they were."""
    return targets.take(rows) if isinstance(targets, SparseLabels) else targets[rows]


def known_counts(targets: Targets) -> NDArray[np.int64]:
    """Return in how many rows each label is known, int64, shape (K,)."""
    if isinstance(targets, SparseLabels):
        return np.full(targets.num_labels, len(targets), dtype=np.int64)
    return np.asarray(np.isfinite(targets).sum(axis=0), dtype=np.int64)


def has_label(targets: Targets) -> NDArray[np.bool_]:
    """Return which rows have at least one positive label, shape (N,)."""
    if isinstance(targets, SparseLabels):
        return targets.ends > targets.starts
    return np.asarray((targets == 1).any(axis=1), dtype=np.bool_)


def positive_counts(targets: Targets) -> NDArray[np.int64]:
    """Return how many rows have each label, int64, shape (K,)."""
    if isinstance(targets, SparseLabels):
        return targets.positives()
    return np.asarray((targets == 1).sum(axis=0), dtype=np.int64)
