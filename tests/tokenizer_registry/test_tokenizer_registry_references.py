"""Every family against a slow reading of its definition, one letter after the other."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import VocabularyError
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import FIRST_WORD, UNK, LengthLaw, Vocabulary
from tokenizer_registry.bpe import BpeFamily
from tokenizer_registry.kmer import KmerFamily

TEXT = st.text("ACGTNacgtn-", min_size=1, max_size=40)
BPE, KMER = BpeFamily(), KmerFamily()


def vocabulary_of(merges: Sequence[tuple[str, str]]) -> Vocabulary:
    """A BPE vocabulary with the four bases and the joints of `merges`, in their order."""
    words = dict.fromkeys(("A", "C", "G", "T", *(left + right for left, right in merges)))
    return Vocabulary(
        name="mine",
        family="bpe",
        words=tuple(words),
        stride_bp=0,
        mask_span_tokens=1,
        window=LengthLaw(1, 50, 0.5),
        shortest_bp=1,
        bp_per_token=1.0,
        payload={"merges": [" ".join(merge) for merge in merges]},
    )


@st.composite
def merge_lists(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Merges as training makes them: each half is a base or an earlier joint."""
    words = ["A", "C", "G", "T"]
    merges: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(0, 12))):
        pair = (draw(st.sampled_from(words)), draw(st.sampled_from(words)))
        if "".join(pair) not in words:
            merges.append(pair)
            words.append("".join(pair))
    return merges


def merge_by_rank(text: str, merges: Sequence[tuple[str, str]]) -> list[str]:
    """Apply the merges one rank after the other, each from left to right over the whole text."""
    parts = [letter if letter in "ACGT" else "N" for letter in text.upper()]
    while True:
        present = [merge for merge in merges if merge in itertools.pairwise(parts)]
        if not present:
            return parts
        left, right = present[0]
        joined: list[str] = []
        for part in parts:
            if joined and (joined[-1], part) == (left, right):
                joined[-1] = left + right
            else:
                joined.append(part)
        parts = joined


def spelled(tokenizer: Tokenizer, text: str) -> list[str]:
    encoded = tokenizer.encode([text.encode()])
    words = ("", "N", "", "", "", *tokenizer.vocabulary.words)
    assert encoded.ends[-1] == len(text)
    return [words[i] for i in encoded.ids.tolist()]


@given(merges=merge_lists(), text=TEXT)
@settings(deadline=None, max_examples=150)
def test_any_merge_list_is_applied_by_rank(merges: list[tuple[str, str]], text: str) -> None:
    tokenizer = BPE.tokenizer(vocabulary_of(merges))
    assert spelled(tokenizer, text) == merge_by_rank(text, merges)


@given(merges=merge_lists(), texts=st.lists(TEXT, min_size=1, max_size=4))
@settings(deadline=None, max_examples=50)
def test_a_batch_holds_what_its_sequences_hold(
    merges: list[tuple[str, str]], texts: list[str]
) -> None:
    tokenizer = BPE.tokenizer(vocabulary_of(merges))
    together = tokenizer.encode([text.encode() for text in texts])
    for row, text in enumerate(texts):
        part = slice(*together.cu_tokens[row : row + 2].tolist())
        alone = tokenizer.encode([text.encode()])
        assert together.ids[part].tolist() == alone.ids.tolist()
        assert together.starts[part].tolist() == alone.starts.tolist()
        assert together.ends[part].tolist() == alone.ends.tolist()


def naive_kmers(text: str, vocabulary: Vocabulary, k: int) -> list[tuple[int, int, int]]:
    """List (id, start, end) by the definition: every window, or word after word."""
    text = text.upper()
    ids = {word: FIRST_WORD + i for i, word in enumerate(vocabulary.words)}
    if vocabulary.overlapping:
        return [(ids.get(text[i : i + k], UNK), i, i + k) for i in range(len(text) - k + 1)]
    tokens, at = [], 0
    while at < len(text):
        step = k if text[at : at + k] in ids and len(text) - at >= k else 1
        tokens.append((ids.get(text[at : at + step], UNK), at, at + step))
        at += step
    return tokens


