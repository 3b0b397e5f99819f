"""Attention mapped to bases: defined by what the head reads, exact, and where the motif stands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from motif_samples import (
    CPU,
    PLANTED,
    ROW_BP,
    model,
    planted_starts,
    planted_task,
    reading,
    untrained,
)
from scipy.stats import rankdata

from gfmp.inference.attribution_attention import (
    ATTENTION_MAPS,
    AttentionMap,
    attention_maps,
    word_weights,
)
from gfmp.learners.packed import NUM_PARTS
from gfmp.model.attention_weights import encoder_weights

ROW = b"GATTACAGGCATTACCGGATATACCAGATTTACCGAGT"


def matrices(name: str) -> tuple[list[np.ndarray], list[int]]:
    """Return the head-mean weights of each block for `ROW`, and its pieces."""
    made = untrained(name)
    (packed,) = reading(made, ROW).views.pack(np.zeros(1, dtype=np.int64), CPU.device)
    blocks = encoder_weights(made.model.encoder, packed.ids_T, packed.packing)
    with torch.inference_mode():
        return [one[0].mean(0).double().numpy() for one in blocks], packed.pieces_BP[0].tolist()


def words_of(name: str, kind: AttentionMap) -> np.ndarray:
    made = untrained(name)
    (packed,) = reading(made, ROW).views.pack(np.zeros(1, dtype=np.int64), CPU.device)
    with torch.inference_mode():
        (found,) = word_weights(made.model, packed, kind)
    return found


@pytest.mark.parametrize("name", ["kmer4", "bpe"])
def test_maps_are_rows_of_the_weights(name: str) -> None:
    blocks, pieces = matrices(name)
    lead, words = pieces[0], sum(pieces[1:-1])
    inside = slice(lead, lead + words)
    np.testing.assert_allclose(words_of(name, "cls"), blocks[-1][0, inside], atol=1e-7)
    thirds = np.split(np.arange(lead, lead + words), np.cumsum(pieces[1:-2]))
    read = np.mean([blocks[-1][third].mean(0) for third in thirds], axis=0)
    np.testing.assert_allclose(words_of(name, "pooled"), read[inside], atol=1e-7)
    product = np.eye(len(blocks[0]))
    for block in blocks:
        product = (0.5 * np.eye(len(block)) + 0.5 * block) @ product
    read = np.mean([product[third].mean(0) for third in thirds], axis=0)
    np.testing.assert_allclose(words_of(name, "rollout"), read[inside], atol=1e-7)
    assert len(thirds) == NUM_PARTS


@pytest.mark.parametrize("kind", ATTENTION_MAPS)
def test_weights_are_shares(kind: AttentionMap) -> None:
    found = words_of("kmer4", kind)
    assert (found >= 0).all() and 0 < found.sum() <= 1 + 1e-6


@pytest.mark.parametrize("name", ["kmer4", "both"])
def test_a_map_does_not_depend_on_the_rows_beside_it(name: str) -> None:
    made = untrained(name)
    others = planted_task().test.sequences[:5]
    alone = attention_maps(made.model, reading(made, ROW), "rollout", CPU)[0]
    beside = attention_maps(made.model, reading(made, *others, ROW), "rollout", CPU)[-1]
    assert alone.shape == (len(ROW),)
    np.testing.assert_allclose(alone, beside, rtol=1e-5)


def test_several_vocabularies_have_the_mean_of_their_maps() -> None:
    made = untrained("both")
    rows = reading(made, ROW)
    packed = rows.views.pack(np.zeros(1, dtype=np.int64), CPU.device)
    with torch.inference_mode():
        own = [
            rows.places(view, 0).mean(word_weights(made.model, one, "pooled")[0])
            for view, one in enumerate(packed)
        ]
    found = attention_maps(made.model, rows, "pooled", CPU)[0]
    np.testing.assert_allclose(found, np.mean(own, axis=0), atol=1e-8)


def localisation(name: str, kind: AttentionMap) -> float:
    """Return how often a base of the motif has more weight than another base of its row."""
    made, task = model(name), planted_task()
    rows = np.arange(1, 81, 2)
    sequences = [task.test.sequences[row] for row in rows]
    maps = attention_maps(made.model, reading(made, *sequences), kind, CPU)
    starts, chances = planted_starts(), []
    for row, scores in zip(rows.tolist(), maps, strict=True):
        inside = np.zeros(ROW_BP, dtype=np.bool_)
        inside[starts[row] : starts[row] + len(PLANTED)] = True
        ranks = rankdata(scores)[inside].sum()
        most = inside.sum() * (~inside).sum()
        chances.append((ranks - inside.sum() * (inside.sum() + 1) / 2) / most)
    return float(np.mean(chances))


@pytest.mark.parametrize("name", ["kmer4", "bpe"])
def test_attention_of_a_trained_model_stands_on_the_motif(name: str) -> None:
    assert localisation(name, "rollout") > 0.9
