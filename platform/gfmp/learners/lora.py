"""Adapters of low rank: a frozen matrix W acts as W + (alpha / rank) B A.

Source: Hu et al., LoRA (2021). The sum is formed once per forward pass, which works for every
matrix whatever kernel reads it, and costs little beside the products over all tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gfmp.learners.head import TaskModel
from gfmp.model.encoder import Block
from gfmp.model.initialise import initialise


class LowRank(nn.Module):
    """The change of one matrix.

    Attributes:
        narrow: A, shape (rank, inputs), normal.
        wide: B, shape (outputs, rank), zero, so that the first step starts from W itself.
    """

    def __init__(self, shape: torch.Size, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = shape
        self.narrow = nn.Parameter(torch.empty(rank, inputs))
        self.wide = nn.Parameter(torch.empty(outputs, rank))
        self._scale = alpha / rank

    def draw(self, seed: int, name: str, width: int) -> None:
        """Fill A as a function of seed and name, and B with zeros."""
        initialise(nn.ModuleDict({name: self}), seed, width)
        nn.init.zeros_(self.wide)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the adapted matrix."""
        return torch.addmm(weight, self.wide, self.narrow, alpha=self._scale)


def adapt(model: TaskModel, rank: int, alpha: float, seed: int) -> None:
    """Freeze an encoder and give each matrix of its blocks an adapter, in place.

    Args:
        model: Its head stays trainable.
        rank: Rank of the adapters.
        alpha: They are scaled by alpha / rank.
        seed: Draws A of each adapter.
    """
    width = model.encoder.embedding.embedding_dim
    model.encoder.requires_grad_(False)
    for layer, block in enumerate(model.encoder.blocks):
        assert isinstance(block, Block), "an encoder is made of blocks"
        for place, (module, name) in enumerate(_matrices(block)):
            adapter = LowRank(module.get_parameter(name).shape, rank, alpha)
            adapter.draw(seed, f"adapter-{layer}-{place}", width)
            parametrize.register_parametrization(module, name, adapter)


def merge(model: TaskModel) -> None:
    """Write the adapted matrices into the encoder and drop the adapters, in place."""
    for block in model.encoder.blocks:
        assert isinstance(block, Block), "an encoder is made of blocks"
        for module, name in _matrices(block):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _matrices(block: Block) -> tuple[tuple[nn.Module, str], ...]:
    feed_forward = block.feed_forward
    return (
        (block.qkv, "weight"),
        (block.out, "weight"),
        (feed_forward, "gated"),
        (feed_forward, "down"),
    )
