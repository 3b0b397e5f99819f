"""How many parameters the model has, by part, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from gfmp.spec.model import Architecture


@dataclass(frozen=True)
class Parameters:
    """Parameter counts of the parts of the model.

    Attributes:
        embedding: One row per token of the union, and the LayerNorm after it.
        attention: Query, key, value and output projections with their LayerNorms, all layers.
        feed_forward: Gated feed-forward blocks with their LayerNorms, all layers.
        head: Dense layer, LayerNorm and output bias; its columns are the embedding rows.
    """

    embedding: int
    attention: int
    feed_forward: int
    head: int

    @property
    def total(self) -> int:
        """All parameters; ALiBi has none."""
        return self.embedding + self.attention + self.feed_forward + self.head


def parameter_parts(architecture: Architecture, vocabulary_rows: int) -> Parameters:
    """Count the parameters of each part for a union of `vocabulary_rows` tokens.

    Source: MosaicBERT layer shapes; the gated projection has no bias, every other one has.
    """
    d, inner = architecture.width, architecture.intermediate
    square, norm = d * d + d, 2 * d
    return Parameters(
        embedding=vocabulary_rows * d + norm,
        attention=architecture.layers * (3 * square + square + norm),
        feed_forward=architecture.layers * (d * 2 * inner + inner * d + d + norm),
        head=square + norm + vocabulary_rows,
    )


def count_parameters(architecture: Architecture, vocabulary_rows: int) -> int:
    """Count all parameters (119,510,370 and 411,375,714 for the paper's union of 7,266)."""
    return parameter_parts(architecture, vocabulary_rows).total
