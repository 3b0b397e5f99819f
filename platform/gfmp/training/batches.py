"""From the feed's arrays to the model's tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.feed.batch import TokenBatch
from gfmp.model.tokens import Packing, TokenTensors
from gfmp.spec.pretrain import Masking
from gfmp.vocabulary.ensemble import Ensemble

# Tokens of a tile of `gfmp.model.flex`, which is not imported here: it brings the compiler along.
TILE_TOKENS = 128


@dataclass(frozen=True)
class SoftmaxRows:
    """Which ensemble rows each vocabulary's prediction is normalised over.

    Attributes:
        rows: Per vocabulary the rows, int64.
        places: Ensemble row -> index in `rows` per vocabulary, -1 where it is not predicted;
            int64, shape (vocabularies, V).
    """

    rows: tuple[NDArray[np.int64], ...]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, ensemble: Ensemble, masking: Masking) -> SoftmaxRows:
        """Take the words of each vocabulary, or every row with scope `union`."""
        num = len(ensemble.vocabularies)
        if masking.scope == "own":
            rows = tuple(ensemble.word_rows(i).astype(np.int64) for i in range(num))
        else:
            rows = (np.arange(ensemble.size, dtype=np.int64),) * num
        places = np.full((num, ensemble.size), -1, dtype=np.int64)
        for index, words in enumerate(rows):
            places[index, words] = np.arange(len(words))
        return cls(rows, places)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the rows as tensors."""
        return tuple(torch.from_numpy(words.copy()) for words in self.rows)


def target_vocabulary(batch: TokenBatch) -> NDArray[np.int64]:
    """Return the vocabulary of each target, shape (M,)."""
    sequences = np.searchsorted(batch.cu_seqlens, batch.positions, side="right") - 1
    return batch.vocabulary[sequences].astype(np.int64)


def count_targets(batch: TokenBatch, num_vocabularies: int) -> NDArray[np.int64]:
    """Return the targets of each vocabulary, shape (vocabularies,)."""
    return np.bincount(target_vocabulary(batch), minlength=num_vocabularies)


def to_tensors(batch: TokenBatch, softmax: SoftmaxRows, device: torch.device) -> TokenTensors:
    """Move a batch to `device`, its targets grouped by vocabulary in their own order."""
    vocabulary = target_vocabulary(batch)
    order = np.argsort(vocabulary, kind="stable")
    labels = softmax.places[vocabulary[order], batch.labels[order]]
    assert labels.size == 0 or labels.min() >= 0, "a target is a word of its row's vocabulary"
    counts = np.bincount(vocabulary, minlength=len(softmax.rows))

    lengths, rest = np.diff(batch.cu_seqlens).tolist(), _rest(batch.num_tokens, device)
    return TokenTensors(
        ids_T=_moved(np.pad(batch.ids, (0, rest)) if rest else batch.ids, device),
        packing=Packing.of((*lengths, rest) if rest else tuple(lengths), device),
        positions_M=_moved(batch.positions[order], device),
        labels_M=_moved(labels, device),
        counts=tuple(counts.tolist()),
    )


def _rest(num_tokens: int, device: torch.device) -> int:
    """Return how many tokens of no sequence fill the last tile of the fused kernels of a GPU."""
    return -num_tokens % TILE_TOKENS if device.type == "cuda" else 0


def _moved(values: NDArray[np.integer], device: torch.device) -> Tensor:
    """Return values as int64 on `device`; they cross to a GPU narrow, beside what it computes."""
    if device.type != "cuda":
        return torch.from_numpy(values.astype(np.int64))
    narrow = torch.from_numpy(values.astype(np.int32)).pin_memory()
    return narrow.to(device, non_blocking=True).long()
