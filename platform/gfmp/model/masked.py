"""The pretraining model: the encoder with a masked-token head on tied weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gfmp.model.encoder import Encoder
from gfmp.model.head import MaskedHead
from gfmp.model.initialise import initialise
from gfmp.model.loss import Readout, summed
from gfmp.model.tokens import TokenTensors
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Precision


class MaskedLanguageModel(nn.Module):
    """Packed, masked tokens to what a readout takes from the scores at the targets.

    Weights are always fp32. With precision `bf16` the forward pass runs under autocast: matrix
    products in bf16, residuals, LayerNorm, softmax and loss in fp32. Gradients and optimiser
    state stay fp32, so the same code is exact under DDP and under every ZeRO stage.

    Attributes:
        encoder: The encoder.
        head: The masked-token head.
    """

    def __init__(
        self,
        architecture: Architecture,
        num_rows: int,
        rows: Sequence[Tensor],
        precision: Precision,
    ) -> None:
        """Build the layers, uninitialised.

        Args:
            architecture: The encoder's shape.
            num_rows: Ensemble size V.
            rows: Per vocabulary the ensemble rows its softmax runs over, int64.
            precision: Compute precision.
        """
        super().__init__()
        self.encoder = Encoder(architecture, num_rows)
        self.head = MaskedHead(architecture.width, num_rows)
        self._precision = precision
        self._num_vocabularies = len(rows)
        for index, words in enumerate(rows):
            self.register_buffer(f"rows_{index}", words, persistent=False)

    def forward(self, tokens: TokenTensors, readout: Readout = summed) -> tuple[Tensor, ...]:
        """Return what `readout` takes from each vocabulary's scores, in ensemble order.

        A vocabulary without targets in this micro-batch is read with M = 0, so that every rank
        touches the same parameters.
        """
        autocast = torch.autocast(
            tokens.ids_T.device.type, torch.bfloat16, enabled=self._precision == "bf16"
        )
        with autocast:
            hidden_TD = self.encoder(tokens.ids_T, tokens.packing)
            logits = self.head(
                hidden_TD.index_select(0, tokens.positions_M),
                self.encoder.embedding.weight,
                self._rows(),
                tokens.counts,
            )
        labels = tokens.labels_M.split(list(tokens.counts))
        return tuple(readout(scores, true) for scores, true in zip(logits, labels, strict=True))

    def _rows(self) -> list[Tensor]:
        return [self.get_buffer(f"rows_{index}") for index in range(self._num_vocabularies)]


def build(
    architecture: Architecture,
    num_rows: int,
    rows: Sequence[Tensor],
    precision: Precision,
    seed: int,
) -> MaskedLanguageModel:
    """Return an initialised model on the CPU; weights are a function of `seed` and names only."""
    model = MaskedLanguageModel(architecture, num_rows, rows, precision)
    initialise(model, seed, architecture.width)
    return model
