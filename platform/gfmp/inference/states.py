"""Hidden states of an encoder: one vector a sequence, one a token, or one a base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.inference.attribution_rows import ReadRows
from gfmp.learners.compute import Compute
from gfmp.learners.embed import hidden_states
from gfmp.learners.packed import PackedRows
from gfmp.model.encoder import Encoder

Per = Literal["sequence", "token", "base"]
PER: tuple[Per, ...] = get_args(Per)
Pool = Literal["mean", "thirds"]
POOLS: tuple[Pool, ...] = get_args(Pool)
# Told how many sequences were read since the last call.
Tick = Callable[[int], None]


def no_tick(count: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Wanted:
    """Which states are asked for.

    Attributes:
        per: One vector for a sequence, for each of its tokens or for each of its bases.
        layers: Depths, ascending; 0 is the embedding, 1 the first block.
        pool: With `per: sequence`, the mean over all words, or over each third of them side by
            side, as the heads of fine-tuned models read them.
    """

    per: Per = "sequence"
    layers: tuple[int, ...] = (0,)
    pool: Pool = "mean"

    def width(self, hidden: int) -> int:
        """Return the length W of one vector of one layer, for D hidden units."""
        return 3 * hidden if self.per == "sequence" and self.pool == "thirds" else hidden


def states(
    encoder: Encoder, rows: ReadRows, wanted: Wanted, compute: Compute, tick: Tick = no_tick
) -> list[NDArray[np.float32]]:
    """Return for each of N rows its states, in the one vocabulary of `rows`.

    Shape (S, W) for each sequence, (tokens, S, W) or (bases, S, W), where S counts the layers and
    W is `wanted.width`. The state of a base is the mean of those of the words that cover it; zero
    where none does.

    Args:
        encoder: The encoder.
        rows: The rows, in one vocabulary.
        wanted: Which states.
        compute: Device and size of a chunk; rows of like lengths are read together.
        tick: Is told of rows that are done.
    """
    assert len(rows.encoded) == 1, "states are of one vocabulary"
    found: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(rows)
    with torch.inference_mode(), compute.autocast():
        for chunk in rows.views.chunks(np.arange(len(rows)), compute.micro_tokens):
            (packed,) = rows.views.pack(chunk, compute.device)
            layers = list(hidden_states(encoder, packed, wanted.layers))
            for row, values in zip(chunk.tolist(), _parts(layers, packed, wanted), strict=True):
                found[row] = _of_bases(values, rows, row) if wanted.per == "base" else values
            tick(len(chunk))
    return found


def _parts(
    layers: Sequence[Tensor], packed: PackedRows, wanted: Wanted
) -> Sequence[NDArray[np.float32]]:
    """Return the states of each packed row: pooled, or those of its words."""
    if wanted.per == "sequence":
        read = packed if wanted.pool == "thirds" else _in_one(packed)
        pooled_BSW = torch.stack([read.means(hidden_TD) for hidden_TD in layers], dim=1)
        return list(pooled_BSW.cpu().numpy())
    hidden_TSD = torch.stack([hidden_TD.float() for hidden_TD in layers], dim=1).cpu().numpy()
    found, start = [], 0
    for lead, *words, end in packed.pieces_BP.tolist():
        found.append(hidden_TSD[start + lead : start + lead + sum(words)])
        start += lead + sum(words) + end
    return found


def _in_one(packed: PackedRows) -> PackedRows:
    """Return the same rows with all words as one piece."""
    pieces = packed.pieces_BP
    words = pieces[:, 1:-1].sum(dim=1, keepdim=True)
    return replace(packed, pieces_BP=torch.cat([pieces[:, :1], words, pieces[:, -1:]], dim=1))


def _of_bases(hidden_CSD: NDArray[np.float32], rows: ReadRows, row: int) -> NDArray[np.float32]:
    """Return the mean state of the words that cover each base, shape (bases, S, D)."""
    places = rows.places(0, row)
    lengths = (places.ends - places.starts).astype(np.int64)
    word = np.repeat(np.arange(len(lengths)), lengths)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    base = np.repeat(places.starts.astype(np.int64), lengths) + np.arange(len(word)) - first
    order = np.argsort(base, kind="stable")
    covering = np.bincount(base, minlength=places.num_bp)
    # Summed word by word in the order of the words, so that a row does not depend on others.
    sums = np.zeros((places.num_bp, *hidden_CSD.shape[1:]), dtype=np.float32)
    starts = (np.cumsum(covering) - covering)[covering > 0]
    if len(order):
        sums[covering > 0] = np.add.reduceat(hidden_CSD[word[order]], starts, axis=0)
    sums /= np.maximum(covering, 1)[:, None, None]
    return sums
