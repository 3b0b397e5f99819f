"""Every family's tokenizer.json gives, in the stock library, the ids that gfmp gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_samples import random_dna

from gfmp.inference.shipped.gfmp_network import spaced
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.stock import Stock, stock_of, tokenizer_json
from gfmp.vocabulary.vocabulary import BASES, CLS, SEP, Vocabulary

SAMPLE_BP = 10_000
NAMES = (
    "kmer3",
    "kmer4s2",
    "kmer3s3",
    "nucleotide",
    "codon",
    "motif",
    "bpe",
    "wordpiece",
    "unigram",
)
FAMILIES = FamilyRegistry.discover()


@cache
def vocabularies() -> tuple[Vocabulary, ...]:
    """One small vocabulary of every kind."""
    built = [FAMILIES.claims(name)[0] for name in NAMES[:5]]
    found = [FAMILIES.get(recipe.family).build(recipe, ()) for recipe in built]
    sample = [random_dna(SAMPLE_BP, 4).encode()]
    for name in NAMES[6:]:
        recipe = Recipe(name, name, {"size": 80}, sample_bp=SAMPLE_BP)
        found.append(FAMILIES.build(recipe, sample))
    fillers = tuple(map("".join, product(BASES, repeat=3)))
    words = ("ACGTA", "TTGAC", "TTGACA", "CCCC", *fillers, *BASES)
    payload = {"filler_k": 3, "profiles": 4, "jaspar": "2024 CORE"}
    motif = replace(found[3], name="motif", family="motif", words=words, payload=payload)
    return (*found[:5], motif, *found[5:])


@cache
def read(name: str, prompted: bool) -> tuple[tokenizers.Tokenizer, Stock]:
    ensemble = Ensemble.of(vocabularies())
    index = NAMES.index(name)
    stock = stock_of(vocabularies()[index], FAMILIES)
    body = tokenizer_json(ensemble, index, stock, prompted=prompted)
    return tokenizers.Tokenizer.from_str(json.dumps(body)), stock


def entry(name: str) -> dict[str, object]:
    """What config.json says of a vocabulary."""
    vocabulary, (_, stock) = vocabularies()[NAMES.index(name)], read(name, True)
    return {
        "name": name,
        "spacing": stock.spacing,
        "word_bp": vocabulary.word_bp,
        "stride_bp": vocabulary.stride_bp,
        "shortest_bp": vocabulary.shortest_bp,
    }


def ids_of(name: str, sequence: str) -> Sequence[int]:
    ensemble, index = Ensemble.of(vocabularies()), NAMES.index(name)
    encoded = FAMILIES.tokenizer(vocabularies()[index]).encode([sequence.encode("ascii")])
    return ensemble.rows(index)[encoded.ids].tolist()


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=60)
@given(sequence=st.text(alphabet="ACGTACGTACGTacgtNn", min_size=4, max_size=120))
def test_ids_are_ours(name: str, sequence: str) -> None:
    ensemble, index = Ensemble.of(vocabularies()), NAMES.index(name)
    theirs, _ = read(name, True)
    found = theirs.encode(spaced(sequence, entry(name))).ids
    assert found == [CLS, ensemble.prompt(index), *ids_of(name, sequence), SEP]


@pytest.mark.parametrize("name", NAMES)
def test_long_sequences_and_planted_words_are_read_alike(name: str) -> None:
    sequence = random_dna(3_000, 8) + "TTGACACCCCTTGACCCCCACGTA" * 4 + "TAATGCATGA" * 20
    found = read(name, True)[0].encode(spaced(sequence, entry(name))).ids
    assert found[2:-1] == ids_of(name, sequence)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_prompt_the_words_follow_the_first_special(name: str) -> None:
    found = read(name, False)[0].encode(spaced("ACGTTGCA", entry(name))).ids
    assert found == [CLS, *ids_of(name, "ACGTTGCA"), SEP]


@pytest.mark.parametrize("name", ["bpe", "unigram", "nucleotide", "wordpiece", "motif", "kmer3s3"])
def test_words_that_tile_decode_to_the_sequence(name: str) -> None:
    theirs, sequence = read(name, True)[0], random_dna(200, 3)
    assert theirs.decode(theirs.encode(sequence).ids) == sequence


def test_codons_that_gfmp_and_the_folder_choose_are_the_same_frame() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        sequence = "".join(rng.choice(list("ACGTN"), 90, p=[0.3, 0.2, 0.2, 0.27, 0.03]).tolist())
        words = spaced(sequence, entry("codon"))
        assert words.replace(" ", "") == sequence
        assert read("codon", True)[0].encode(words).ids[2:-1] == ids_of("codon", sequence)


def test_what_only_gfmp_cuts_is_refused_and_short_sequences_are_too() -> None:
    with pytest.raises(ValueError, match="only gfmp cuts"):
        spaced("ACGT", entry("bpe") | {"spacing": "words"})
    with pytest.raises(ValueError, match="kmer3 reads at least 3 bases"):
        spaced("AC", entry("kmer3"))