@functools.cache
def kmer_tokenizer(name: str) -> tuple[Tokenizer, int]:
    recipe = KMER.recipe(name)
    assert recipe is not None
    return KMER.tokenizer(KMER.build(recipe, ())), recipe.integer("k", 2, 8)


@pytest.mark.parametrize("name", ["kmer2", "kmer3", "kmer5", "kmer2s2", "kmer4s4"])
@given(texts=st.lists(st.text("ACGTNacgtnR", min_size=8, max_size=40), min_size=1, max_size=4))
@settings(deadline=None, max_examples=25)
def test_kmers_are_read_as_defined_with_n_anywhere(name: str, texts: list[str]) -> None:
    tokenizer, k = kmer_tokenizer(name)
    vocabulary = tokenizer.vocabulary
    encoded = tokenizer.encode([text.encode() for text in texts])
    found = list(zip(encoded.ids, encoded.starts, encoded.ends, strict=True))
    expected = [naive_kmers(text, vocabulary, k) for text in texts]
    assert found == [token for row in expected for token in row]
    assert np.diff(encoded.cu_tokens).tolist() == list(map(len, expected))


@given(st.permutations([a + b for a in "ACGT" for b in "ACGT"]), TEXT.filter(lambda t: len(t) > 1))
@settings(deadline=None, max_examples=30)
def test_ids_follow_the_order_of_the_words(words: list[str], text: str) -> None:
    recipe = KMER.recipe("kmer2")
    assert recipe is not None
    vocabulary = replace(KMER.build(recipe, ()), words=tuple(words))
    tokenizer = KMER.tokenizer(vocabulary)
    ids = tokenizer.encode([text.encode()]).ids.tolist()
    assert [(i, s, e) for i, s, e in naive_kmers(text, vocabulary, 2)] == [
        (i, n, n + 2) for n, i in enumerate(ids)
    ]
    shown = "".join(letter if letter in "ACGT" else "N" for letter in text.upper())
    decoded = tokenizer.decode(np.array(ids, dtype=np.int32)).decode()
    # A base that only unknown windows cover is lost; no other one is.
    lonely = [
        all("N" in shown[max(0, s) : s + 2] for s in (i - 1, i) if 0 <= s < len(shown) - 1)
        for i in range(len(shown))
    ]
    expected = ["N" if alone else base for base, alone in zip(shown, lonely, strict=True)]
    assert decoded == "".join(expected)


@pytest.mark.parametrize("name", ["kmer3", "kmer3s3", "nucleotide", "bpe40"])
def test_decoding_refuses_ids_of_another_vocabulary(
    families: FamilyRegistry, skewed_dna: tuple[bytes, ...], name: str
) -> None:
    recipe = find_recipe(name, families, ())
    vocabulary = families.get(recipe.family).build(recipe, skewed_dna)
    tokenizer = families.tokenizer(vocabulary)
    for bad in (-1, vocabulary.size, 2**31 - 1):
        with pytest.raises(VocabularyError, match=f"{bad} is not an id of '{name}'") as caught:
            tokenizer.decode(np.array([FIRST_WORD, bad], dtype=np.int32))
        assert caught.value.problems[0].where == "token 1"
    specials = np.array([0, 2, FIRST_WORD, 3, 0], dtype=np.int32)
    assert tokenizer.decode(specials).decode() == vocabulary.words[0]


def foreign(merges: Sequence[tuple[str, str]], /, **model: object) -> dict[str, Any]:
    """A tokenizer.json that holds these merges, as Hugging Face `tokenizers` writes it."""
    words = vocabulary_of(merges).words
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=list(merges))
    )
    value: dict[str, Any] = json.loads(made.to_str())
    value["model"].update(model)
    return value


