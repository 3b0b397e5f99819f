"""States of a frozen encoder, pooled per row at a few depths; computed once per trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.learners.compute import Compute
from gfmp.learners.initial import Initial
from gfmp.learners.packed import NUM_PARTS, PackedRows, RowPacker, chunks
from gfmp.learners.tokens import SplitTokens
from gfmp.model.encoder import Encoder
from gfmp.tasks.task import Split

# A linear model in float64 on tens of thousands of rows has to fit in memory.
_MOST_DEPTHS, _MOST_FEATURES = 4, 2_048
# What is computed for a row must not depend on which rows another cell asked for, not even in its
# last bit. So chunks are cut from the whole split and computed whole; where that would be much
# work on a CPU for a few rows, a row is a chunk of its own.
_WHOLE_TOKENS = 500_000
_ALONE = 1


def depths(num_layers: int, width: int) -> tuple[int, ...]:
    """Return the depths that are read, evenly spaced from 0, the embedding, to the last block.

    At most four, and no more than keep a row's features near `_MOST_FEATURES`: wide encoders are
    read at the last block alone.
    """
    affordable = max(1, _MOST_FEATURES // (NUM_PARTS * width))
    count = min(_MOST_DEPTHS, num_layers + 1, affordable)
    if count == 1:
        return (num_layers,)
    return tuple(round(place * num_layers / (count - 1)) for place in range(count))


def pooled_states(encoder: Encoder, rows: PackedRows, at: tuple[int, ...]) -> Tensor:
    """Return the means over each third of a row's words at some depths.

    Args:
        encoder: The encoder.
        rows: The rows.
        at: Depths; 0 is the embedding.

    Returns:
        fp32, shape (B, len(at) * NUM_PARTS * D).
    """
    return torch.cat([rows.means(hidden) for hidden in hidden_states(encoder, rows, at)], dim=1)


def hidden_states(encoder: Encoder, rows: PackedRows, at: tuple[int, ...]) -> Iterator[Tensor]:
    """Yield the states of all tokens at some depths, from below, shape (T, D) each.

    Args:
        encoder: The encoder.
        rows: The rows.
        at: Depths; 0 is the embedding. Blocks above the last are not computed.
    """
    hidden: Tensor = encoder.norm(encoder.embedding(rows.ids_T))
    if 0 in at:
        yield hidden
    for depth, block in enumerate(encoder.blocks[: max(at)], start=1):
        hidden = block(hidden, rows.packing)
        if depth in at:
            yield hidden


class SplitEmbedding:
    """The features of one split's rows, computed when they are first asked for.

    Args:
        split: The rows.
        packer: Lays them out for the model.
        compute: Device and size of a chunk.
        in_full: All rows will be asked for.
    """

    def __init__(
        self, split: SplitTokens, packer: RowPacker, compute: Compute, *, in_full: bool
    ) -> None:
        whole = in_full or compute.on_gpu or len(split.ids) <= _WHOLE_TOKENS
        most = compute.micro_tokens if whole else _ALONE
        self._split, self._packer, self._compute = split, packer, compute
        self._chunks = chunks(split.lengths, packer.num_specials, most)
        self._known = np.zeros(len(split), dtype=np.bool_)
        self._features = np.zeros((len(split), 0), dtype=np.float32)

    @property
    def num_known(self) -> int:
        """Rows that were embedded so far."""
        return int(self._known.sum())

    def lacks(self, rows: NDArray[np.int64]) -> bool:
        """Return True when some of these rows were not embedded yet."""
        return not bool(self._known[rows].all())

    def extend(self, encoder: Encoder, rows: NDArray[np.int64]) -> None:
        """Embed those of these rows that were not embedded yet."""
        wanted = np.zeros(len(self._split), dtype=np.bool_)
        wanted[rows] = True
        wanted &= ~self._known
        at = depths(len(encoder.blocks), encoder.embedding.embedding_dim)
        encoder = encoder.to(self._compute.device)
        with torch.inference_mode(), self._compute.autocast():
            for chunk in self._chunks:
                if wanted[chunk].any():
                    packed = self._packer.pack(self._split, chunk, self._compute.device)
                    self._keep(chunk, pooled_states(encoder, packed, at).cpu().numpy())

    def features(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the features of embedded rows, shape (N, F)."""
        assert not self.lacks(rows), "rows are embedded before they are read"
        return self._features[rows]

    def _keep(self, rows: NDArray[np.int64], features: NDArray[np.float32]) -> None:
        if not self._features.shape[1]:
            self._features = np.zeros((len(self._split), features.shape[1]), dtype=np.float32)
        self._features[rows] = features
        self._known[rows] = True


class Embeddings:
    """The features of a task's rows from one frozen encoder.

    Args:
        initial: Whose encoder.
        seed: Draws the weights when the encoder starts from nothing.
        splits: Each split's rows by its name.
    """

    def __init__(self, initial: Initial, seed: int, splits: Mapping[Split, SplitEmbedding]) -> None:
        self._initial, self._seed, self._splits = initial, seed, splits

    @property
    def num_known(self) -> int:
        """Rows of all splits that were embedded so far."""
        return sum(split.num_known for split in self._splits.values())

    def extend(self, split: Split, rows: NDArray[np.int64]) -> None:
        """Embed those rows of a split that are new."""
        embedding = self._splits[split]
        if embedding.lacks(rows):
            # The encoder is rebuilt rather than kept: it is a copy of the shared weights.
            embedding.extend(self._initial.encoder(self._seed), rows)

    def of(self, split: Split, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the features of rows of a split, shape (N, F); embeds those that are new."""
        self.extend(split, rows)
        return self._splits[split].features(rows)
