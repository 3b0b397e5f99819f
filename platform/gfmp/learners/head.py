"""The encoder with a task head: thirds of a row's words, a join, dropout, one linear layer.

What a task knows beside the sequence (the expression of transcription factors; Ye et al., Fig. 5)
joins at the head's inputs, standardised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gfmp.learners.beside import Beside
from gfmp.learners.compute import Compute
from gfmp.learners.join import join_of
from gfmp.learners.packed import NUM_PARTS, PackedRows
from gfmp.model.encoder import Encoder
from gfmp.model.initialise import initialise
from gfmp.model.layers import Linear
from gfmp.spec.learner import CONCAT, Join


@dataclass(frozen=True)
class HeadShape:
    """What a head reads and says.

    Attributes:
        num_outputs: Outputs O.
        num_vocabularies: Vocabularies V in which every row is read.
        join: How their states become one.
        num_features: Features F beside the sequence.
    """

    num_outputs: int
    num_vocabularies: int = 1
    join: Join = CONCAT
    num_features: int = 0


class TaskModel(nn.Module):
    """Packed rows to outputs.

    The head reads means of the words' states, not [CLS]: masked-token training never asks
    anything of [CLS], so with few labels there is nothing in it yet. Several vocabularies share
    one encoder: each prompt is active on its own encoding of the row.

    Attributes:
        encoder: The encoder.
        join: From the P = NUM_PARTS * D pooled states of each vocabulary to the head's inputs.
        beside: Standardises the features beside the sequence; None where there are none.
        head: Linear layer to O outputs.
    """

    def __init__(self, encoder: Encoder, shape: HeadShape, compute: Compute) -> None:
        super().__init__()
        pooled_width = NUM_PARTS * encoder.embedding.embedding_dim
        self.encoder = encoder
        self.join = join_of(shape.join, shape.num_vocabularies, pooled_width)
        self.beside = Beside(shape.num_features) if shape.num_features else None
        self.head = Linear(self.join.width + shape.num_features, shape.num_outputs)
        self._compute = compute

    @property
    def pooled_width(self) -> int:
        """Inputs of the head."""
        return self.head.in_features

    def draw_head(self, seed: int) -> None:
        """Fill the head as a function of the seed."""
        initialise(nn.ModuleDict({"head": self.head}), seed, self.pooled_width)

    def forward(
        self,
        rows: Sequence[PackedRows],
        features_BF: Tensor | None = None,
        kept_BI: Tensor | None = None,
    ) -> Tensor:
        """Return the outputs of B rows, shape (B, O), fp32.

        Args:
            rows: The same rows in each vocabulary.
            features_BF: Their features beside the sequence, as they are in the table; None is
                for models that read none.
            kept_BI: Dropout factors of the head's inputs; None when nothing is dropped.
        """
        pooled_BVP = torch.stack([self._pooled(one) for one in rows], dim=1)
        inputs_BI = self.join(pooled_BVP)
        if self.beside is not None:
            assert features_BF is not None, "a model that reads features is given them"
            inputs_BI = torch.cat([inputs_BI, self.beside(features_BF)], dim=1)
        outputs: Tensor = self.head(inputs_BI if kept_BI is None else inputs_BI * kept_BI)
        return outputs

    def _pooled(self, rows: PackedRows) -> Tensor:
        with self._compute.autocast():
            hidden_TD = self.encoder(rows.ids_T, rows.packing)
        return rows.means(hidden_TD)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return the trainable parameters for AdamW: matrices decay, biases and LayerNorm do not."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim <= 1]
    groups: list[dict[str, object]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