@given(merges=merge_lists(), text=st.text("ACGT", min_size=1, max_size=40), legacy=st.booleans())
@settings(deadline=None, max_examples=40)
def test_any_imported_merge_list_encodes_as_its_file_does(
    tmp_path_factory: pytest.TempPathFactory,
    merges: list[tuple[str, str]],
    text: str,
    legacy: bool,
) -> None:
    value = foreign(merges)
    if legacy:
        value["model"]["merges"] = [" ".join(merge) for merge in merges]
    if len(value["model"]["vocab"]) < 5:
        return
    path = tmp_path_factory.mktemp("import") / "tokenizer.json"
    path.write_text(json.dumps(value))
    vocabulary = BPE.import_file(path, "mine")
    assert vocabulary is not None
    original = tokenizers.Tokenizer.from_file(str(path)).encode(text).tokens
    assert spelled(BPE.tokenizer(vocabulary), text) == original == merge_by_rank(text, merges)


MERGES = [("A", "C"), ("AC", "G"), ("T", "T")]


@pytest.mark.parametrize(
    "change",
    [
        {"dropout": None},
        {"dropout": 0.0},
        {"continuing_subword_prefix": ""},
        {"end_of_word_suffix": None},
        {"byte_fallback": False},
        {"unk_token": "[UNK]"},
        {"fuse_unk": True},
    ],
)
def test_settings_that_change_nothing_for_dna_are_taken(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(foreign(MERGES, **change)))
    vocabulary = BPE.import_file(path, "mine")
    assert vocabulary is not None
    assert vocabulary.words == ("A", "C", "G", "T", "AC", "ACG", "TT")
    assert vocabulary.payload == {"merges": ["A C", "AC G", "T T"]}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"ignore_merges": True}, "$.model.ignore_merges"),
        ({"continuing_subword_prefix": "##"}, "$.model.continuing_subword_prefix"),
        ({"merges": ["A C G"]}, "$.model.merges[0]"),
        ({"merges": ["A  C"]}, "$.model.merges[0]"),
        ({"merges": ["AC"]}, "$.model.merges[0]"),
        ({"merges": [["A", "C"], ["G", "G"]]}, "$.model.merges[1]"),
        ({"merges": [["A", "C"], None]}, "$.model.merges[1]"),
        ({"merges": None}, "$.model.merges"),
        ({"vocab": {}}, "$.model.vocab"),
        ({"vocab": {"A": 0, "C": 1, "G": 2, "t": 3}}, "$.model.vocab.t"),
        ({"vocab": {"A": 0, "C": 1, "G": 2, "T": True}}, "$.model.vocab.T"),
        ({"vocab": {"A": 0, "C": 1, "G": 2, "T": 3, "": 4}}, "$.model.vocab."),
        ({"vocab": {"A": 0, "C": 1, "G": 2, "T": 3, "[X": 4}}, "$.model.vocab.[X"),
        ({"vocab": []}, "$.model.vocab"),
        ({"type": "WordPiece"}, "$.model.type"),
        ({"type": None}, "$.model.type"),
    ],
)
def test_each_misfit_is_refused_at_its_json_path(
    tmp_path: Path, change: dict[str, object], place: str
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(foreign(MERGES, **change)))
    with pytest.raises(VocabularyError) as caught:
        BPE.import_file(path, "mine")
    (problem,) = caught.value.problems
    assert problem.where == f"{path}:{place}"
    assert problem.why and problem.fix


@pytest.mark.parametrize("step", [{"type": "Sequence", "pretokenizers": []}, {"type": 3}, {}])
def test_other_pre_tokenizers_are_refused(tmp_path: Path, step: object) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**foreign(MERGES), "pre_tokenizer": step}))
    with pytest.raises(VocabularyError) as caught:
        BPE.import_file(path, "mine")
    assert "$.pre_tokenizer" in caught.value.problems[0].where


@given(cut=st.integers(0, 400))
@settings(deadline=None, max_examples=40)
def test_a_cut_file_is_refused_with_its_line(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    text = json.dumps(foreign(MERGES), indent=1)
    path = tmp_path_factory.mktemp("cut") / "tokenizer.json"
    path.write_text(text[: min(cut, len(text) - 1)])
    with pytest.raises(VocabularyError) as caught:
        BPE.import_file(path, "mine")
    line = int(caught.value.problems[0].where.split(":")[-2])
    assert 1 <= line <= text.count("\n") + 1
