from __future__ import annotations

import importlib.util
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import CPU
from torch import Tensor

from gfmp.model.alibi import BiasCache, slopes
from gfmp.model.attention import (
    Attention,
    Padded,
    PerSequence,
    choose_kernel,
    fused_kernels,
)
from gfmp.model.choice import Kernel
from gfmp.model.tokens import Packing

HEADS, WIDTH = 3, 8


def naive(qkv: Tensor, lengths: tuple[int, ...]) -> Tensor:
    """Compute attention as the formula says, one sequence and one head after the other."""
    rows = []
    for part in qkv.split(lengths):
        length = part.shape[0]
        distance = (torch.arange(length)[:, None] - torch.arange(length)[None, :]).abs()
        heads = []
        for head, slope in enumerate(slopes(HEADS)):
            query, key, value = part[:, 0, head], part[:, 1, head], part[:, 2, head]
            scores = query @ key.T / math.sqrt(WIDTH) - slope * distance
            heads.append(scores.softmax(-1) @ value)
        rows.append(torch.cat(heads, dim=-1))
    return torch.cat(rows)


def draw(lengths: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(sum(lengths))
    return torch.randn(sum(lengths), 3, HEADS, WIDTH, generator=generator)


@pytest.mark.parametrize("kernel", [PerSequence, Padded])
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_kernels_equal_the_naive_formula(kernel: type[Kernel], lengths: list[int]) -> None:
    qkv = draw(tuple(lengths))
    made: Kernel = kernel(BiasCache(HEADS))  # type: ignore[call-arg,arg-type]
    mixed = made(qkv, Packing.of(tuple(lengths), CPU))
    torch.testing.assert_close(mixed, naive(qkv, tuple(lengths)), rtol=1e-5, atol=1e-5)


def test_gradients_of_packed_and_padded_agree() -> None:
    lengths = (17, 64, 3, 30)
    grads = []
    for kernel in (PerSequence(BiasCache(HEADS)), Padded(BiasCache(HEADS))):
        qkv = draw(lengths).requires_grad_()
        kernel(qkv, Packing.of(lengths, CPU)).square().sum().backward()
        assert qkv.grad is not None
        grads.append(qkv.grad)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    order=st.lists(st.integers(0, 2), min_size=1, max_size=9),
    lengths=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(190, 210)),
)
def test_a_run_of_one_length_gives_each_sequence_what_it_gets_alone(
    order: list[int], lengths: tuple[int, int, int]
) -> None:
    chosen = tuple(lengths[place] for place in sorted(order))
    kernel = PerSequence(BiasCache(HEADS))
    qkv = draw(chosen).requires_grad_()
    together = kernel(qkv, Packing.of(chosen, CPU))
    together.square().sum().backward()
    alone = [part.clone().detach().requires_grad_() for part in qkv.split(chosen)]
    for part, expected in zip(alone, together.split(chosen), strict=True):
        mixed = kernel(part, Packing.of((len(part),), CPU))
        assert torch.equal(mixed, expected)
        mixed.square().sum().backward()
    assert qkv.grad is not None
    assert torch.equal(qkv.grad, torch.cat([part.grad for part in alone if part.grad is not None]))


def test_sequences_do_not_see_each_other() -> None:
    attention = Attention(HEADS)
    qkv = draw((20, 30))
    changed = qkv.clone()
    changed[20:] += 1.0
    packing = Packing.of((20, 30), CPU)
    assert torch.equal(attention(qkv, packing)[:20], attention(changed, packing)[:20])


def test_sixteen_bit_inputs_come_back_in_their_dtype() -> None:
    packing = Packing.of((20, 30), CPU)
    mixed = Attention(HEADS)(draw((20, 30)).bfloat16(), packing)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), naive(draw((20, 30)), (20, 30)), rtol=0.05, atol=0.05)


def test_autocast_does_not_narrow_attention_on_a_cpu() -> None:
    packing, narrow = Packing.of((20, 30), CPU), draw((20, 30)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = Attention(HEADS)(narrow, packing)
    assert torch.equal(mixed, Attention(HEADS)(narrow.float(), packing).bfloat16())


def test_a_cpu_attends_one_sequence_after_the_other() -> None:
    packing = Packing.of((4, 3), CPU)
    for dtype in (torch.float32, torch.bfloat16):
        chosen = choose_kernel(draw((4, 3)).to(dtype), packing, BiasCache(HEADS))
        assert isinstance(chosen, PerSequence)


def test_fused_kernels_build_the_bias_themselves() -> None:
    installed = importlib.util.find_spec("flash_attn") is not None
    names = ["flex", "flash-attn"] if installed else ["flex"]
    assert list(fused_kernels(torch.bfloat16, BiasCache(HEADS))) == names
    assert list(fused_kernels(torch.float32, BiasCache(HEADS))) == ["flex"]


def test_packing_counts_offsets() -> None:
    packing = Packing.of((3, 1, 5), CPU)
    assert packing.cu_seqlens.tolist() == [0, 3, 4, 9]
    assert packing.cu_seqlens.dtype == torch.int32
    assert packing.longest == 5


@pytest.mark.parametrize("kernel", [PerSequence, Padded])
def test_a_lone_token_keeps_its_own_value(kernel: type[Kernel]) -> None:
    made: Kernel = kernel(BiasCache(HEADS))  # type: ignore[call-arg,arg-type]
    qkv = draw((1, 1, 1))
    mixed = made(qkv, Packing.of((1, 1, 1), CPU))
    torch.testing.assert_close(mixed, qkv[:, 2].flatten(1))


@pytest.mark.parametrize("kernel", [PerSequence, Padded])
@pytest.mark.parametrize("lengths", [(1,), (2, 1), (127,), (65, 1, 33)])
def test_odd_lengths_equal_the_naive_formula_and_its_gradient(
    kernel: type[Kernel], lengths: tuple[int, ...]
) -> None:
    made: Kernel = kernel(BiasCache(HEADS))  # type: ignore[call-arg,arg-type]
    found = []
    for attend in (
        lambda qkv: made(qkv, Packing.of(lengths, CPU)),
        lambda qkv: naive(qkv, lengths),
    ):
        qkv = draw(lengths).requires_grad_()
        mixed = attend(qkv)
        (mixed * torch.linspace(-1, 1, mixed.numel()).view_as(mixed)).sum().backward()
        assert qkv.grad is not None
        found.append((mixed.detach(), qkv.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [PerSequence, Padded])
@settings(max_examples=8, deadline=None)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_weights_sum_to_one(kernel: type[Kernel], lengths: list[int]) -> None:
    made: Kernel = kernel(BiasCache(HEADS))  # type: ignore[call-arg,arg-type]
    qkv = draw(tuple(lengths))
    starts = torch.tensor(lengths).cumsum(0) - torch.tensor(lengths)
    # Every sequence has one value at all its places, so any mixture of its keys is that value.
    qkv[:, 2] = torch.repeat_interleave(qkv[starts, 2], torch.tensor(lengths), dim=0)
    mixed = made(qkv, Packing.of(tuple(lengths), CPU))
    torch.testing.assert_close(mixed, qkv[:, 2].flatten(1), rtol=1e-5, atol=1e-5)


def test_padding_never_reaches_a_gradient() -> None:
    qkv = draw((3, 40)).requires_grad_()
    mixed = Padded(BiasCache(HEADS))(qkv, Packing.of((3, 40), CPU))
    assert torch.isfinite(mixed).all()
    mixed[:3].sum().backward()
    assert qkv.grad is not None
    assert torch.isfinite(qkv.grad).all()
    assert not qkv.grad[3:].any()
