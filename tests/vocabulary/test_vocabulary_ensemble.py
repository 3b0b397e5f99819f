"""One id space: a token string has one row, whichever vocabulary produced it."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import VocabularyError
from gfmp.vocabulary.ensemble import Ensemble, union_bounds
from gfmp.vocabulary.vocabulary import FIRST_WORD, SPECIALS, LengthLaw, Vocabulary

WORD = st.text("ACGT", min_size=1, max_size=4)


def make(name: str, words: list[str]) -> Vocabulary:
    return Vocabulary(
        name=name,
        family="any",
        words=tuple(words),
        stride_bp=0,
        mask_span_tokens=1,
        window=LengthLaw(1, 10, 0.5),
        shortest_bp=1,
        bp_per_token=1.0,
        payload={},
    )


VOCABULARIES = st.lists(
    st.lists(WORD, min_size=1, max_size=20, unique=True), min_size=1, max_size=4
).map(lambda lists: [make(f"v{i}", words) for i, words in enumerate(lists)])


@settings(deadline=None, max_examples=100)
@given(VOCABULARIES)
def test_a_token_string_has_exactly_one_row(vocabularies: list[Vocabulary]) -> None:
    ensemble = Ensemble.of(vocabularies)
    assert len(set(ensemble.tokens)) == ensemble.size
    for i, vocabulary in enumerate(vocabularies):
        rows = ensemble.rows(i).tolist()
        texts = [*SPECIALS, *vocabulary.words]
        assert [ensemble.tokens[row] for row in rows] == texts
        assert len(set(rows)) == vocabulary.size
        assert ensemble.word_rows(i).tolist() == rows[FIRST_WORD:]
        assert ensemble.tokens[ensemble.prompt(i)] == f"[PROMPT:{vocabulary.name}]"


@settings(deadline=None, max_examples=100)
@given(VOCABULARIES)
def test_every_row_is_a_special_a_prompt_or_somebodys_word(vocabularies: list[Vocabulary]) -> None:
    ensemble = Ensemble.of(vocabularies)
    first_word = FIRST_WORD + len(vocabularies)
    used = {row for i in range(len(vocabularies)) for row in ensemble.word_rows(i).tolist()}
    assert used == set(range(first_word, ensemble.size))
    low, high = union_bounds([(v.size, v.size) for v in vocabularies])
    assert low <= ensemble.size <= high


@settings(deadline=None, max_examples=30)
@given(VOCABULARIES)
def test_json_and_pickle_round_trip(vocabularies: list[Vocabulary]) -> None:
    ensemble = Ensemble.of(vocabularies)
    again = Ensemble.from_json(json.loads(json.dumps(ensemble.to_json())))
    assert again == ensemble == pickle.loads(pickle.dumps(ensemble))
    assert again.fingerprint == ensemble.fingerprint
    assert ensemble.difference(again) == ""


def test_the_papers_sizes_give_7266_rows(built: dict[str, Vocabulary]) -> None:
    kmer6 = built["kmer6"]
    longer = [a + b for a in kmer6.words for b in ("A",)]
    bpe = make("bpe4096", [*kmer6.words[:928], *longer[: 4091 - 928]])
    assert (bpe.size, kmer6.size) == (4096, 4101)
    ensemble = Ensemble.of([bpe, kmer6])
    assert ensemble.size == 7266
    assert ensemble.tokens[:7] == (*SPECIALS, "[PROMPT:bpe4096]", "[PROMPT:kmer6]")
    assert union_bounds([(4096, 4096), (4101, 4101)]) == (4103, 8194)


def test_rows_cannot_be_changed() -> None:
    rows = Ensemble.of([make("a", ["A"])]).rows(0)
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 9


def test_none_and_twice_are_refused() -> None:
    with pytest.raises(VocabularyError, match="no vocabulary"):
        Ensemble.of([])
    with pytest.raises(VocabularyError, match="a, a"):
        Ensemble.of([make("a", ["A"]), make("a", ["C"])])


def test_foreign_tokens_are_refused() -> None:
    good = Ensemble.of([make("a", ["A", "C"])])
    with pytest.raises(VocabularyError, match="are not those of a"):
        Ensemble(good.vocabularies, good.tokens[::-1])
    with pytest.raises(VocabularyError) as caught:
        Ensemble.from_json({**good.to_json(), "vocabularies": [{"name": "a"}]}, "e.json")
    assert caught.value.problems[0].where.startswith("e.json:$.vocabularies[0]")


def test_prompt_counts_the_vocabularies() -> None:
    with pytest.raises(AssertionError):
        Ensemble.of([make("a", ["A"])]).prompt(1)


def test_differences_are_told_in_words() -> None:
    a, b = make("a", ["A", "C"]), make("b", ["C", "G"])
    both = Ensemble.of([a, b])
    text = both.difference(Ensemble.of([a]))
    assert "only the first has vocabulary 'b'" in text
    assert "[PROMPT:b], G" in text
    assert "the order is a, b here and b, a there" in both.difference(Ensemble.of([b, a]))
    assert "same tokens stand in other rows" in both.difference(Ensemble.of([b, a]))
    changed = Ensemble.of([a, replace(b, mask_span_tokens=2)])
    assert f"'b' is {b.fingerprint[:12]} here" in both.difference(changed)
    many = Ensemble.of([make("a", ["A", "C", "AA", "AC", "AG", "AT", "CA", "CC"])])
    assert "only in the second: AA, AC, AG, AT, CA and 1 more" in Ensemble.of([a]).difference(many)
