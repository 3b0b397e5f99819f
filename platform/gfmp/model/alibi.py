"""Attention with linear biases, symmetric: a head adds -slope * |i - j| to its scores.

Source: Press et al., Train Short, Test Long (2022), with the slopes of its public code; the
symmetric form is MosaicBERT's, used by Ye et al., Genomics-FM, A.1.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def slopes(num_heads: int) -> tuple[float, ...]:
    """Return the H slopes, one per head.

    A power of two H takes the geometric series that starts at 2 ** (-8 / H); any other H takes
    the series of the next smaller power of two, then every other slope of the next larger one.
    """
    power = 2 ** math.floor(math.log2(num_heads))
    between = _geometric(2 * power)[0::2][: num_heads - power]
    return (*_geometric(power), *between)


def _geometric(num_heads: int) -> tuple[float, ...]:
    ratio = 2.0 ** (-8.0 / num_heads)
    return tuple(ratio ** (head + 1) for head in range(num_heads))


class BiasCache:
    """One (H, L, L) bias that grows to the longest sequence seen; never part of the model state.

    A length buffer in the model would limit the length and enter checkpoints; this is neither.

    Attributes:
        slopes: The H slopes.
    """

    def __init__(self, num_heads: int) -> None:
        self.slopes = slopes(num_heads)
        self._bias = torch.empty(0, 0, 0)

    def bias_HLL(self, length: int, device: torch.device) -> Tensor:
        """Return the fp32 bias of one sequence, shape (H, length, length), a view."""
        if self._bias.shape[-1] < length or self._bias.device != device:
            # It may grow while a model is scored, and serves training afterwards, where a tensor
            # made in inference mode would be refused.
            with torch.inference_mode(False):
                self._bias = self._grown(length, device)
        return self._bias[:, :length, :length]

    def _grown(self, length: int, device: torch.device) -> Tensor:
        positions = torch.arange(length, dtype=torch.float32, device=device)
        distances = (positions[:, None] - positions[None, :]).abs()
        heads = torch.tensor(self.slopes, dtype=torch.float32, device=device)
        return -heads[:, None, None] * distances

    def slopes_H(self, device: torch.device) -> Tensor:
        """Return the fp32 slopes, shape (H,), for kernels that build the bias themselves."""
        return torch.tensor(self.slopes, dtype=torch.float32, device=device)
