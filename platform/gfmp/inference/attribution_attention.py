"""Attention of a fine-tuned model, mapped back to bases.

The head of gfmp reads the mean state of each third of a row's words (`learners.head`), not [CLS].
So there are three maps, and a page says which it shows:

* `cls`: the row of [CLS] in the last block, heads averaged: DNABERT-viz (Ji et al., 2021), which
  Ye et al. (Genomics-FM) use. Nothing behind the last block reads [CLS] here.
* `pooled`: the rows that the head reads: the mean of the rows of all words in the last block, each
  third of the row counting the same.
* `rollout`: the same reading followed down to the words through all blocks, half of each block's
  input taken from its residual connection (Abnar and Zuidema, 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.inference.attribution_rows import ReadRows
from gfmp.learners.compute import Compute
from gfmp.learners.head import TaskModel
from gfmp.learners.packed import PackedRows
from gfmp.model.attention_weights import encoder_weights

AttentionMap = Literal["cls", "pooled", "rollout"]
ATTENTION_MAPS: tuple[AttentionMap, ...] = get_args(AttentionMap)
_RESIDUAL = 0.5
Weights = Sequence[Tensor]


def attention_maps(
    model: TaskModel, rows: ReadRows, kind: AttentionMap, compute: Compute
) -> list[NDArray[np.float64]]:
    """Return for each row the weight of each of its bases, shape (bases,).

    A base has the mean weight of the words that cover it; with several vocabularies at once the
    mean of their maps. Special tokens keep their weight to themselves, so the weights of a row's
    words sum to less than 1.

    Args:
        model: The model.
        rows: N sequences.
        kind: Which weights; see the module.
        compute: Device and size of a chunk.
    """
    maps = [np.zeros(len(sequence)) for sequence in rows.sequences]
    num_views = len(rows.encoded)
    with torch.inference_mode(), compute.autocast():
        for chunk in rows.views.chunks(np.arange(len(rows)), compute.micro_tokens):
            views = rows.views.pack(chunk, compute.device)
            words = [word_weights(model, packed, kind) for packed in views]
            for view, (place, row) in product(range(num_views), enumerate(chunk.tolist())):
                maps[row] += rows.places(view, row).mean(words[view][place]) / num_views
    return maps


def word_weights(
    model: TaskModel, packed: PackedRows, kind: AttentionMap
) -> list[NDArray[np.float64]]:
    """Return for each packed row the weight of each of its words, specials left out."""
    blocks: list[list[Tensor]] = []
    for of_block in encoder_weights(model.encoder, packed.ids_T, packed.packing):
        means = [weights_HLL.mean(0) for weights_HLL in of_block]
        # Only a rollout reads what lies below the last block.
        blocks = [*blocks, means] if kind == "rollout" else [means]
    found = []
    for row, pieces in enumerate(packed.pieces_BP.tolist()):
        read_L = _READERS[kind](_reading(pieces), [of_block[row].cpu() for of_block in blocks])
        words = read_L[pieces[0] : pieces[0] + sum(pieces[1:-1])]
        found.append(words.double().numpy())
    return found


def _reading(pieces: Sequence[int]) -> Tensor:
    """Return the weight with which the head reads each token's state, shape (L,); sums to 1.

    Args:
        pieces: Tokens of each piece of the row: leading specials, thirds of its words, [SEP].
    """
    parts = [count for count in pieces[1:-1] if count]
    weights = [0.0] * pieces[0] + [1 / (len(parts) * n) for n in parts for _ in range(n)]
    return torch.tensor([*weights, *[0.0] * pieces[-1]])


def _cls_row(read_L: Tensor, blocks_LL: Weights) -> Tensor:
    return blocks_LL[-1][0]


def _last_rows(read_L: Tensor, blocks_LL: Weights) -> Tensor:
    return read_L @ blocks_LL[-1]


def _followed(read_L: Tensor, blocks_LL: Weights) -> Tensor:
    for weights_LL in reversed(blocks_LL):
        read_L = _RESIDUAL * read_L + (1 - _RESIDUAL) * (read_L @ weights_LL)
    return read_L


_READERS: Mapping[AttentionMap, Callable[[Tensor, Weights], Tensor]] = {
    "cls": _cls_row,
    "pooled": _last_rows,
    "rollout": _followed,
}
