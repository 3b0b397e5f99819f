"""The encoder: symmetries it must have, whatever its weights are."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import CPU, NUM_ROWS, TINY, softmax_rows, tiny_model
from torch import nn

from gfmp.model.encoder import Encoder, count_parameters
from gfmp.model.layers import LAYER_NORM_EPSILON, Embedding, LayerNorm, Linear
from gfmp.model.masked import build
from gfmp.model.tokens import Packing

LENGTHS = st.lists(st.integers(1, 33), min_size=1, max_size=5)


def fresh() -> Encoder:
    """An encoder as it begins: small scores, so that the ALiBi bias decides who sees whom."""
    return build(TINY, NUM_ROWS, softmax_rows(), "fp32", 0).encoder


def drawn_ids(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, NUM_ROWS, (length,), generator=torch.Generator().manual_seed(seed))


@settings(max_examples=10, deadline=None)
@given(lengths=LENGTHS, seed=st.integers(0, 99))
def test_the_order_of_sequences_changes_nothing(lengths: list[int], seed: int) -> None:
    encoder = tiny_model().encoder
    rows = drawn_ids(sum(lengths), seed).split(lengths)
    packed = encoder(torch.cat(rows), Packing.of(tuple(lengths), CPU)).split(lengths)
    back = encoder(torch.cat(rows[::-1]), Packing.of(tuple(lengths[::-1]), CPU))
    for ours, theirs in zip(packed, back.split(lengths[::-1])[::-1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 7, 64, 129])
def test_read_backwards_it_answers_backwards(length: int) -> None:
    ids, packing = drawn_ids(length), Packing.of((length,), CPU)
    for encoder in (fresh(), tiny_model().encoder):
        forward, backward = encoder(ids, packing), encoder(ids.flip(0), packing)
        torch.testing.assert_close(backward.flip(0), forward, rtol=1e-4, atol=1e-4)


def test_places_matter() -> None:
    encoder, packing = fresh(), Packing.of((61,), CPU)
    first, near, far = torch.tensor([25]), torch.full((30,), 9), torch.full((30,), 20)
    # The first token sees the same others, the near and the far ones exchanged.
    here = encoder(torch.cat((first, near, far)), packing)[0]
    there = encoder(torch.cat((first, far, near)), packing)[0]
    assert (here - there).abs().max() > 0.01


def test_every_hidden_state_leaves_a_layer_norm() -> None:
    hidden = tiny_model().encoder(drawn_ids(40), Packing.of((40,), CPU))
    torch.testing.assert_close(hidden.mean(1), torch.zeros(40), rtol=0, atol=1e-5)
    torch.testing.assert_close(hidden.var(1, unbiased=False), torch.ones(40), rtol=1e-4, atol=1e-4)


def test_a_shared_tensor_counts_once_and_a_frozen_one_never() -> None:
    model = nn.Sequential(nn.Linear(3, 5, bias=False), nn.Linear(3, 5, bias=False))
    assert count_parameters(model) == 30
    model[1].weight = model[0].weight
    assert count_parameters(model) == 15
    model[0].weight.requires_grad_(False)
    assert count_parameters(model) == 0


def test_building_draws_nothing_from_everybody_s_generator() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    build(TINY, NUM_ROWS, softmax_rows(), "fp32", 0)
    Linear(4, 4), Embedding(4, 4), LayerNorm(4)
    assert torch.equal(torch.rand(3), expected)


def test_layer_norm_has_bert_s_epsilon() -> None:
    norm = LayerNorm(4)
    assert norm.eps == LAYER_NORM_EPSILON == 1e-12
    nn.init.ones_(norm.weight)
    nn.init.zeros_(norm.bias)
    # Signals of 1e-5 are still normalised; torch's default of 1e-5 would flatten them.
    small = norm(torch.tensor([[1e-5, -1e-5, 1e-5, -1e-5]]))
    assert small.abs().min().item() == pytest.approx(1.0, abs=0.01)


def test_every_weight_is_trained() -> None:
    model = tiny_model()
    hidden = model.encoder(drawn_ids(50), Packing.of((20, 30), CPU))
    weights = torch.linspace(-1, 1, hidden.numel()).view_as(hidden)
    (hidden * weights).sum().backward()
    silent = [
        name
        for name, parameter in model.encoder.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert silent == []
