from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gfmp.model import feedforward
from gfmp.model.feedforward import ROWS_AT_A_TIME, GatedFeedForward, gated_feed_forward


def made(seed: int) -> GatedFeedForward:
    block = GatedFeedForward(12, 20)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(0.0, 0.5, generator=generator)
    return block


def gradients(block: GatedFeedForward, out: Tensor, hidden: Tensor) -> list[Tensor]:
    weights = torch.linspace(-1, 1, out.numel()).view_as(out)
    return list(torch.autograd.grad((out * weights).sum(), [hidden, *block.parameters()]))


@pytest.mark.parametrize(
    "rows", [1, 7, ROWS_AT_A_TIME, ROWS_AT_A_TIME + 1, 2 * ROWS_AT_A_TIME + 300]
)
def test_block_by_block_equals_the_formula(rows: int) -> None:
    block = made(rows).double()
    hidden = torch.randn(rows, 12, generator=torch.Generator().manual_seed(1)).double()
    hidden.requires_grad_()
    blockwise = block(hidden)
    formula = gated_feed_forward(hidden, block.gated, block.down, block.bias)
    torch.testing.assert_close(blockwise, formula, rtol=1e-9, atol=1e-9)
    for ours, theirs in zip(
        gradients(block, blockwise, hidden), gradients(block, formula, hidden), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rows", [1, ROWS_AT_A_TIME - 1, ROWS_AT_A_TIME, 2 * ROWS_AT_A_TIME + 5])
def test_what_needs_no_gradient_is_the_same_bit_for_bit(rows: int) -> None:
    block = made(rows)
    hidden = torch.randn(rows, 12, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        lean = block(hidden)
    assert torch.equal(lean, block(hidden))


def test_the_formula_by_hand() -> None:
    block = made(0)
    hidden = torch.randn(1, 12, generator=torch.Generator().manual_seed(2))
    both = (block.gated @ hidden[0]).tolist()
    gate, value = torch.tensor(both[:20]), torch.tensor(both[20:])
    normal = torch.distributions.Normal(0.0, 1.0)
    expected = block.down @ (gate * normal.cdf(gate) * value) + block.bias
    torch.testing.assert_close(block(hidden)[0], expected, rtol=1e-4, atol=1e-4)


def test_autocast_takes_the_formula() -> None:
    block = made(0)
    hidden = torch.randn(9, 12, generator=torch.Generator().manual_seed(3))
    with torch.autocast("cpu", torch.bfloat16):
        out = block(hidden)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), block(hidden), rtol=0.1, atol=0.2)


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
def test_gradients_are_those_of_finite_differences(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedforward, "ROWS_AT_A_TIME", 3)
    block = GatedFeedForward(3, 4).double()
    generator = torch.Generator().manual_seed(rows)
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((rows, 3), (8, 3), (3, 4), (3,))
    ]

    def called(hidden: Tensor, gated: Tensor, down: Tensor, bias: Tensor) -> Tensor:
        weights = {"gated": gated, "down": down, "bias": bias}
        out: Tensor = torch.func.functional_call(block, weights, (hidden,))
        return out

    assert torch.autograd.gradcheck(called, inputs)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.integers(0, 40), at_a_time=st.integers(1, 41))
def test_the_size_of_blocks_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, rows: int, at_a_time: int
) -> None:
    block = made(3).double()
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, 12, generator=generator, dtype=torch.float64).requires_grad_()
    found = []
    for size in (at_a_time, 1024):
        monkeypatch.setattr(feedforward, "ROWS_AT_A_TIME", size)
        out = block(hidden)
        found.append([out, *gradients(block, out, hidden)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_no_tokens_give_no_output_and_zero_gradients() -> None:
    block, hidden = made(1), torch.zeros(0, 12, requires_grad=True)
    out = block(hidden)
    assert out.shape == (0, 12)
    out.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in block.parameters())


def test_strided_inputs_and_gradients_are_read_right() -> None:
    block = made(4)
    straight = torch.randn(9, 12, generator=torch.Generator().manual_seed(4))
    turned = straight.t().contiguous().t()
    assert not turned.is_contiguous()
    torch.testing.assert_close(block(turned), block(straight))
    # The gradient of a sum is one number expanded to every place: strides of zero.
    grads = []
    for values in (turned.requires_grad_(), straight.requires_grad_()):
        block.zero_grad()
        block(values).sum().backward()
        assert values.grad is not None
        grads.append(
            [values.grad, *(p.grad.clone() for p in block.parameters() if p.grad is not None)]
        )
    formula = gated_feed_forward(straight, block.gated, block.down, block.bias).sum()
    expected = torch.autograd.grad(formula, [straight, *block.parameters()])
    for found in grads:
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
