"""Windows to bases: decoded row groups kept for a buffer, exact coordinates, both strands."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import SpecError
from gfmp.feed.windows import Windows
from gfmp.genome.alphabet import reverse_complement
from gfmp.genome.corpus import Corpus, Piece, RowGroup

CACHE_LIMIT_BYTES = 16 << 30


@dataclass(frozen=True)
class _Decoded:
    """One row group in memory; P pieces.

    Attributes:
        pieces: Core and right halo of each, one byte per base.
        core_ends: Cumulative core bases, shape (P,).
        core_bp: Core bases of each piece, shape (P,).
        length_bp: Bases of each with its halo, shape (P,).
    """

    pieces: tuple[Piece, ...]
    core_ends: NDArray[np.int64]
    core_bp: NDArray[np.int64]
    length_bp: NDArray[np.int64]


class Cutter:
    """Reads windows from the row groups of one split.

    It keeps the `num_cached` row groups used last: as many as one shuffling buffer reads, which
    makes each group decoded once per epoch. They hold one byte per base of core and halo;
    `cache_bases` bounds their core bases.

    Args:
        corpus: Where groups are read.
        groups: Row groups of the split in canonical order.
        num_cached: Decoded row groups kept.

    Raises:
        SpecError: the groups kept could exceed 16 GiB.
    """

    def __init__(self, corpus: Corpus, groups: Sequence[RowGroup], num_cached: int) -> None:
        self._corpus = corpus
        self._groups = tuple(groups)
        self._num_cached = num_cached
        self._cache: OrderedDict[int, _Decoded] = OrderedDict()
        largest = sorted((group.bases for group in groups), reverse=True)
        self.cache_bases = sum(largest[:num_cached])
        if self.cache_bases > CACHE_LIMIT_BYTES:
            raise SpecError(
                f"buffer_row_groups {num_cached} keeps {self.cache_bases} bases decoded",
                where="sampling.buffer_row_groups",
                why=f"at one byte per base a worker holds at most {CACHE_LIMIT_BYTES} of them",
                fix="lower sampling.buffer_row_groups, or build the corpus with smaller pieces",
            )

    def cut(self, windows: Windows) -> list[bytes]:
        """Return the bases of each window, upper case, on the strand it reads.

        A window starts in the core of its piece and may run into the halo. Where piece and halo
        end before the drawn length does, the start moves left so that the length fits; a piece
        shorter than the drawn length is given whole.

        Raises:
            CorruptArtefactError: a shard no longer matches what was written.
        """
        cut: list[bytes] = [b""] * len(windows)
        # Buffer by buffer, so that a step across a border reads every group only once.
        order = np.lexsort((windows.groups, windows.buffers))
        keys = np.stack((windows.buffers, windows.groups))[:, order]
        borders = np.flatnonzero(np.any(keys[:, 1:] != keys[:, :-1], axis=0)) + 1
        for rows in np.split(order, borders) if len(order) else ():
            decoded = self._decoded(int(windows.groups[rows[0]]))
            for row, bases in zip(
                rows.tolist(),
                _slices(decoded, windows.bases[rows], windows.lengths_bp[rows]),
                strict=True,
            ):
                cut[row] = bases
        _read_other_strand(cut, np.flatnonzero(windows.reverse))
        return cut

    def _decoded(self, group: int) -> _Decoded:
        if group in self._cache:
            self._cache.move_to_end(group)
            return self._cache[group]
        while len(self._cache) >= self._num_cached:
            self._cache.popitem(last=False)
        pieces = self._corpus.read(self._groups[group])
        core = np.array([piece.bases for piece in pieces], dtype=np.int64)
        assert core.sum() == self._groups[group].bases, "a row group counts its core bases"
        length = np.array([len(piece.sequence) for piece in pieces], dtype=np.int64)
        self._cache[group] = _Decoded(pieces, np.cumsum(core), core, length)
        return self._cache[group]


def _slices(
    decoded: _Decoded, bases: NDArray[np.int64], lengths_bp: NDArray[np.int64]
) -> list[bytes]:
    pieces = np.searchsorted(decoded.core_ends, bases, side="right")
    starts = bases - (decoded.core_ends[pieces] - decoded.core_bp[pieces])
    starts = np.maximum(0, np.minimum(starts, decoded.length_bp[pieces] - lengths_bp))
    return [
        decoded.pieces[piece].sequence[start : start + length].upper()
        for piece, start, length in zip(
            pieces.tolist(), starts.tolist(), lengths_bp.tolist(), strict=True
        )
    ]


def _read_other_strand(cut: list[bytes], rows: NDArray[np.int64]) -> None:
    # The reverse complement of a joined text is that of its parts in opposite order: one call.
    joined = np.frombuffer(b"".join(cut[row] for row in rows.tolist()), dtype=np.uint8)
    other = reverse_complement(joined).tobytes()
    start = 0
    for row in rows.tolist()[::-1]:
        length = len(cut[row])
        cut[row] = other[start : start + length]
        start += length
