from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from training_ranks import Stand
from training_world import World

from gfmp.feed.heldout import HeldOut, HeldOutBatch
from gfmp.training.baselines import Baselines, unigram_nats
from gfmp.training.batches import to_tensors
from gfmp.training.evaluate import Evaluator, mean_loss, summary
from gfmp.training.processes import Group
from gfmp.training.scores import (
    BITS,
    CORRECT,
    HIDDEN,
    NATS,
    ORDER0,
    ORDER5,
    TARGETS,
    UNIGRAM,
    Scorer,
    baseline_columns,
    bases_at,
)

KMER, BPE = 0, 1


@pytest.fixture(scope="module")
def stand(world: World, group: Group) -> Stand:
    return Stand.of(world, "ddp", group)


@pytest.fixture(scope="module")
def evaluator(stand: Stand) -> Evaluator:
    world = stand.world
    held = HeldOut(stand.plan.what.feed, world.corpus, world.ensemble, world.tokenizers)
    return Evaluator(stand.build(), stand.softmax, world.ensemble, held, stand.group)


@pytest.fixture(scope="module")
def baselines(stand: Stand) -> Baselines:
    return Baselines.fit(stand.plan.what.feed, stand.world.corpus, stand.world.ensemble)


def probabilities(evaluator: Evaluator, held: HeldOutBatch, vocabulary: int) -> list[list[float]]:
    """Return the model's probability of every word at every target."""
    tokens = to_tensors(held.batch, evaluator.softmax, torch.device("cpu"))
    logits = evaluator.engine.score(tokens, lambda scores, _labels: scores)[vocabulary]
    found: list[list[float]] = logits.double().softmax(1).tolist()
    return found


def by_hand(evaluator: Evaluator, held: HeldOutBatch, vocabulary: int) -> np.ndarray:
    """Score window by window, target by target, base by base."""
    ensemble = evaluator.ensemble
    words = [ensemble.tokens[row] for row in evaluator.softmax.rows[vocabulary]]
    chances = probabilities(evaluator, held, vocabulary)
    table = np.zeros((len(held.batch.samples), 5))
    nats = []
    for target, row in enumerate(held.rows):
        label = words.index(ensemble.tokens[held.batch.labels[target]])
        nats.append(-math.log(chances[target][label]))
        best = max(range(len(words)), key=chances[target].__getitem__)
        table[row] += (nats[-1], 1, best == label, 0, 0)
    for row, base, target, offset in zip(
        held.hidden_rows, held.hidden_bases, held.hidden_targets, held.hidden_offsets, strict=True
    ):
        letter = chr(held.sequences[row][base])
        if ensemble.vocabularies[vocabulary].overlapping:
            marginal = sum(
                chance
                for chance, word in zip(chances[target], words, strict=True)
                if word[offset] == letter
            )
            bits = -math.log2(marginal)
        else:
            bits = nats[target] / held.lengths[target] / math.log(2)
        table[row] += (0, 0, 0, bits, 1)
    return table


@pytest.mark.parametrize("vocabulary", [KMER, BPE])
def test_scores_equal_those_by_hand(evaluator: Evaluator, stand: Stand, vocabulary: int) -> None:
    held = evaluator.heldout.batch(vocabulary, 0, 5)
    device = torch.device("cpu")
    scorer = Scorer(evaluator.engine, stand.softmax, evaluator.ensemble, vocabulary, device)
    table = scorer.score(held)
    found = table[:, [NATS, TARGETS, CORRECT, BITS, HIDDEN]]
    np.testing.assert_allclose(found, by_hand(evaluator, held, vocabulary), rtol=1e-4, atol=1e-5)
    assert not table[:, [UNIGRAM, ORDER0, ORDER5]].any()


@pytest.mark.parametrize("vocabulary", [KMER, BPE])
def test_the_letters_scored_are_those_of_the_targets(evaluator: Evaluator, vocabulary: int) -> None:
    held = evaluator.heldout.batch(vocabulary, 0, 8)
    assert len(held.hidden_rows) > 20
    for row, base, target, offset in zip(
        held.hidden_rows, held.hidden_bases, held.hidden_targets, held.hidden_offsets, strict=True
    ):
        word = evaluator.ensemble.tokens[held.batch.labels[target]]
        assert word[offset] == chr(held.sequences[row][base])


def test_marginals_of_one_place_sum_to_one(evaluator: Evaluator) -> None:
    rows = evaluator.softmax.rows[KMER]
    table = bases_at(evaluator.ensemble, rows).reshape(len(rows), 3, 4)
    assert (table.sum(axis=2) == 1).all()
    for row, places in zip(rows, table, strict=True):
        assert "".join("ACGT"[int(p.argmax())] for p in places) == evaluator.ensemble.tokens[row]


def test_specials_have_no_bases(evaluator: Evaluator) -> None:
    everything = np.arange(evaluator.ensemble.size)
    table = bases_at(evaluator.ensemble, everything)
    assert not table[: 5 + len(evaluator.ensemble.vocabularies)].any()
    assert table[-1].sum() == len(evaluator.ensemble.tokens[-1])


@pytest.mark.parametrize("vocabulary", [KMER, BPE])
def test_baselines_are_scored_on_the_same_targets_and_bases(
    evaluator: Evaluator, baselines: Baselines, vocabulary: int
) -> None:
    held = evaluator.heldout.batch(vocabulary, 0, 5)
    table = baseline_columns(held, vocabulary, baselines)
    expected = np.zeros((5, 3))
    for row, label in zip(held.rows, held.batch.labels, strict=True):
        expected[row, 0] += baselines.unigram_nats[vocabulary, label]
    for row, base in zip(held.hidden_rows, held.hidden_bases, strict=True):
        for place, model in enumerate(baselines.markov):
            expected[row, 1 + place] += model.bits(held.sequences[row])[base]
    np.testing.assert_allclose(table[:, [UNIGRAM, ORDER0, ORDER5]], expected)
    assert np.isfinite(table).all()


def test_unigram_probabilities_are_smoothed_and_sum_to_one(baselines: Baselines) -> None:
    assert unigram_nats(np.array([0, 1, 3])).tolist() == pytest.approx(
        [-math.log(1 / 7), -math.log(2 / 7), -math.log(4 / 7)]
    )
    for nats in baselines.unigram_nats:
        assert np.exp(-nats[~np.isnan(nats)]).sum() == pytest.approx(1.0)


def test_a_window_scores_the_same_whoever_scores_it(evaluator: Evaluator) -> None:
    whole = evaluator.table(KMER, 35, None)
    assert whole.shape == (35, 8)
    np.testing.assert_allclose(evaluator.table(KMER, 20, None), whole[:20], rtol=1e-5)
    single = evaluator.heldout.batch(KMER, 33, 1)
    scorer = Scorer(
        evaluator.engine, evaluator.softmax, evaluator.ensemble, KMER, torch.device("cpu")
    )
    np.testing.assert_allclose(scorer.score(single)[0], whole[33], rtol=1e-5)


def test_summary_divides_by_targets_and_bases() -> None:
    table = np.zeros((2, 8))
    table[:, NATS], table[:, TARGETS], table[:, CORRECT] = (6.0, 2.0), (3, 1), (2, 0)
    table[:, BITS], table[:, HIDDEN] = (8.0, 1.0), (5, 1)
    fields = summary("k", table)
    assert fields == {
        "heldout/k/loss": 2.0,
        "heldout/k/accuracy": 0.5,
        "heldout/k/bits_per_base": 1.5,
    }
    assert mean_loss({**fields, "heldout/b/loss": 4.0}) == 3.0
