from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_examples import BASE, TINY

from gfmp.plan.flops import forward_flops, training_flops
from gfmp.plan.parameters import parameter_parts
from gfmp.spec.model import Architecture

COUNT = st.integers(0, 10_000)


def _per_token(architecture: Architecture, length: int = 400) -> float:
    targets = round(0.15 * length)
    return training_flops(architecture, length, length**2, targets, 7266) / length


def test_base_costs_729_mflop_a_token_at_400_tokens() -> None:
    assert _per_token(BASE) == pytest.approx(0.729e9, rel=2e-3)


def test_a_plain_feed_forward_block_of_the_same_inner_size_would_cost_557() -> None:
    # A gated block of 2,048 has the products of a plain one of 3,072, as in BERT-base.
    plain = Architecture(layers=12, width=768, heads=12, intermediate=2048)
    assert _per_token(plain) == pytest.approx(0.557e9, rel=5e-3)


def test_without_attention_a_forward_pass_is_two_operations_per_weight_of_the_products() -> None:
    parts = parameter_parts(BASE, 0)
    d, layers = BASE.width, BASE.layers
    biases_and_norms = layers * (4 * d + 2 * d + d + 2 * d)
    weights = parts.attention + parts.feed_forward - biases_and_norms
    assert forward_flops(BASE, 1000, 0, 0, 7266) == 2 * weights * 1000


@settings(max_examples=50, deadline=None)
@given(tokens=COUNT, squares=COUNT, targets=COUNT, rows=COUNT)
def test_training_is_three_forward_passes_and_every_term_adds(
    tokens: int, squares: int, targets: int, rows: int
) -> None:
    whole = training_flops(TINY, tokens, squares, targets, rows)
    parts = (
        training_flops(TINY, tokens, 0, 0, rows),
        training_flops(TINY, 0, squares, 0, rows),
        training_flops(TINY, 0, 0, targets, rows),
    )
    assert whole == sum(parts) == 3 * forward_flops(TINY, tokens, squares, targets, rows)


@settings(max_examples=25, deadline=None)
@given(length=st.integers(2, 512), count=st.integers(2, 50))
def test_long_sequences_cost_more_than_the_same_tokens_in_short_ones(
    length: int, count: int
) -> None:
    tokens = length * count
    together = training_flops(TINY, tokens, tokens**2, 0, 0)
    apart = training_flops(TINY, tokens, count * length**2, 0, 0)
    assert together > apart
