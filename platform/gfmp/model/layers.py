"""Layers whose weights stay unset until `gfmp.model.initialise` sets them.

torch would fill them at construction from its global generator: twice the work, and a side effect
on everybody else's random numbers.
"""

from __future__ import annotations

from torch import nn

LAYER_NORM_EPSILON = 1e-12


class Linear(nn.Linear):
    """`torch.nn.Linear`, unset."""

    def reset_parameters(self) -> None:
        """Leave the weights unset."""


class Embedding(nn.Embedding):
    """`torch.nn.Embedding`, unset."""

    def reset_parameters(self) -> None:
        """Leave the weights unset."""


class LayerNorm(nn.LayerNorm):
    """`torch.nn.LayerNorm` with BERT's epsilon, unset.

    Args:
        width: Hidden size D.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=LAYER_NORM_EPSILON)

    def reset_parameters(self) -> None:
        """Leave the weights unset."""
