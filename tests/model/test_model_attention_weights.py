"""The eager weights are those that the fused kernels use."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import CPU

from gfmp.model.alibi import BiasCache, slopes
from gfmp.model.attention import PerSequence
from gfmp.model.attention_weights import attention_weights, encoder_weights
from gfmp.model.encoder import Encoder
from gfmp.model.masked import build
from gfmp.model.tokens import Packing
from gfmp.spec.model import Architecture

HEADS, WIDTH = 3, 8
SMALL = Architecture(layers=3, width=24, heads=3, intermediate=40)


def draw(num_tokens: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num_tokens)
    return torch.randn(num_tokens, 3, HEADS, WIDTH, generator=generator)


@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_weights_times_values_is_what_the_kernel_mixes(lengths: list[int]) -> None:
    qkv, packing = draw(sum(lengths)), Packing.of(tuple(lengths), CPU)
    weights = attention_weights(qkv, packing, BiasCache(HEADS))
    values = [one.transpose(0, 1) for one in qkv[:, 2].split(tuple(lengths))]
    mixed = torch.cat(
        [(w @ v).transpose(0, 1).flatten(1) for w, v in zip(weights, values, strict=True)]
    )
    torch.testing.assert_close(mixed, PerSequence(BiasCache(HEADS))(qkv, packing))
    for one, length in zip(weights, lengths, strict=True):
        assert one.shape == (HEADS, length, length)
        torch.testing.assert_close(one.sum(-1), torch.ones(HEADS, length))


def test_weights_equal_the_formula_in_doubles() -> None:
    qkv = draw(23)
    (found,) = attention_weights(qkv, Packing.of((23,), CPU), BiasCache(HEADS))
    query, key = (qkv[:, place].double().numpy() for place in (0, 1))
    distances = np.abs(np.arange(23)[:, None] - np.arange(23)[None, :])
    for head, slope in enumerate(slopes(HEADS)):
        scores = query[:, head] @ key[:, head].T / np.sqrt(WIDTH) - slope * distances
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        wanted = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found[head].numpy(), wanted, atol=1e-6)


def test_half_precision_is_widened() -> None:
    qkv, packing = draw(9).bfloat16(), Packing.of((9,), CPU)
    (found,) = attention_weights(qkv, packing, BiasCache(HEADS))
    (wanted,) = attention_weights(qkv.float(), packing, BiasCache(HEADS))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("lengths", [(12,), (5, 9, 1)])
def test_every_block_of_an_encoder_is_read_with_its_own_states(lengths: tuple[int, ...]) -> None:
    model = build(SMALL, 40, (), "fp32", 3)
    encoder = model.encoder
    assert isinstance(encoder, Encoder)
    packing = Packing.of(lengths, CPU)
    ids = torch.arange(sum(lengths)) % 40
    with torch.inference_mode():
        hidden = encoder.norm(encoder.embedding(ids))
        blocks = list(encoder_weights(encoder, ids, packing))
        assert len(blocks) == SMALL.layers
        for block, found in zip(encoder.blocks, blocks, strict=True):
            wanted = attention_weights(block.projected(hidden), packing, BiasCache(SMALL.heads))
            for one, other in zip(found, wanted, strict=True):
                torch.testing.assert_close(one, other)
            hidden = block(hidden, packing)
        torch.testing.assert_close(hidden, encoder(ids, packing))
    assert not torch.allclose(blocks[0][0], blocks[1][0]), "blocks differ"
