"""The parts tokenizers share: packing, folding, offsets, decoding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import DataError, VocabularyError
from gfmp.vocabulary.tokenizer import is_word, join_words, pack, speaking_ids, tiled, upper_dna
from gfmp.vocabulary.vocabulary import CLS, MASK, PAD, SEP, UNK, LengthLaw, Vocabulary

TOY = Vocabulary(
    name="toy",
    family="toy",
    words=("A", "C", "G", "T", "ACG"),
    stride_bp=0,
    mask_span_tokens=1,
    window=LengthLaw(1, 10, 0.5),
    shortest_bp=1,
    bp_per_token=1.0,
    payload={},
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5))
def test_pack_lays_sequences_end_to_end(sequences: list[bytes]) -> None:
    packed = pack(sequences, 1)
    assert packed.offsets.tolist() == np.cumsum([0, *map(len, sequences)]).tolist()
    expected = [
        max("ACGT".find(chr(b).upper() if b < 128 else "?"), -1) for s in sequences for b in s
    ]
    assert packed.codes.tolist() == [4 if code < 0 else code for code in expected]


def test_a_short_sequence_is_named() -> None:
    with pytest.raises(DataError, match="has 2 bases") as caught:
        pack([b"ACGT", b"AC"], 3)
    assert caught.value.problems[0].where == "sequence 1 of 2"


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=60))
def test_upper_dna_holds_five_letters(text: bytes) -> None:
    folded = upper_dna(text)
    assert len(folded) == len(text)
    assert set(folded) <= set("ACGTN")
    assert upper_dna(folded.encode()) == folded


def test_upper_dna_folds_case() -> None:
    assert upper_dna(b"acgtACGTn[U") == "ACGTACGTNNN"


def test_specials_that_say_nothing_are_left_out() -> None:
    ids = np.array([CLS, 5, UNK, MASK, 9, SEP, PAD], dtype=np.int32)
    assert speaking_ids(TOY, ids).tolist() == [5, UNK, MASK, 9]
    assert join_words(TOY, ids) == b"ANNACG"
    assert is_word(ids).tolist() == [False, True, False, False, True, False, False]


@pytest.mark.parametrize("bad", [-1, 10, 4096])
def test_foreign_ids_are_refused(bad: int) -> None:
    with pytest.raises(VocabularyError, match=f"{bad} is not an id") as caught:
        join_words(TOY, np.array([5, bad], dtype=np.int32))
    assert caught.value.problems[0].where == "token 1"


def test_tiled_gives_each_sequence_its_own_offsets() -> None:
    encoded = tiled(np.array([9, 5, UNK, 8], dtype=np.int32), pack([b"ACGA", b"NT"], 1), TOY)
    assert encoded.starts.tolist() == [0, 3, 0, 1]
    assert encoded.ends.tolist() == [3, 4, 1, 2]
    assert encoded.cu_tokens.tolist() == [0, 2, 4]
    assert encoded.rows.tolist() == [0, 0, 1, 1]
    assert encoded.num_sequences == 2


def test_tiled_asserts_that_tokens_cover_the_sequences() -> None:
    with pytest.raises(AssertionError, match="tile"):
        tiled(np.array([5], dtype=np.int32), pack([b"ACGA"], 1), TOY)
