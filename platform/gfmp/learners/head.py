"""The encoder with a task head: thirds of a row's words, dropout, one linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from gfmp.learners.compute import Compute
from gfmp.learners.packed import NUM_PARTS, PackedRows
from gfmp.model.encoder import Encoder
from gfmp.model.initialise import initialise
from gfmp.model.layers import Linear


class TaskModel(nn.Module):
    """Packed rows to outputs.

    The head reads means of the words' states, not [CLS]: masked-token training never asks
    anything of [CLS], so with few labels there is nothing in it yet.

    Attributes:
        encoder: The encoder.
        head: Linear layer from NUM_PARTS * D to O.
    """

    def __init__(self, encoder: Encoder, num_outputs: int, compute: Compute) -> None:
        super().__init__()
        width = encoder.embedding.embedding_dim
        self.encoder = encoder
        self.head = Linear(NUM_PARTS * width, num_outputs)
        self._compute = compute

    @property
    def pooled_width(self) -> int:
        """Inputs of the head."""
        return self.head.in_features

    def draw_head(self, seed: int) -> None:
        """Fill the head as a function of the seed."""
        initialise(nn.ModuleDict({"head": self.head}), seed, self.pooled_width)

    def forward(self, rows: PackedRows, kept_BP: Tensor | None = None) -> Tensor:
        """Return the outputs of B rows, shape (B, O), fp32.

        Args:
            rows: The rows.
            kept_BP: Dropout factors of the head's inputs; None when nothing is dropped.
        """
        with self._compute.autocast():
            hidden_TD = self.encoder(rows.ids_T, rows.packing)
        pooled = rows.means(hidden_TD)
        outputs: Tensor = self.head(pooled if kept_BP is None else pooled * kept_BP)
        return outputs


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
