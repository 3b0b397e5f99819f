"""Which row group a sample comes from: every group once per epoch, shuffled across buffers.

An epoch visits every row group of the split once, in an order that is a function of (seed,
epoch). Groups are taken `buffer_row_groups` at a time; the windows of a buffer are shuffled
together by a function of (seed, epoch, buffer), so that a reader holds one buffer of decoded
groups and still sees neighbouring windows of a genome far apart.

The sample index is canonical over (row groups, seed): it depends on how the corpus was laid out
in shards and groups, and those are written alike for any number of ingest workers; it does not
depend on ranks, micro-batches or who reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.feed.draws import Purpose, permutation, sample_words
from gfmp.genome.corpus import RowGroup

_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class Visits:
    """Where consecutive samples are read.

    Attributes:
        groups: Index of the row group of each sample among the split's groups, shape (B,).
        buffers: Serial number of the buffer over all epochs, ascending, shape (B,).
    """

    groups: NDArray[np.int64]
    buffers: NDArray[np.int64]


def group_bases(groups: Sequence[RowGroup], split: str) -> NDArray[np.int64]:
    """Return the core bases of each row group, shape (groups,).

    Raises:
        DataError: there is no base to read.
    """
    bases = np.array([group.bases for group in groups], dtype=np.int64)
    if bases.sum() == 0:
        raise DataError(
            f"the corpus has no bases in its split {split!r}",
            why="windows are cut from the pieces of one split",
            fix="give the corpus regions for that split in its spec and build it again",
        )
    return bases


class Schedule:
    """The order of row groups and windows in every epoch.

    Args:
        seed: Run seed.
        bases: Core bases of each row group in canonical order, shape (groups,).
        mean_window_bp: Expected length of a window under the mixture of vocabularies.
        buffer_row_groups: Row groups whose windows are shuffled together.
    """

    def __init__(
        self,
        seed: int,
        bases: NDArray[np.int64],
        mean_window_bp: float,
        buffer_row_groups: int,
    ) -> None:
        self._seed = seed
        # One pass of an epoch reads each base once on average; a short group still gets a window.
        self._num_windows = np.maximum(1, np.floor(bases / mean_window_bp + 0.5).astype(np.int64))
        self._buffer_row_groups = buffer_row_groups
        self._num_buffers = -(-len(bases) // buffer_row_groups)
        self._orders: dict[int, _Order] = {}
        self._buffers: dict[int, NDArray[np.int64]] = {}

    @property
    def samples_per_epoch(self) -> int:
        """Windows of one epoch, the same in every epoch."""
        return int(self._num_windows.sum())

    def visits(self, first: int, count: int) -> Visits:
        """Return where the samples first..first+count-1 are read; they may span epochs."""
        groups: list[NDArray[np.int64]] = []
        buffers: list[NDArray[np.int64]] = []
        while count:
            epoch, within = divmod(first, self.samples_per_epoch)
            order = self._order(epoch)
            buffer = int(np.searchsorted(order.buffer_ends, within, side="right"))
            serial = epoch * self._num_buffers + buffer
            start = within - (int(order.buffer_ends[buffer - 1]) if buffer else 0)
            taken = self._buffer(serial, order)[start : start + count]
            groups.append(taken)
            buffers.append(np.full(len(taken), serial, dtype=np.int64))
            first, count = first + len(taken), count - len(taken)
        return Visits(np.concatenate(groups), np.concatenate(buffers))

    def _order(self, epoch: int) -> _Order:
        if epoch not in self._orders:
            words = sample_words(
                self._seed, Purpose.GROUP_ORDER, (epoch, 0), len(self._num_windows)
            )
            groups = permutation(words)
            ends = np.cumsum(self._num_windows[groups])
            last = np.arange(1, self._num_buffers + 1) * self._buffer_row_groups
            order = _Order(groups, ends[np.minimum(last, len(groups)) - 1])
            _keep_newest(self._orders, epoch, order)
        return self._orders[epoch]

    def _buffer(self, serial: int, order: _Order) -> NDArray[np.int64]:
        if serial not in self._buffers:
            epoch, buffer = divmod(serial, self._num_buffers)
            first = buffer * self._buffer_row_groups
            groups = order.groups[first : first + self._buffer_row_groups]
            windows = np.repeat(groups, self._num_windows[groups])
            words = sample_words(self._seed, Purpose.WINDOW_ORDER, (epoch, buffer), len(windows))
            _keep_newest(self._buffers, serial, windows[permutation(words)])
        return self._buffers[serial]


@dataclass(frozen=True)
class _Order:
    """One epoch: groups in the order they are read, and the windows up to each buffer's end."""

    groups: NDArray[np.int64]
    buffer_ends: NDArray[np.int64]


def _keep_newest(memory: dict[int, _Kept], key: int, value: _Kept) -> None:
    # Two suffice: a step crosses at most one border at a time; the functions are pure anyway.
    while len(memory) >= 2:
        memory.pop(next(iter(memory)))
    memory[key] = value
