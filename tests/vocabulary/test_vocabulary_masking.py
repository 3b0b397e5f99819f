"""The copy oracle: full spans hide everything, independent masks hide next to nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gfmp.vocabulary.masking import (
    account,
    copy_oracle,
    hidden_bases,
    shown_bases,
)
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.tokenizer import Encoded
from gfmp.vocabulary.vocabulary import Vocabulary


def encode(families: FamilyRegistry, vocabulary: Vocabulary, *sequences: bytes) -> Encoded:
    return families.tokenizer(vocabulary).encode(sequences)


def random_dna(length: int, seed: int) -> bytes:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    return letters[np.random.default_rng(seed).integers(0, 4, length)].tobytes()


def spans(length: int, span: int, firsts: list[int]) -> NDArray[np.bool_]:
    masked = np.zeros(length, dtype=np.bool_)
    for first in firsts:
        masked[first : first + span] = True
    return masked


@settings(deadline=None, max_examples=60)
@given(span=st.integers(6, 20), gap=st.integers(1, 30), first=st.integers(0, 40))
def test_spans_of_six_or_more_give_nothing_away(
    families: FamilyRegistry, built: dict[str, Vocabulary], span: int, gap: int, first: int
) -> None:
    encoded = encode(families, built["kmer6"], random_dna(300, span))
    firsts = [first, first + span + gap]
    masked = spans(len(encoded.ids), span, firsts)
    assert masked.sum() == 2 * span
    assert not copy_oracle(encoded, masked, built["kmer6"]).any()


def test_independent_masks_are_read_off_the_neighbours(
    families: FamilyRegistry, built: dict[str, Vocabulary]
) -> None:
    encoded = encode(families, built["kmer6"], *(random_dna(510, i) for i in range(50)))
    masked = np.random.default_rng(0).random(len(encoded.ids)) < 0.15
    recovered = copy_oracle(encoded, masked, built["kmer6"])
    assert recovered[~masked].sum() == 0
    assert recovered.sum() / masked.sum() > 0.97


def test_spans_of_five_are_recovered_whole(
    families: FamilyRegistry, built: dict[str, Vocabulary]
) -> None:
    encoded = encode(families, built["kmer6"], random_dna(200, 1))
    masked = spans(len(encoded.ids), 5, [20, 60])
    assert np.array_equal(copy_oracle(encoded, masked, built["kmer6"]), masked)
    assert hidden_bases(encoded, masked).tolist() == [0]


@pytest.mark.parametrize("name", ["kmer3s3", "nucleotide", "bpe64"])
def test_tokens_that_do_not_overlap_give_nothing_away(
    families: FamilyRegistry, built: dict[str, Vocabulary], name: str
) -> None:
    encoded = encode(families, built[name], random_dna(200, 1))
    masked = np.random.default_rng(0).random(len(encoded.ids)) < 0.5
    assert not copy_oracle(encoded, masked, built[name]).any()
    hidden = (encoded.ends - encoded.starts)[masked].sum()
    assert hidden_bases(encoded, masked).tolist() == [hidden]


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_the_oracle_agrees_with_copying_by_hand(
    families: FamilyRegistry, built: dict[str, Vocabulary], data: st.DataObject
) -> None:
    texts = data.draw(st.lists(st.text("ACGTN", min_size=3, max_size=25), min_size=1, max_size=3))
    encoded = encode(families, built["kmer3"], *(t.encode() for t in texts))
    flags = data.draw(st.lists(st.booleans(), min_size=len(encoded.ids), max_size=len(encoded.ids)))
    masked = np.array(flags, dtype=np.bool_)
    expected = []
    tokens = list(zip(encoded.rows, encoded.starts, encoded.ends, encoded.ids, flags, strict=True))
    for row, start, end, word, flag in tokens:
        seen = {
            base
            for other, first, last, known, hidden in tokens
            if other == row and known >= 5 and not hidden
            for base in range(first, last)
        }
        expected.append(bool(flag and word >= 5 and set(range(start, end)) <= seen))
    assert copy_oracle(encoded, masked, built["kmer3"]).tolist() == expected


@pytest.mark.parametrize("name", ["kmer6", "kmer3"])
def test_hidden_bases_match_the_formula(
    families: FamilyRegistry, built: dict[str, Vocabulary], name: str
) -> None:
    vocabulary = built[name]
    encoded = encode(families, vocabulary, random_dna(100, 3), random_dna(120, 4))
    for span in range(1, 20):
        masked = spans(len(encoded.ids), span, [40])
        assert hidden_bases(encoded, masked).tolist() == [vocabulary.hidden_bp(span), 0]


def test_a_visible_unknown_window_shows_nothing(
    families: FamilyRegistry, built: dict[str, Vocabulary]
) -> None:
    encoded = encode(families, built["kmer3"], b"ACGTNACGT")
    nothing = np.zeros(len(encoded.ids), dtype=np.bool_)
    shown, origins = shown_bases(encoded, nothing)
    assert shown.tolist() == [True] * 4 + [False] + [True] * 4
    assert origins.tolist() == [0, 9]
    assert hidden_bases(encoded, ~nothing).tolist() == [8]


def test_account_of_short_and_long_spans(built: dict[str, Vocabulary]) -> None:
    assert account(built["kmer6"], 5).leaks
    assert account(built["kmer6"], 14).hidden_bp == 9
    for vocabulary in built.values():
        assert not account(vocabulary, vocabulary.mask_span_tokens).leaks
