from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_examples import BASE, LARGE

from gfmp.plan.parameters import count_parameters, parameter_parts
from gfmp.spec.model import Architecture

SIZES = st.integers(1, 40)


@pytest.mark.parametrize(("architecture", "total"), [(BASE, 119_510_370), (LARGE, 411_375_714)])
def test_the_papers_models_with_their_union_of_7266(architecture: Architecture, total: int) -> None:
    assert count_parameters(architecture, 7266) == total


@settings(max_examples=50, deadline=None)
@given(layers=SIZES, heads=SIZES, head_width=SIZES, inner=SIZES, rows=st.integers(7, 9999))
def test_the_formula_counts_every_tensor_of_the_model(
    layers: int, heads: int, head_width: int, inner: int, rows: int
) -> None:
    d = heads * head_width
    architecture = Architecture(layers=layers, width=d, heads=heads, intermediate=inner)
    norm = [(d,), (d,)]
    linear = [(d, d), (d,)]
    block = [*linear * 4, *norm, (2 * inner, d), (d, inner), (d,), *norm]
    tensors = [(rows, d), *norm, *block * layers, *linear, *norm, (rows,)]
    counted = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in tensors)
    parts = parameter_parts(architecture, rows)
    assert parts.total == counted == count_parameters(architecture, rows)
    assert min(parts.embedding, parts.attention, parts.feed_forward, parts.head) > 0


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(7, 100_000), more=st.integers(1, 1000))
def test_each_further_token_costs_one_row_and_one_bias(rows: int, more: int) -> None:
    grown = count_parameters(BASE, rows + more) - count_parameters(BASE, rows)
    assert grown == more * (BASE.width + 1)
