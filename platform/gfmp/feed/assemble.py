"""Content and masks to token batches: layout, flat positions, digests, micro-batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.batch import RowTokens, TokenBatch, row_digest
from gfmp.feed.content import Content, RowEncoder, packed_positions
from gfmp.feed.masker import Masked
from gfmp.feed.windows import SPECIALS_PER_ROW


@dataclass(frozen=True)
class Assembled:
    """All rows of one rank in one step, packed.

    Attributes:
        whole: One batch of every row, in row order.
        target_ends: Targets up to the end of each row, shape (B,).
    """

    whole: TokenBatch
    target_ends: NDArray[np.int64]

    def split(self, micros: NDArray[np.int64], num_micros: int) -> Iterator[TokenBatch]:
        """Yield one batch per micro-batch; `micros` (B,) ascends."""
        borders = np.searchsorted(micros, np.arange(num_micros + 1))
        for micro in range(num_micros):
            yield self._rows(micro, int(borders[micro]), int(borders[micro + 1]))

    def _rows(self, micro: int, first: int, end: int) -> TokenBatch:
        whole = self.whole
        begin, stop = int(whole.cu_seqlens[first]), int(whole.cu_seqlens[end])
        targets = np.concatenate(([0], self.target_ends))
        scored = slice(int(targets[first]), int(targets[end]))
        return TokenBatch(
            step=whole.step,
            micro=micro,
            ids=whole.ids[begin:stop],
            cu_seqlens=whole.cu_seqlens[first : end + 1] - np.int32(begin),
            vocabulary=whole.vocabulary[first:end],
            positions=whole.positions[scored] - np.int32(begin),
            labels=whole.labels[scored],
            samples=whole.samples[first:end],
            digests=whole.digests[first:end],
        )


def assemble(step: int, content: Content, masked: Masked, encoder: RowEncoder) -> Assembled:
    """Pack every row of `content` after masking, with its digest."""
    num_rows = len(content.samples)
    target_rows = np.searchsorted(content.offsets, masked.targets, side="right") - 1
    target_ends = np.searchsorted(masked.targets, content.offsets[1:])
    cu_seqlens = content.offsets + SPECIALS_PER_ROW * np.arange(num_rows + 1)
    assert cu_seqlens[-1] < 2**31, "the rows of one rank and step fit 32-bit positions"
    whole = TokenBatch(
        step=step,
        micro=0,
        ids=encoder.packed(content, masked.ids),
        cu_seqlens=cu_seqlens.astype(np.int32),
        vocabulary=content.vocabulary,
        positions=packed_positions(masked.targets, target_rows).astype(np.int32),
        labels=masked.labels,
        samples=content.samples,
        digests=_digests(content, masked, target_ends),
    )
    return Assembled(whole, target_ends)


def _digests(
    content: Content, masked: Masked, target_ends: NDArray[np.int64]
) -> NDArray[np.uint64]:
    true_ids, seen_ids = content.ids.tobytes(), masked.ids.tobytes()
    labels = masked.labels.tobytes()
    num_targets = np.diff(target_ends, prepend=0)
    origins = np.repeat(content.offsets[:-1], num_targets)
    targets = (masked.targets - origins).astype(content.ids.dtype).tobytes()
    item = content.ids.dtype.itemsize
    token_borders = (content.offsets * item).tolist()
    target_borders = [0, *(target_ends * item).tolist()]
    digests = np.empty(len(content.samples), dtype=np.uint64)
    names = zip(content.samples.tolist(), content.vocabulary.tolist(), strict=True)
    for row, (sample, vocabulary) in enumerate(names):
        tokens = slice(token_borders[row], token_borders[row + 1])
        scored = slice(target_borders[row], target_borders[row + 1])
        digests[row] = row_digest(
            sample,
            vocabulary,
            RowTokens(true_ids[tokens], seen_ids[tokens], targets[scored], labels[scored]),
        )
    return digests
