"""The baselines against naive counts, and bits per base against a loop over bases."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_ranks import Stand
from training_world import Shape, World

from gfmp.feed.batch import TokenBatch
from gfmp.feed.heldout import HeldOut
from gfmp.feed.unigram import training_windows
from gfmp.genome.sample import sample_sequences
from gfmp.training.baselines import ORDERS, UNIGRAM_WINDOWS, Baselines
from gfmp.training.batches import SoftmaxRows, count_targets, target_vocabulary, to_tensors
from gfmp.training.evaluate import Evaluator, mean_loss
from gfmp.training.processes import Group
from gfmp.training.scores import BITS, HIDDEN, NATS, TargetScores, bases_at
from gfmp.vocabulary.vocabulary import FIRST_WORD

CPU = torch.device("cpu")
KMER = 0


@pytest.fixture(scope="module")
def stand(world: World, group: Group) -> Stand:
    return Stand(world, world.plan(Shape()), group)


@pytest.fixture(scope="module")
def fitted(stand: Stand) -> Baselines:
    return Baselines.fit(stand.plan.what.feed, stand.world.corpus, stand.world.ensemble)


@pytest.mark.parametrize("vocabulary", [0, 1])
def test_unigram_nats_are_those_of_counted_tokens(
    stand: Stand, fitted: Baselines, vocabulary: int
) -> None:
    world = stand.world
    windows = training_windows(stand.plan.what.feed, world.corpus, world.ensemble, world.tokenizers)
    counts: Counter[str] = Counter()
    for first in range(0, UNIGRAM_WINDOWS, 512):
        _, content = windows.read(vocabulary, first, 512)
        counts.update(world.ensemble.tokens[row] for row in content.ids.tolist())
    words = world.ensemble.vocabularies[vocabulary].words
    total = sum(counts[word] + 1 for word in words)
    nats = dict(zip(world.ensemble.tokens, fitted.unigram_nats[vocabulary], strict=True))
    for word in words:
        assert nats.pop(word) == pytest.approx(-math.log((counts[word] + 1) / total))
    assert np.isnan(list(nats.values())).all(), "rows it never predicts have no number"


def complement(bases: str) -> str:
    return bases.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def test_markov_tables_are_those_of_counted_words(world: World, fitted: Baselines) -> None:
    assert tuple(model.order for model in fitted.markov) == ORDERS
    chunks = [c.decode().upper() for c in sample_sequences(world.corpus, 10**8, 10_000, 0)]
    strands = [*chunks, *map(complement, chunks)]
    for model in fitted.markov:
        for k, table in enumerate(model.tables):
            counts = Counter(s[i : i + k + 1] for s in strands for i in range(len(s) - k))
            assert sum(counts.values()) == sum(len(s) - k for s in strands)
            for row, context in enumerate(itertools.product("ACGT", repeat=k)):
                seen = [counts["".join(context) + base] + 1 for base in "ACGT"]
                np.testing.assert_allclose(table[row], np.array(seen) / sum(seen), rtol=1e-12)


def test_a_longer_memory_costs_fewer_bits_on_a_chain(world: World, fitted: Baselines) -> None:
    sequences = sample_sequences(world.corpus, 10**6, 10_000, 0, "valid")
    order0, order5 = (
        np.concatenate([model.bits(s) for s in sequences]).mean() for model in fitted.markov
    )
    assert order5 < order0 - 0.1, "the small world is a first-order chain"
    assert order0 < 2.0


WORDS = ["".join(letters) for letters in itertools.product("ACGT", repeat=2)]


def readout(targets: list[int], offsets: list[int], letters: str) -> TargetScores:
    """Return a readout over all 2-mers; its table is written out letter by letter."""
    table = torch.zeros(len(WORDS), 8)
    for row, word in enumerate(WORDS):
        for place, letter in enumerate(word):
            table[row, place * 4 + "ACGT".index(letter)] = 1.0
    cells = [offset * 4 + "ACGT".index(b) for offset, b in zip(offsets, letters, strict=True)]
    whole = torch.int64
    return TargetScores(torch.tensor(targets, dtype=whole), torch.tensor(cells, dtype=whole), table)


@settings(deadline=None, max_examples=30)
@given(
    labels=st.lists(st.integers(0, 15), min_size=1, max_size=5),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_marginal_bits_are_those_of_a_loop_over_bases(
    labels: list[int], seed: int, data: st.DataObject
) -> None:
    hidden = data.draw(st.lists(st.tuples(st.integers(0, len(labels) - 1), st.integers(0, 1))))
    letters = "".join(WORDS[labels[target]][offset] for target, offset in hidden)
    score = readout([t for t, _ in hidden], [o for _, o in hidden], letters)
    logits = torch.randn(len(labels), 16, generator=torch.Generator().manual_seed(seed)) * 3
    found = score(logits, torch.tensor(labels)).tolist()
    assert len(found) == 2 * len(labels) + len(hidden)
    chances = logits.double().softmax(1).tolist()
    for target, label in enumerate(labels):
        assert found[target] == pytest.approx(-math.log(chances[target][label]), abs=1e-4)
        assert found[len(labels) + target] == (max(chances[target]) == chances[target][label])
    for (target, offset), bits, letter in zip(
        hidden, found[2 * len(labels) :], letters, strict=True
    ):
        alike = [c for c, w in zip(chances[target], WORDS, strict=True) if w[offset] == letter]
        assert bits == pytest.approx(-math.log2(sum(alike)), abs=1e-4)
        # A base is never harder to tell than the whole word around it.
        assert bits <= found[target] / math.log(2) + 1e-4


def test_knowing_nothing_costs_two_bits_and_knowing_all_costs_none() -> None:
    labels = torch.tensor([3, 8])
    score = readout([0, 0, 1], [0, 1, 1], WORDS[3] + WORDS[8][1])
    assert score(torch.zeros(2, 16), labels)[4:].tolist() == pytest.approx([2.0, 2.0, 2.0])
    certain = torch.full((2, 16), -50.0)
    certain[torch.arange(2), labels] = 50.0
    assert score(certain, labels).tolist() == pytest.approx([0, 0, 1, 1, 0, 0, 0], abs=1e-6)


def test_no_targets_give_an_empty_vector() -> None:
    found = readout([], [], "")(torch.zeros(0, 16), torch.zeros(0, dtype=torch.int64))
    assert found.shape == (0,)


def test_over_the_union_specials_and_other_words_count_by_their_letters(stand: Stand) -> None:
    ensemble, feed = stand.world.ensemble, stand.plan.what.feed
    softmax = SoftmaxRows.of(ensemble, feed.masking.model_copy(update={"scope": "union"}))
    table = bases_at(ensemble, softmax.rows[KMER])
    longest = max(map(len, ensemble.tokens[FIRST_WORD + 2 :]))
    assert table.shape == (ensemble.size, 4 * longest)
    for row, token in enumerate(ensemble.tokens):
        spelled = "" if token.startswith("[") else token
        cells = {place * 4 + "ACGT".index(letter) for place, letter in enumerate(spelled)}
        assert set(np.flatnonzero(table[row])) == cells, token


@pytest.mark.parametrize("scope", ["own", "union"])
def test_rows_and_places_are_inverse(stand: Stand, scope: str) -> None:
    masking = stand.plan.what.feed.masking.model_copy(update={"scope": scope})
    softmax = SoftmaxRows.of(stand.world.ensemble, masking)
    for rows, places in zip(softmax.rows, softmax.places, strict=True):
        assert np.array_equal(places[rows], np.arange(len(rows)))
        assert set(np.flatnonzero(places < 0)) == set(range(len(places))) - set(rows.tolist())
    softmax.tensors()[0].zero_()
    assert softmax.rows[0].any(), "tensors are copies"


def synthetic(rows: list[tuple[int, int]], softmax: SoftmaxRows, seed: int) -> TokenBatch:
    """Make a batch of (vocabulary, tokens) rows; about half of the tokens are targets."""
    generator = np.random.default_rng(seed)
    ends = np.cumsum([0, *(length for _, length in rows)]).astype(np.int32)
    positions = np.flatnonzero(generator.random(ends[-1]) < 0.5).astype(np.int32)
    owners = [max(r for r in range(len(rows)) if ends[r] <= place) for place in positions]
    labels = [generator.choice(softmax.rows[rows[owner][0]]) for owner in owners]
    return TokenBatch(
        step=0,
        micro=0,
        ids=generator.integers(0, 80, ends[-1]).astype(np.uint16),
        cu_seqlens=ends,
        vocabulary=np.array([vocabulary for vocabulary, _ in rows], dtype=np.int16),
        positions=positions,
        labels=np.array(labels, dtype=np.uint16),
        samples=np.arange(len(rows)),
        digests=generator.integers(0, 2**64, len(rows), dtype=np.uint64),
    )


@settings(deadline=None, max_examples=25)
@given(
    rows=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9)), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_targets_are_grouped_as_a_loop_would(
    world: World, rows: list[tuple[int, int]], seed: int
) -> None:
    softmax = SoftmaxRows.of(world.ensemble, world.plan(Shape()).what.feed.masking)
    batch = synthetic(rows, softmax, seed)
    tokens = to_tensors(batch, softmax, CPU)
    grouped: list[list[tuple[int, int]]] = [[], []]
    for position, label in zip(batch.positions.tolist(), batch.labels.tolist(), strict=True):
        owner = max(r for r in range(len(rows)) if batch.cu_seqlens[r] <= position)
        vocabulary = rows[owner][0]
        grouped[vocabulary].append((position, softmax.rows[vocabulary].tolist().index(label)))
    flat = [pair for group in grouped for pair in group]
    assert list(zip(tokens.positions_M.tolist(), tokens.labels_M.tolist(), strict=True)) == flat
    assert tokens.counts == tuple(map(len, grouped))
    assert count_targets(batch, 2).tolist() == list(map(len, grouped))
    assert len(target_vocabulary(batch)) == len(batch.positions)
    assert tokens.packing.lengths == tuple(length for _, length in rows)
    assert tokens.ids_T.dtype == tokens.labels_M.dtype == torch.int64


def test_baselines_leave_the_model_s_columns_alone(stand: Stand, fitted: Baselines) -> None:
    world = stand.world
    held = HeldOut(stand.plan.what.feed, world.corpus, world.ensemble, world.tokenizers)
    evaluator = Evaluator(stand.build(), stand.softmax, world.ensemble, held, stand.group)
    alone, beside = (evaluator.table(KMER, 17, which) for which in (None, fitted))
    assert np.array_equal(beside[:, : HIDDEN + 1], alone[:, : HIDDEN + 1])
    assert not alone[:, HIDDEN + 1 :].any()
    assert (beside[:, HIDDEN + 1 :] > 0).all()
    short = evaluator.short(17)
    assert short["heldout/kmer3/loss"] == pytest.approx(alone[:, NATS].sum() / alone[:, 1].sum())
    assert short["heldout/kmer3/bits_per_base"] == pytest.approx(
        alone[:, BITS].sum() / alone[:, HIDDEN].sum()
    )
    assert mean_loss(short) == pytest.approx(
        (short["heldout/kmer3/loss"] + short["heldout/bpe64/loss"]) / 2
    )
    other = replace(stand.plan.what.feed, seed=99)
    moved = HeldOut(other, world.corpus, world.ensemble, world.tokenizers)
    assert not np.array_equal(replace(evaluator, heldout=moved).table(KMER, 17, None), alone)
