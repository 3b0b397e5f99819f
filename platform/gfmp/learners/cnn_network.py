"""The convolutional network of Genomic Benchmarks, and its reading of letters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

LETTERS = b"ACGTN"
PAD = len(LETTERS)
NUM_LETTERS = PAD + 1
EMBEDDING_WIDTH, HIDDEN_WIDTH = 100, 512
CHANNELS, KERNEL_BP, POOL = (16, 8, 4), 8, 2


class Cnn(nn.Module):
    """Letters embedded, three times convolution, batch norm, ReLU, pooling; two linear layers.

    As the public network has it, nothing stands between the linear layers; the outputs are logits
    or values, one per class, where the public one has a single logit for two classes.

    Source: Gresova et al., Genomic Benchmarks (2023), and the code of that package.

    Args:
        length_bp: Letters of a row, at least `SHORTEST_BP`.
        num_outputs: Outputs O.
        num_features: Features F beside the sequence, read by the linear layers.

    Attributes:
        embedding: Letter -> vector.
        convolutions: The three convolutions.
        norms: Batch norm after each.
        hidden: Linear layer on all that is left of the positions.
        output: Linear layer to the outputs.
    """

    def __init__(self, length_bp: int, num_outputs: int, num_features: int = 0) -> None:
        super().__init__()
        widths = (EMBEDDING_WIDTH, *CHANNELS)
        self.embedding = nn.Embedding(NUM_LETTERS, EMBEDDING_WIDTH)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, KERNEL_BP)
            for before, after in zip(widths[:-1], CHANNELS, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in CHANNELS)
        width = CHANNELS[-1] * positions_left(length_bp) + num_features
        self.hidden = nn.Linear(width, HIDDEN_WIDTH)
        self.output = nn.Linear(HIDDEN_WIDTH, num_outputs)

    def forward(self, letters_BL: Tensor, features_BF: Tensor | None = None) -> Tensor:
        """Return logits or values, shape (B, O).

        Args:
            letters_BL: Letter codes.
            features_BF: Features beside the sequence, standardised; None for none.
        """
        hidden = self._first(letters_BL)
        for number, norm in enumerate(self.norms):
            if number:
                hidden = self.convolutions[number](hidden)
            hidden = functional.max_pool1d(functional.relu(norm(hidden)), POOL)
        seen = hidden.flatten(1)
        if features_BF is not None:
            seen = torch.cat([seen, features_BF], dim=1)
        outputs: Tensor = self.output(self.hidden(seen))
        return outputs

    def _first(self, letters_BL: Tensor) -> Tensor:
        # The convolution of embeddings is one of letters with the product of both weights: the
        # same numbers and gradients at 6 input channels instead of 100.
        first = self.convolutions[0]
        assert isinstance(first, nn.Conv1d), "built so above"
        weight = torch.einsum("oek,ve->ovk", first.weight, self.embedding.weight)
        onehot = functional.one_hot(letters_BL, NUM_LETTERS).to(weight.dtype)
        return functional.conv1d(onehot.transpose(1, 2), weight, first.bias)


def positions_left(length_bp: int) -> int:
    """Return the positions after the last pooling; 0 or less where a row is too short."""
    for _ in CHANNELS:
        length_bp = (length_bp - KERNEL_BP + 1) // POOL
    return length_bp


def _shortest() -> int:
    length = 1
    for _ in CHANNELS:
        length = length * POOL + KERNEL_BP - 1
    return length


SHORTEST_BP = _shortest()


def letter_codes(sequences: Sequence[bytes], length_bp: int) -> NDArray[np.uint8]:
    """Return letters as codes, uint8, shape (N, length_bp), the ends filled with `PAD`.

    What is no base reads as N; what lies beyond `length_bp` is cut off.
    """
    table = np.full(256, LETTERS.index(b"N"), dtype=np.uint8)
    table[np.frombuffer(LETTERS, dtype=np.uint8)] = np.arange(len(LETTERS), dtype=np.uint8)
    codes = np.full((len(sequences), length_bp), PAD, dtype=np.uint8)
    for row, sequence in enumerate(sequences):
        read = np.frombuffer(sequence[:length_bp], dtype=np.uint8)
        codes[row, : len(read)] = table[read]
    return codes
