"""Attention over packed sequences as one fused kernel: documents as blocks, ALiBi as a formula.

Scores of different sequences are never computed: whole tiles between them are left out, and no
L x L matrix is ever in memory. Source: Dong et al., Flex Attention (2024).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from gfmp.model.alibi import BiasCache
from gfmp.model.tokens import Packing

BLOCK = 128
ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def alibi_scores(slopes_H: Tensor) -> ScoreMod:
    """Return the formula that adds -slope |i - j| to a score."""

    def _biased(score: Tensor, _batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score - slopes_H[head] * (query - key).abs()

    return _biased


def same_document(documents_T: Tensor) -> MaskMod:
    """Return the formula that lets tokens of one sequence see each other and nobody else."""

    def _seen(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return documents_T[query] == documents_T[key]

    return _seen


@dataclass(frozen=True)
class Tiles:
    """Which tiles of 128 queries by 128 keys are computed; N tiles a side.

    Attributes:
        partial: Tiles of each row that need the mask, shape (N,).
        partial_indices: Their columns first, then anything, shape (N, N).
        full: Tiles of each row that lie inside one sequence, shape (N,).
        full_indices: Their columns first, then anything, shape (N, N).
    """

    partial: NDArray[np.int32]
    partial_indices: NDArray[np.int32]
    full: NDArray[np.int32]
    full_indices: NDArray[np.int32]


def tiles(lengths: tuple[int, ...]) -> Tiles:
    """Return the tiles of sequences that lie end to end; their tokens fill whole tiles.

    The keys a row of tiles sees are one run of tokens, from the start of its first sequence to
    the end of its last, so no pair of tokens has to be looked at.
    """
    ends = np.cumsum(lengths)
    assert ends[-1] % BLOCK == 0, f"{ends[-1]} tokens do not fill tiles of {BLOCK}"
    num = int(ends[-1]) // BLOCK
    first_token = np.arange(num) * BLOCK
    first = np.searchsorted(ends, first_token, side="right")
    last = np.searchsorted(ends, first_token + BLOCK - 1, side="right")
    begin, end = ends[first] - np.asarray(lengths)[first], ends[last]
    low, high = begin // BLOCK, -(-end // BLOCK)
    full_low, full_high = -(-begin // BLOCK), end // BLOCK
    full = np.where(first == last, np.maximum(full_high - full_low, 0), 0)
    full_low = np.where(full > 0, full_low, high)
    places = np.arange(num)[None, :]
    before = (full_low - low)[:, None]
    partial_indices = low[:, None] + places + np.where(places < before, 0, full[:, None])
    full_indices = full_low[:, None] + places
    return Tiles(
        (high - low - full).astype(np.int32),
        np.minimum(partial_indices, num - 1).astype(np.int32),
        full.astype(np.int32),
        np.minimum(full_indices, num - 1).astype(np.int32),
    )


def block_mask(lengths: tuple[int, ...], device: torch.device) -> BlockMask:
    """Return the mask of sequences that lie end to end, with what the backward pass needs."""
    found = tiles(lengths)
    documents = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)

    def _moved(values: NDArray[np.int32]) -> Tensor:
        tensor = torch.from_numpy(values)
        if device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(device, non_blocking=True)

    return BlockMask.from_kv_blocks(
        _moved(found.partial)[None, None],
        _moved(found.partial_indices)[None, None],
        _moved(found.full)[None, None],
        _moved(found.full_indices)[None, None],
        BLOCK_SIZE=BLOCK,
        mask_mod=same_document(_moved(documents)),
    )


class FlexDocuments:
    """All sequences in one fused call, without padding between them.

    Args:
        bias: Gives the slopes.
        compiled: Fused by the compiler; else as plain operations, forward only on a CPU.
    """

    def __init__(self, bias: BiasCache, compiled: bool = True) -> None:
        self._bias = bias
        self._attend = torch.compile(flex_attention, dynamic=True) if compiled else flex_attention
        self._packing: Packing | None = None
        self._mask: BlockMask | None = None
        self._scores: ScoreMod | None = None

    def __call__(self, qkv_T3HK: Tensor, packing: Packing) -> Tensor:
        """Attend; see `Attention.__call__`."""
        if self._scores is None:
            self._scores = alibi_scores(self._bias.slopes_H(qkv_T3HK.device))
        num_tokens = len(qkv_T3HK)
        rest = -num_tokens % BLOCK
        if self._packing is not packing:
            # All blocks of an encoder share one packing, so one mask serves the whole pass.
            lengths = (*packing.lengths, rest) if rest else packing.lengths
            self._mask = block_mask(lengths, qkv_T3HK.device)
            self._packing = packing
        padded = functional.pad(qkv_T3HK, (0, 0, 0, 0, 0, 0, 0, rest)) if rest else qkv_T3HK
        query, key, value = padded.permute(1, 2, 0, 3)[:, None].unbind(0)
        mixed = self._attend(query, key, value, score_mod=self._scores, block_mask=self._mask)
        assert isinstance(mixed, Tensor), "nothing else is asked for"
        return mixed[0, :, :num_tokens].transpose(0, 1).flatten(1)
