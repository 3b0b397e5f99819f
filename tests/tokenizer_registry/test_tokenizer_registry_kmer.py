"""k-mers: codes against a slow reference, both readings, imports, refusals."""

from __future__ import annotations

import functools
import itertools
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import DataError, VocabularyError
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.masking import copy_oracle
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import UNK, Vocabulary
from tokenizer_registry._kmer_codes import window_any, window_codes, word_code
from tokenizer_registry.kmer import KmerFamily

FAMILY = KmerFamily()


def build(name: str) -> Vocabulary:
    recipe = FAMILY.recipe(name)
    assert recipe is not None
    return FAMILY.build(recipe, ())


@functools.cache
def tokenizer(name: str) -> Tokenizer:
    return FAMILY.tokenizer(build(name))


@settings(deadline=None, max_examples=60)
@given(k=st.integers(1, 8), codes=st.lists(st.integers(0, 3), max_size=40))
def test_doubling_spells_each_window(k: int, codes: list[int]) -> None:
    found = window_codes(np.array(codes, dtype=np.uint8), k)
    words = ["".join("ACGT"[c] for c in codes[i : i + k]) for i in range(len(codes) - k + 1)]
    assert found.tolist() == [word_code(word) for word in words]
    assert found.dtype == np.uint16


@settings(deadline=None, max_examples=60)
@given(k=st.integers(1, 8), flags=st.lists(st.booleans(), max_size=40))
def test_doubling_finds_any_flag(k: int, flags: list[bool]) -> None:
    found = window_any(np.array(flags, dtype=np.bool_), k)
    assert found.tolist() == [any(flags[i : i + k]) for i in range(len(flags) - k + 1)]


def test_words_stand_in_lexicographic_order() -> None:
    words = build("kmer6").words
    assert (words[0], words[1], words[-1]) == ("AAAAAA", "AAAAAC", "TTTTTT")
    assert list(words) == sorted(words)
    assert len(words) == 4096
    assert build("kmer6s6").words == (*words, "A", "C", "G", "T")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text("ACGTacgtNU", min_size=3, max_size=30), min_size=1, max_size=4))
def test_overlapping_windows_equal_the_slow_way(texts: list[str]) -> None:
    encoded = tokenizer("kmer3").encode([t.encode() for t in texts])
    words = build("kmer3").words
    for row, text in enumerate(texts):
        part = slice(encoded.cu_tokens[row], encoded.cu_tokens[row + 1])
        windows = [text[i : i + 3].upper() for i in range(len(text) - 2)]
        expected = [5 + words.index(w) if w in words else UNK for w in windows]
        assert encoded.ids[part].tolist() == expected
        assert encoded.starts[part].tolist() == list(range(len(windows)))
        assert encoded.ends[part].tolist() == [i + 3 for i in range(len(windows))]


@settings(deadline=None, max_examples=80)
@given(st.lists(st.text("ACGTN", min_size=1, max_size=30), min_size=1, max_size=4))
def test_successive_words_equal_a_regular_expression(texts: list[str]) -> None:
    encoded = tokenizer("kmer3s3").encode([t.encode() for t in texts])
    words = (*[""] * 5, *build("kmer3s3").words)
    found = ["N" if i == UNK else words[i] for i in encoded.ids.tolist()]
    expected = [re.findall("[ACGT]{3}|.", text) for text in texts]
    assert found == list(itertools.chain.from_iterable(expected))
    assert np.diff(encoded.cu_tokens).tolist() == [len(e) for e in expected]


def test_an_unknown_letter_costs_six_windows() -> None:
    encoded = tokenizer("kmer6").encode([b"ACGTACGTNACGTACGT"])
    assert np.flatnonzero(encoded.ids == UNK).tolist() == [3, 4, 5, 6, 7, 8]
    assert tokenizer("kmer6").decode(encoded.ids) == b"ACGTACGTNACGTACGT"


def test_shorter_than_k_is_refused() -> None:
    with pytest.raises(DataError, match="has 5 bases"):
        tokenizer("kmer6").encode([b"ACGTAC", b"ACGTA"])
    assert tokenizer("kmer6s6").encode([b"ACGTA"]).ids.tolist() == [4101, 4102, 4103, 4104, 4101]


def test_tokenizers_travel_between_processes() -> None:
    for name in ("kmer3", "kmer3s3"):
        original = tokenizer(name)
        original.encode([b"ACGT"])
        again = pickle.loads(pickle.dumps(original))
        assert again.encode([b"ACGTT"]).ids.tolist() == original.encode([b"ACGTT"]).ids.tolist()


