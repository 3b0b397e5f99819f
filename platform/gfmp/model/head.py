"""The masked-token head, computed at the targets only, over the words of their vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gfmp.model.layers import LayerNorm, Linear


class MaskedHead(nn.Module):
    """Dense, GELU, LayerNorm, then scores against embedding rows (tied) plus a bias per row.

    Attributes:
        dense: Projection D -> D.
        norm: LayerNorm after the GELU.
        bias: One number per ensemble row.
    """

    def __init__(self, width: int, num_rows: int) -> None:
        super().__init__()
        self.dense = Linear(width, width)
        self.norm = LayerNorm(width)
        self.bias = nn.Parameter(torch.empty(num_rows))

    def forward(
        self, hidden_MD: Tensor, embedding_VD: Tensor, rows: Sequence[Tensor], counts: Sequence[int]
    ) -> tuple[Tensor, ...]:
        """Score the targets of each vocabulary against that vocabulary's words.

        Args:
            hidden_MD: Hidden states of the targets, grouped by vocabulary.
            embedding_VD: The encoder's embedding table.
            rows: Per vocabulary the ensemble rows its softmax runs over, int64.
            counts: Targets of each vocabulary; they sum to M.

        Returns:
            Per vocabulary fp32 logits, shape (count, rows of that vocabulary).
        """
        hidden = self.norm(functional.gelu(self.dense(hidden_MD)))
        return tuple(self._logits(hidden, embedding_VD, rows, counts))

    def _logits(
        self, hidden: Tensor, embedding_VD: Tensor, rows: Sequence[Tensor], counts: Sequence[int]
    ) -> Iterator[Tensor]:
        for part, words in zip(hidden.split(list(counts)), rows, strict=True):
            weight = embedding_VD.index_select(0, words)
            yield functional.linear(part, weight, self.bias.index_select(0, words)).float()
