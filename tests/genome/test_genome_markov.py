"""Background models: probabilities, contexts and what an N does to them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from genome_samples import Build, WriteFasta, local, random_dna

from gfmp.genome.corpus import Corpus
from gfmp.genome.markov import MarkovModel
from gfmp.genome.sources import IngestSettings


def naive_bits(model: MarkovModel, sequence: str) -> list[float]:
    """Look up one base after the other, as the definition says."""
    result = []
    for i, letter in enumerate(sequence.upper()):
        known = 0
        while known < min(model.order, i) and sequence[i - known - 1] in "ACGTacgt":
            known += 1
        context = 0
        for c in sequence.upper()[i - known : i]:
            context = context * 4 + "ACGT".index(c)
        p = model.tables[known][context, "ACGT".index(letter)] if letter in "ACGT" else math.nan
        result.append(-math.log2(p))
    return result


@pytest.mark.parametrize("order", [0, 1, 3, 5])
def test_bits_are_what_the_definition_says(corpus: Corpus, order: int) -> None:
    model = MarkovModel.fit(corpus, order)
    for sequence in (random_dna(200, 8), "NNACGTNacgtACGNNNTTTTTTTTN", "A", "N", ""):
        got = model.bits(sequence.encode())
        np.testing.assert_allclose(got, naive_bits(model, sequence), rtol=1e-12)


def test_tables_are_probabilities_and_strand_symmetric(corpus: Corpus) -> None:
    model = MarkovModel.fit(corpus, 2)
    for k, table in enumerate(model.tables):
        assert table.shape == (4**k, 4)
        np.testing.assert_allclose(table.sum(axis=1), 1)
    a, c, g, t = model.tables[0][0]
    assert (a, c) == (pytest.approx(t), pytest.approx(g))


def test_random_dna_costs_two_bits_and_repeats_less(
    write_fasta: WriteFasta, build: Build, corpus: Corpus
) -> None:
    held_out = random_dna(5_000, 99).encode()
    assert MarkovModel.fit(corpus, 0).bits(held_out).mean() == pytest.approx(2, abs=0.01)
    repeat = local(write_fasta("r.fa", ("r", "AACCGGTT" * 500)))
    repeats = build(IngestSettings("r", sources=(repeat,)))
    assert MarkovModel.fit(repeats, 5).bits(b"AACCGGTT" * 9)[5:].mean() < 0.1


def test_fitting_on_fewer_bases_is_repeatable(corpus: Corpus) -> None:
    one, two = (MarkovModel.fit(corpus, 3, max_bp=5_000) for _ in range(2))
    whole = MarkovModel.fit(corpus, 3)
    np.testing.assert_array_equal(one.tables[3], two.tables[3])
    assert not np.array_equal(one.tables[3], whole.tables[3])


def test_soft_masked_letters_count_like_others(tmp_path: Path, corpus: Corpus) -> None:
    model = MarkovModel.fit(corpus, 5)
    text = random_dna(300, 4).encode()
    np.testing.assert_array_equal(model.bits(text), model.bits(text.lower()))