def test_spans_hide_nine_bases_for_every_k() -> None:
    for k in (2, 3, 6, 8):
        vocabulary = build(f"kmer{k}")
        assert vocabulary.hidden_bp(vocabulary.mask_span_tokens) == 9


@pytest.mark.parametrize("name", ["kmer", "kmers", "bpe6", "kmer6s", "6mer", "kmer6x", "kmer-6"])
def test_other_names_are_not_its_own(name: str) -> None:
    assert FAMILY.recipe(name) is None


@pytest.mark.parametrize("name", ["kmer1", "kmer0", "kmer9", "kmer12", "kmer6s7", "kmer6s0"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(VocabularyError, match=name) as caught:
        FAMILY.recipe(name)
    assert "2..8" in caught.value.problems[0].why


@pytest.mark.parametrize(
    "settings_",
    [{}, {"k": 9, "stride_bp": 1}, {"k": 6, "stride_bp": 6}, {"k": "6", "stride_bp": 1}],
)
def test_impossible_settings_are_refused(settings_: dict[str, int | float | str]) -> None:
    with pytest.raises(VocabularyError):
        FAMILY.build(Recipe("x", "kmer", settings_), ())


def test_windows_shorter_than_k_are_refused() -> None:
    with pytest.raises(VocabularyError, match="window_min_bp"):
        FAMILY.build(Recipe("x", "kmer", {"k": 6, "stride_bp": 1, "window_min_bp": 5}), ())


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": {}},
        {"payload": {"k": 2}},
        {"payload": {"k": "3"}},
        {"words": build("kmer3").words[:-1]},
        {"words": ("A", *build("kmer3").words), "stride_bp": 0},
        {"stride_bp": 2},
    ],
)
def test_incomplete_vocabularies_get_no_tokenizer(changes: dict[str, object]) -> None:
    with pytest.raises(VocabularyError):
        FAMILY.tokenizer(replace(build("kmer3"), **changes))  # type: ignore[arg-type]  # any field


def vocab_file(folder: Path, lines: list[str]) -> Path:
    path = folder / "vocab.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_overlapping_list_keeps_its_order(tmp_path: Path) -> None:
    words = list(build("kmer3").words)[::-1]
    path = vocab_file(tmp_path, ["[MASK]", *words[:9], "[PAD]", "[UNK]", *words[9:], "[CLS]"])
    vocabulary = FAMILY.import_file(path, "mine")
    assert vocabulary is not None
    assert vocabulary.words == tuple(words)
    assert (vocabulary.name, vocabulary.stride_bp, vocabulary.mask_span_tokens) == ("mine", 1, 11)
    encoded = FAMILY.tokenizer(vocabulary).encode([b"TTTTG"])
    assert encoded.ids.tolist() == [5, 5, 6]


def test_a_list_with_single_bases_does_not_overlap(tmp_path: Path) -> None:
    path = vocab_file(tmp_path, ["<unk>", "<cls>", *build("kmer3").words, "T", "A", "C", "G", "N"])
    vocabulary = FAMILY.import_file(path, "nt")
    assert vocabulary is not None
    assert vocabulary.words[-4:] == ("T", "A", "C", "G")
    assert not vocabulary.overlapping
    tokens = FAMILY.tokenizer(vocabulary)
    assert tokens.decode(tokens.encode([b"ACGTA"]).ids) == b"ACGTA"


@pytest.mark.parametrize(
    ("lines", "text", "place"),
    [
        (["AA", "AC", "AA"], "'AA' stands already in line 1", ":3"),
        (["AA", "##C"], "'##C' is not a word", ":2"),
        (["AA", ""], "'' is not a word", ":2"),
        (["A", "C", "G", "T"], "longest word has 1", ""),
        (["[PAD]"], "longest word has 0", ""),
        (list(build("kmer3").words)[:-1], "'TTT' is missing", ""),
        ([*build("kmer3").words, "A"], "'C' is missing", ""),
        ([*build("kmer3").words, "AC"], "'AC' does not belong", ""),
    ],
)
def test_broken_lists_name_the_line(
    tmp_path: Path, lines: list[str], text: str, place: str
) -> None:
    path = vocab_file(tmp_path, lines)
    with pytest.raises(VocabularyError, match=re.escape(text)) as caught:
        FAMILY.import_file(path, "mine")
    assert caught.value.problems[0].where == f"{path}{place}"


