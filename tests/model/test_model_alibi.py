from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import CPU, TINY

from gfmp.model.alibi import BiasCache, slopes
from gfmp.model.encoder import Encoder


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        (1, (2**-8,)),
        (4, (2**-2, 2**-4, 2**-6, 2**-8)),
        (8, tuple(2.0**-i for i in range(1, 9))),
        # The next power of two gives every other slope of 8 heads: 2**-1, 2**-3.
        (6, (2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3)),
    ],
)
def test_slopes_are_those_of_the_paper(heads: int, expected: tuple[float, ...]) -> None:
    assert slopes(heads) == pytest.approx(expected)


@pytest.mark.parametrize("heads", range(1, 20))
def test_every_head_has_a_slope_of_its_own(heads: int) -> None:
    values = slopes(heads)
    assert len(values) == len(set(values)) == heads
    assert all(0 < value < 1 for value in values)


def test_bias_equals_the_naive_double_loop() -> None:
    bias = BiasCache(6).bias_HLL(9, CPU)
    for head, slope in enumerate(slopes(6)):
        for i in range(9):
            for j in range(9):
                assert bias[head, i, j] == pytest.approx(-slope * abs(i - j))


def test_bias_grows_and_a_shorter_one_is_a_corner_of_it() -> None:
    cache = BiasCache(4)
    short = cache.bias_HLL(5, CPU).clone()
    long = cache.bias_HLL(1024, CPU)
    assert long.shape == (4, 1024, 1024)
    assert torch.equal(long[:, :5, :5], short)
    assert cache.bias_HLL(5, CPU).data_ptr() == long.data_ptr()


def test_no_length_enters_the_model_state() -> None:
    encoder = Encoder(TINY, 50)
    before = {name: value.shape for name, value in encoder.state_dict().items()}
    encoder._modules["blocks"][0]._attention.bias.bias_HLL(777, CPU)  # type: ignore[index,union-attr]
    assert {name: value.shape for name, value in encoder.state_dict().items()} == before
    assert not list(encoder.buffers())


# What `get_slopes` of the authors' repository (ofirpress/attention_with_linear_biases) returns.
PUBLISHED = {
    2: (0.0625, 0.00390625),
    12: (
        *(0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625),
        *(0.7071067811865476, 0.35355339059327384, 0.17677669529663692, 0.08838834764831849),
    ),
    16: (
        *(0.7071067811865476, 0.5000000000000001, 0.35355339059327384, 0.25000000000000006),
        *(0.17677669529663692, 0.12500000000000003, 0.08838834764831849, 0.06250000000000001),
        *(0.04419417382415925, 0.03125000000000001, 0.022097086912079626, 0.015625000000000007),
        *(0.011048543456039816, 0.007812500000000003, 0.005524271728019908, 0.003906250000000002),
    ),
}


@pytest.mark.parametrize("heads", sorted(PUBLISHED))
def test_slopes_equal_the_published_code(heads: int) -> None:
    assert slopes(heads) == pytest.approx(PUBLISHED[heads], rel=1e-12)


@pytest.mark.parametrize("heads", [1, 2, 4, 8, 16, 32])
def test_powers_of_two_are_geometric_and_end_at_two_to_the_minus_eight(heads: int) -> None:
    values = slopes(heads)
    assert values[-1] == pytest.approx(2.0**-8)
    ratios = [after / before for before, after in pairwise(values)]
    assert ratios == pytest.approx([values[0]] * (heads - 1))
    # Twice the heads put one new slope between any two old ones.
    assert slopes(2 * heads)[1::2] == pytest.approx(values)


@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6), heads=st.integers(1, 6))
def test_what_was_asked_before_changes_no_bias(lengths: list[int], heads: int) -> None:
    cache = BiasCache(heads)
    for length in lengths:
        bias = cache.bias_HLL(length, CPU)
        assert bias.shape == (heads, length, length)
        assert bias.dtype == torch.float32
        assert torch.equal(bias, BiasCache(heads).bias_HLL(length, CPU))
        assert torch.equal(bias, bias.transpose(1, 2))
        assert not bias.diagonal(dim1=1, dim2=2).any()


def test_a_bias_of_another_device_is_made_anew() -> None:
    cache = BiasCache(2)
    before = cache.bias_HLL(5, CPU).clone()
    assert cache.bias_HLL(3, torch.device("meta")).device.type == "meta"
    after = cache.bias_HLL(5, CPU)
    assert after.device == CPU
    assert torch.equal(after, before)


def test_a_bias_that_grew_in_inference_mode_serves_training() -> None:
    cache = BiasCache(2)
    with torch.inference_mode():
        cache.bias_HLL(7, torch.device("cpu"))
    query = torch.randn(2, 7, 4, requires_grad=True)
    bias = cache.bias_HLL(7, torch.device("cpu"))
    torch.nn.functional.scaled_dot_product_attention(
        query, query, query, attn_mask=bias
    ).sum().backward()
    assert query.grad is not None
