from __future__ import annotations

from dataclasses import replace

import pytest
from plan_examples import BPE, GIB, KMER, NODE, known

from gfmp.plan.facts import Machine, VocabularyFacts
from gfmp.vocabulary.vocabulary import LengthLaw, Vocabulary


def _vocabulary(stride_bp: int, words: tuple[str, ...]) -> Vocabulary:
    return Vocabulary(
        name="v",
        family="f",
        words=words,
        stride_bp=stride_bp,
        mask_span_tokens=4,
        window=LengthLaw(10, 20, 0.5),
        shortest_bp=3,
        bp_per_token=1.7,
        payload={},
    )


def test_facts_of_overlapping_words_use_the_stride_and_the_word_length() -> None:
    facts = VocabularyFacts.of(_vocabulary(1, ("AAA", "CCC")))
    assert (facts.bp_per_token, facts.word_bp, facts.words_per_base) == (1.0, 3, 3.0)
    assert facts.rows_low == facts.rows_high == 7 and facts.built


def test_facts_of_separate_words_use_their_mean_length() -> None:
    facts = VocabularyFacts.of(_vocabulary(0, ("A", "CC", "GGG")))
    assert (facts.bp_per_token, facts.word_bp, facts.words_per_base) == (1.7, 0, 1.0)


def test_overlapping_facts_without_a_word_length_are_refused() -> None:
    with pytest.raises(AssertionError, match="word_bp"):
        replace(KMER, word_bp=0)
    with pytest.raises(AssertionError, match="word_bp"):
        replace(BPE, word_bp=6)


def test_row_bounds_must_be_in_order() -> None:
    with pytest.raises(AssertionError, match="bounds"):
        replace(BPE, rows_low=5000)
    with pytest.raises(AssertionError, match="bounds"):
        known(ensemble_fingerprint="", ensemble_rows=(10, 9))
    with pytest.raises(AssertionError, match="one number of rows"):
        known(ensemble_rows=(7000, 7266))


def test_facts_are_found_by_name_and_only_once() -> None:
    assert known().facts_of("kmer6") is KMER
    with pytest.raises(AssertionError, match="0 facts"):
        known().facts_of("kmer5")
    with pytest.raises(AssertionError, match="2 facts"):
        known(vocabularies=(BPE, BPE)).facts_of("bpe4096")


def test_a_rank_has_its_gpu_or_its_share_of_main_memory() -> None:
    assert NODE.rank_bytes(8, use_gpu=True) == 139 * GIB
    assert NODE.rank_bytes(8, use_gpu=False) == 128 * GIB
    with pytest.raises(AssertionError, match="cores"):
        Machine(cpu_cores=0, memory_bytes=GIB, gpus=0, gpu_memory_bytes=0)
