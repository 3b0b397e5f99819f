from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import CPU
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask

from gfmp.model.alibi import BiasCache
from gfmp.model.attention import Padded
from gfmp.model.flex import BLOCK, FlexDocuments, alibi_scores, block_mask, same_document, tiles
from gfmp.model.tokens import Packing

HEADS, WIDTH = 3, 16


def filled(lengths: list[int]) -> tuple[int, ...]:
    """Add a sequence that fills the last tile."""
    rest = -sum(lengths) % BLOCK
    return (*lengths, rest) if rest else tuple(lengths)


def documents(lengths: tuple[int, ...]) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))


def test_a_score_loses_its_slope_times_the_distance() -> None:
    formula = alibi_scores(torch.tensor([0.5, 0.25]))
    places = torch.arange(4)
    one, zero = torch.tensor(1), torch.tensor(0)
    found = formula(torch.ones(4), zero, one, torch.tensor(2), places)
    assert found.tolist() == [0.5, 0.75, 1.0, 0.75]


def test_tokens_see_their_own_sequence_only() -> None:
    seen, zero = same_document(documents((2, 1, 3))), torch.tensor(0)
    rows = [seen(zero, zero, torch.tensor(q), torch.arange(6)).int().tolist() for q in (1, 2, 5)]
    assert rows == [[1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_tiles_are_those_of_the_whole_mask(lengths: list[int]) -> None:
    whole = filled(lengths)
    same = documents(whole)[:, None] == documents(whole)[None, :]
    num = len(same) // BLOCK
    counts = same.view(num, BLOCK, num, BLOCK).sum(dim=(1, 3))
    found = tiles(whole)
    for row in range(num):
        full = sorted(found.full_indices[row, : found.full[row]].tolist())
        partial = sorted(found.partial_indices[row, : found.partial[row]].tolist())
        assert full == (counts[row] == BLOCK * BLOCK).nonzero().flatten().tolist()
        assert sorted(full + partial) == (counts[row] > 0).nonzero().flatten().tolist()
    assert found.partial_indices.max() < num
    assert found.full_indices.max() < num


def test_the_mask_is_the_library_s_own_of_the_same_formula() -> None:
    whole = filled([300, 1, 128, 520, 60])
    ours = block_mask(whole, CPU)
    theirs = create_block_mask(
        same_document(documents(whole)), None, None, sum(whole), sum(whole), device="cpu"
    )
    assert torch.equal(ours.to_dense(), theirs.to_dense())
    for name in ("kv_num_blocks", "full_kv_num_blocks", "q_num_blocks", "full_q_num_blocks"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


def test_tokens_that_leave_a_tile_open_are_our_own_mistake() -> None:
    with pytest.raises(AssertionError, match="do not fill tiles"):
        tiles((BLOCK, 1))


@pytest.mark.parametrize("lengths", [(1,), (128,), (40, 200, 3), (256, 128), (500, 12)])
def test_the_formula_equals_padded_rows(lengths: tuple[int, ...]) -> None:
    qkv = torch.randn(
        sum(lengths), 3, HEADS, WIDTH, generator=torch.Generator().manual_seed(len(lengths))
    )
    packing = Packing.of(lengths, CPU)
    ours = FlexDocuments(BiasCache(HEADS), compiled=False)(qkv, packing)
    torch.testing.assert_close(ours, Padded(BiasCache(HEADS))(qkv, packing), rtol=1e-5, atol=1e-5)


def test_another_packing_gets_another_mask() -> None:
    kernel, oracle = FlexDocuments(BiasCache(HEADS), compiled=False), Padded(BiasCache(HEADS))
    qkv = torch.randn(90, 3, HEADS, WIDTH)
    for lengths in ((90,), (30, 60), (90,)):
        packing = Packing.of(lengths, CPU)
        torch.testing.assert_close(kernel(qkv, packing), oracle(qkv, packing), rtol=1e-5, atol=1e-5)
