"""Floating-point operations of training, counted for what is computed: no padding, no waste."""

from __future__ import annotations

from gfmp.spec.model import Architecture


def forward_flops(
    architecture: Architecture,
    num_tokens: int,
    sum_squared_lengths: int,
    num_targets: int,
    head_rows: int,
) -> int:
    """Count one forward pass: 2 per multiply-add of matrix products, nothing for the rest.

    Args:
        architecture: The encoder.
        num_tokens: Real tokens T, special tokens included.
        sum_squared_lengths: Sum of L * L over the sequences; attention never crosses them.
        num_targets: Positions the head is computed at.
        head_rows: Columns of the head's output at each of them.
    """
    d, inner = architecture.width, architecture.intermediate
    projections = 2 * (4 * d * d + 3 * d * inner) * num_tokens
    # Scores and weighted values: 2 * L * L * D each.
    attention = 4 * d * sum_squared_lengths
    head = 2 * num_targets * (d * d + d * head_rows)
    return architecture.layers * (projections + attention) + head


def training_flops(
    architecture: Architecture,
    num_tokens: int,
    sum_squared_lengths: int,
    num_targets: int,
    head_rows: int,
) -> int:
    """Count forward and backward: three times the forward pass.

    The backward pass computes a gradient for the input and one for the weight of every product.
    Arguments as for `forward_flops`.
    """
    return 3 * forward_flops(architecture, num_tokens, sum_squared_lengths, num_targets, head_rows)
