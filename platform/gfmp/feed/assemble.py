"""TokenRows and masks to token batches: layout, flat positions, digests, micro-batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.batch import RowTokens, TokenBatch, row_digest
from gfmp.feed.content import RowEncoder, TokenRows, packed_positions
from gfmp.feed.kernels import KERNELS
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


def assemble(step: int, content: TokenRows, masked: Masked, encoder: RowEncoder) -> Assembled:
    """Pack every row of `content` after masking, with its digest."""
    cu_seqlens = content.offsets + SPECIALS_PER_ROW * np.arange(len(content.offsets))
    assert cu_seqlens[-1] < 2**31, "the rows of one rank and step fit 32-bit positions"
    ids, positions = packed_rows(content, masked, encoder)
    whole = TokenBatch(
        step=step,
        micro=0,
        ids=ids,
        cu_seqlens=cu_seqlens.astype(np.int32),
        vocabulary=content.vocabulary,
        positions=positions,
        labels=masked.labels,
        samples=content.samples,
        digests=_digests(content, masked),
    )
    return Assembled(whole, masked.target_ends)


def packed_rows(
    content: TokenRows, masked: Masked, encoder: RowEncoder
) -> tuple[NDArray[np.integer], NDArray[np.int32]]:
    """Return ids laid out as [CLS] [PROMPT] tokens [SEP] per row, and scored positions in them."""
    kernels = KERNELS.after(len(masked.ids)) if masked.ids.dtype == np.uint16 else None
    if kernels is None:
        rows = np.repeat(np.arange(len(masked.target_ends)), _counts(masked))
        positions = packed_positions(masked.targets, rows).astype(np.int32)
        return encoder.packed(content, masked.ids), positions
    size = len(masked.ids) + SPECIALS_PER_ROW * len(content.samples)
    ids, positions = np.empty(size, np.uint16), np.empty(len(masked.targets), np.int32)
    kernels.pack_rows(
        content.offsets,
        encoder.prompts(content.vocabulary),
        masked.ids,
        (masked.targets, masked.target_ends),
        (ids, positions),
    )
    return ids, positions


def _counts(masked: Masked) -> NDArray[np.int64]:
    """Return the targets of each row, shape (B,)."""
    return np.diff(masked.target_ends, prepend=0)


def _digests(content: TokenRows, masked: Masked) -> NDArray[np.uint64]:
    origins = np.repeat(content.offsets[:-1], _counts(masked))
    targets = (masked.targets - origins).astype(content.ids.dtype)
    true_ids, seen_ids, places, labels = map(
        _bytes, (content.ids, masked.ids, targets, masked.labels)
    )
    item = content.ids.dtype.itemsize
    token_borders = (content.offsets * item).tolist()
    target_borders = [0, *(masked.target_ends * item).tolist()]
    digests = []
    names = zip(content.samples.tolist(), content.vocabulary.tolist(), strict=True)
    for row, (sample, vocabulary) in enumerate(names):
        tokens = slice(token_borders[row], token_borders[row + 1])
        scored = slice(target_borders[row], target_borders[row + 1])
        parts = RowTokens(true_ids[tokens], seen_ids[tokens], places[scored], labels[scored])
        digests.append(row_digest(sample, vocabulary, parts))
    return np.frombuffer(b"".join(digests), dtype="<u8")


def _bytes(values: NDArray[np.integer]) -> memoryview:
    """Return the bytes of an array, not copied where it lies in one piece."""
    return np.ascontiguousarray(values).view(np.uint8).data
