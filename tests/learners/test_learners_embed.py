"""Pooled states are those of the encoder, and do not depend on the rows beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gfmp.learners import embed
from gfmp.learners.compute import Compute
from gfmp.learners.embed import Embeddings, SplitEmbedding, depths, pooled_states
from gfmp.learners.initial import Initial
from gfmp.learners.packed import NUM_PARTS, RowPacker
from gfmp.learners.tokens import TaskTokens

CPU = Compute.of("cpu", 1)


@pytest.mark.parametrize(
    ("layers", "width", "expected"),
    [
        (1, 16, (0, 1)),
        (2, 16, (0, 1, 2)),
        (4, 128, (0, 1, 3, 4)),
        (12, 256, (0, 12)),
        (12, 768, (12,)),
    ],
)
def test_depths_are_spread_and_fewer_where_states_are_wide(
    layers: int, width: int, expected: tuple[int, ...]
) -> None:
    assert depths(layers, width) == expected


def test_the_last_depth_is_what_the_encoder_returns(
    tokens: TaskTokens, pretrained: Initial
) -> None:
    packed = RowPacker(pretrained, tokens).pack(tokens.train, np.arange(6), CPU.device)
    encoder = pretrained.encoder(0)
    width = pretrained.architecture.width * NUM_PARTS
    with torch.inference_mode():
        found = pooled_states(encoder, packed, (0, 2))
        assert torch.equal(found[:, width:], packed.means(encoder(packed.ids_T, packed.packing)))
        start = packed.means(encoder.norm(encoder.embedding(packed.ids_T)))
        assert torch.equal(found[:, :width], start)


@pytest.mark.parametrize("whole_tokens", [0, 10**9])
def test_features_are_the_same_bytes_whatever_was_asked_for_before(
    tokens: TaskTokens, pretrained: Initial, monkeypatch: pytest.MonkeyPatch, whole_tokens: int
) -> None:
    monkeypatch.setattr(embed, "_WHOLE_TOKENS", whole_tokens)
    packer, encoder = RowPacker(pretrained, tokens), pretrained.encoder(0)
    wanted = np.array([3, 50, 7])
    found = []
    for before in ([], [3, 4, 5], list(range(60))):
        split = SplitEmbedding(tokens.train, packer, CPU, in_full=False)
        split.extend(encoder, np.array(before, dtype=np.int64))
        split.extend(encoder, wanted)
        found.append(split.features(wanted).tobytes())
    assert len(set(found)) == 1


def test_rows_are_embedded_when_they_are_asked_for_and_once(
    tokens: TaskTokens, pretrained: Initial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "_WHOLE_TOKENS", 0)
    split = SplitEmbedding(tokens.train, RowPacker(pretrained, tokens), CPU, in_full=False)
    embeddings = Embeddings(pretrained, 0, {"train": split})
    assert split.lacks(np.array([1]))
    embeddings.of("train", np.array([1, 2]))
    embeddings.of("train", np.array([2, 1, 8]))
    assert embeddings.num_known == 3
    with pytest.raises(AssertionError, match="embedded before"):
        split.features(np.array([1, 60]))