def test_binary_and_huge_lists_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VocabularyError, match="is not a word"):
        FAMILY.import_file(path, "mine")
    path.write_bytes(b"A" * (5 << 20))
    with pytest.raises(VocabularyError, match="more than"):
        FAMILY.import_file(path, "mine")
    assert FAMILY.import_file(tmp_path / "tokenizer.json", "mine") is None


STRIDED = [(3, 2), (4, 2), (4, 3), (6, 3), (8, 3), (8, 7)]


@pytest.mark.parametrize(("k", "stride"), STRIDED)
@given(texts=st.lists(st.text("ACGTacgtN-", min_size=1, max_size=30), min_size=1, max_size=4))
@settings(deadline=None, max_examples=15)
def test_windows_a_stride_apart_equal_the_slow_way(k: int, stride: int, texts: list[str]) -> None:
    reader = tokenizer(f"kmer{k}s{stride}")
    encoded = reader.encode([t.encode() for t in texts])
    ids = {word: 5 + i for i, word in enumerate(reader.vocabulary.words)}
    expected, counts = [], []
    for text in texts:
        whole = range(0, len(text) - k + 1, stride)
        covered = whole[-1] + k if whole else 0
        places = [(i, i + k) for i in whole] + [(i, i + 1) for i in range(covered, len(text))]
        expected += [(ids.get(text[a:b].upper(), UNK), a, b) for a, b in places]
        counts.append(len(places))
        assert reader.vocabulary.expected_tokens(len(text)) == len(places)
    assert list(zip(encoded.ids, encoded.starts, encoded.ends, strict=True)) == expected
    assert np.diff(encoded.cu_tokens).tolist() == counts


@pytest.mark.parametrize(("k", "stride"), STRIDED)
@given(text=st.text("ACGT", min_size=1, max_size=40))
@settings(deadline=None, max_examples=20)
def test_windows_a_stride_apart_decode(k: int, stride: int, text: str) -> None:
    reader = tokenizer(f"kmer{k}s{stride}")
    assert reader.decode(reader.encode([text.encode()]).ids) == text.encode()


def test_unknown_letters_decode_to_n_where_ids_say_where() -> None:
    reader = tokenizer("kmer6s3")
    for text in (b"ACGTACGTAGN", b"AC", b"CGTACGNNNACGTAC"):
        assert reader.decode(reader.encode([text]).ids) == text
    assert reader.decode(reader.encode([b"NCGTACGTA"]).ids) == b"NNNTACGTA"


@pytest.mark.parametrize(("k", "stride"), STRIDED)
def test_spans_of_strided_words_hide_nine_bases_or_little_more(k: int, stride: int) -> None:
    vocabulary = build(f"kmer{k}s{stride}")
    assert 9 <= vocabulary.hidden_bp(vocabulary.mask_span_tokens) < 9 + stride
    assert vocabulary.size == 5 + 4**k + 4
    assert vocabulary.tiles_rest and not build(f"kmer{k}").tiles_rest
    longest = max(map(vocabulary.expected_tokens, range(70, vocabulary.window.max_bp + 1)))
    assert longest + 3 <= 512


@pytest.mark.parametrize(("k", "stride"), STRIDED)
@given(text=st.text("ACGT", min_size=9, max_size=60), first=st.integers(-6, 60))
@settings(deadline=None, max_examples=25)
def test_no_masked_span_can_be_copied(k: int, stride: int, text: str, first: int) -> None:
    reader = tokenizer(f"kmer{k}s{stride}")
    encoded = reader.encode([text.encode()])
    masked = np.zeros(len(encoded.ids), dtype=np.bool_)
    masked[max(0, first) : first + reader.vocabulary.mask_span_tokens] = True
    assert not copy_oracle(encoded, masked, reader.vocabulary).any()


# Read off before strides were added: what exists keeps its identity.
FINGERPRINTS = {
    "kmer2": "9ecc8124380cee0b31ed434a83169bbc35cad321ccfeb3f196c7907fa7c2e66c",
    "kmer6": "5bbf9211decdad941193d82a8c59885f55927d651f225422190ac4f858997b4f",
    "kmer8": "9b2e715d2ba0503cf5b0b5a42b17e9e4cfa16474f2ceedde7ee57aca39c1872a",
    "kmer2s2": "59397aa87224378a16f96ce91411133b1db677bcef46613bf138f46b930891bc",
    "kmer6s6": "ad44a0dd1ce7623b54294a5b73b40378c50df06bc66708e13549955d20888a2e",
}


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_what_existed_keeps_its_fingerprint(name: str) -> None:
    assert build(name).fingerprint == FINGERPRINTS[name]
