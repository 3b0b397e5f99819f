from __future__ import annotations

import pytest
import torch
from torch import Tensor

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
