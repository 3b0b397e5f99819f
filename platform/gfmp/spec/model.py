"""The encoder's shape, read by the plan (to count) and by the model (to build)."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from gfmp.spec.base import Closed, PositiveInt


class Architecture(Closed):
    """A MosaicBERT-style encoder: post-LN, GEGLU, symmetric ALiBi, tied MLM head, no dropout.

    Attributes:
        layers: Encoder blocks.
        width: Hidden size D.
        heads: Attention heads H; width is a multiple of it.
        intermediate: Inner size of the gated feed-forward block.

    Source: Ye et al., Genomics-FM, A.1.1; sizes inferred from the published 120 M and 400 M.
    """

    layers: PositiveInt
    width: PositiveInt
    heads: PositiveInt
    intermediate: PositiveInt

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Architecture:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class ModelSpec(Closed):
    """A file in specs/models/: a named architecture.

    Attributes:
        architecture: Its shape.
    """

    kind: Literal["model"]
    architecture: Architecture
