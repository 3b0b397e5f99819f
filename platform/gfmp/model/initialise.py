"""Initial weights as a function of the seed and each parameter's name, on every rank the same."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

STANDARD_DEVIATION = 0.02


def initialise(model: nn.Module, seed: int) -> None:
    """Fill a model in place: matrices normal(0, 0.02), LayerNorm 1 and 0, biases 0.

    Each matrix has a generator of its own, keyed by (seed, name), so that adding a layer or
    building on another device changes no other matrix.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0 if name.endswith("norm.weight") else 0.0)
            else:
                drawn = torch.empty(parameter.shape, dtype=torch.float32)
                drawn.normal_(0.0, STANDARD_DEVIATION, generator=_generator(seed, name))
                parameter.copy_(drawn)


def _generator(seed: int, name: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
