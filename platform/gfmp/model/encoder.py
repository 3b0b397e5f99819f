"""The MosaicBERT-style encoder on packed tokens: post-LN, GEGLU, symmetric ALiBi, no dropout.

Source: Ye et al., Genomics-FM, A.1.1; Portes et al., MosaicBERT (2023).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from gfmp.model.attention import Attention
from gfmp.model.feedforward import GatedFeedForward
from gfmp.model.layers import Embedding, LayerNorm, Linear
from gfmp.model.tokens import Packing
from gfmp.spec.model import Architecture


class Block(nn.Module):
    """One encoder block: attention and gated feed-forward, each with a residual and LayerNorm.

    Attributes:
        qkv: Projection D -> 3 D.
        out: Projection D -> D after attention.
        attention_norm: LayerNorm after the first residual.
        feed_forward: GEGLU over the intermediate size.
        output_norm: LayerNorm after the second residual.
    """

    def __init__(self, architecture: Architecture, attention: Attention) -> None:
        super().__init__()
        width = architecture.width
        self._attention = attention
        self._num_heads = architecture.heads
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)
        self.attention_norm = LayerNorm(width)
        self.feed_forward = GatedFeedForward(width, architecture.intermediate)
        self.output_norm = LayerNorm(width)
        self._fused: Callable[[Tensor, Tensor], Tensor] | None = None

    def forward(self, hidden_TD: Tensor, packing: Packing) -> Tensor:
        """Transform packed hidden states, shape (T, D) to (T, D)."""
        finish = self._fused or self._after_attention
        return finish(hidden_TD, self._attention(self.projected(hidden_TD), packing))

    def projected(self, hidden_TD: Tensor) -> Tensor:
        """Return queries, keys and values of packed hidden states, shape (T, 3, H, K)."""
        num_tokens, width = hidden_TD.shape
        head_width = width // self._num_heads
        projected: Tensor = self.qkv(hidden_TD)
        return projected.view(num_tokens, 3, self._num_heads, head_width)

    def fuse(self) -> None:
        """Let the compiler fuse what follows attention, for any number of tokens, on a GPU."""
        self._fused = torch.compile(self._after_attention, dynamic=True)

    def _after_attention(self, hidden_TD: Tensor, mixed_TD: Tensor) -> Tensor:
        hidden_TD = self.attention_norm(hidden_TD + self.out(mixed_TD))
        output: Tensor = self.output_norm(hidden_TD + self.feed_forward(hidden_TD))
        return output


class Encoder(nn.Module):
    """Token ids to hidden states; no position table, so any length is allowed.

    Attributes:
        embedding: The V x D table.
        norm: LayerNorm of the embedded tokens.
        blocks: The encoder blocks.
    """

    def __init__(self, architecture: Architecture, num_rows: int) -> None:
        super().__init__()
        attention = Attention(architecture.heads)
        self.embedding = Embedding(num_rows, architecture.width)
        self.norm = LayerNorm(architecture.width)
        self.blocks = nn.ModuleList(
            Block(architecture, attention) for _ in range(architecture.layers)
        )

    def fuse(self) -> None:
        """See `Block.fuse`."""
        for block in self.blocks:
            cast(Block, block).fuse()

    def forward(self, ids_T: Tensor, packing: Packing) -> Tensor:
        """Encode packed ids, shape (T,), to hidden states, shape (T, D)."""
        hidden: Tensor = self.norm(self.embedding(ids_T))
        for block in self.blocks:
            hidden = block(hidden, packing)
        return hidden


def count_parameters(model: nn.Module) -> int:
    """Return the trainable numbers of a model; a shared tensor counts once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
