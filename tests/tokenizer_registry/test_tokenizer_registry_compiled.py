"""Compiled encoding and training give what the plain ways give, and what they always gave."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gfmp.storage.compiled import Kernels
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.tokenizer import Encoded, IdsTokenizer, Tokenizer, encode_ids, offsets_of
from gfmp.vocabulary.vocabulary import UNK, Vocabulary
from tokenizer_registry import _bpe_encoding_kernels, _bpe_training_kernels, _kmer_kernels
from tokenizer_registry._bpe_tables import why_not
from tokenizer_registry._bpe_tokenizer import BpeTokenizer
from tokenizer_registry._bpe_training import by_library, compiled, train
from tokenizer_registry._kmer_windows import WindowNames, window_ids

ALL = (
    _kmer_kernels.KERNELS,
    _bpe_encoding_kernels.KERNELS,
    _bpe_training_kernels.KERNELS,
)
NEVER = 1 << 60
# Read before anything was compiled: vocabularies learnt from seeded DNA, and ids of other DNA.
PINNED = {
    "kmer6": ("5bbf9211decdad94", "d28e8a4a1d6643a7"),
    "kmer4": ("72f50566512a9b88", "180dd1ea6bc2e343"),
    "kmer6s3": ("05e9e1019f257dc1", "f7919e19f8c3fd2a"),
    "kmer6s6": ("ad44a0dd1ce7623b", "c496660d815fe9ff"),
    "bpe512": ("6e973e80fd04b0b1", "9ce0945d08091012"),
    "bpe4096": ("d82c9468ec10d4d2", "0fc86f1a1957b3be"),
    "wordpiece300": ("8d7542fbbef43239", "0586872640a5c358"),
}


@pytest.fixture(autouse=True)
def kernels_as_they_were() -> Iterator[None]:
    before = [kernels._worth for kernels in ALL]
    yield
    for kernels, worth in zip(ALL, before, strict=True):
        kernels.pays_from(worth)


def use(compiled_ones: bool, chosen: Sequence[Kernels] = ALL) -> None:
    for kernels in chosen:
        kernels.pays_from(0 if compiled_ones else NEVER)


def skewed(length: int, seed: int) -> NDArray[np.uint8]:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    return letters[np.random.default_rng(seed).choice(4, length, p=(0.4, 0.1, 0.2, 0.3))]


def varied(count: int) -> list[bytes]:
    """Return sequences of random length, some with N, some with lower case."""
    sequences = []
    for seed in range(count):
        rng = np.random.default_rng(10_000 + seed)
        letters = skewed(int(rng.integers(6, 2000)), 20_000 + seed).copy()
        if seed % 3 == 0:
            letters[rng.integers(0, len(letters), max(1, len(letters) // 150))] = ord("N")
        if seed % 5 == 0:
            letters[: len(letters) // 2] |= 0x20
        sequences.append(letters.tobytes())
    return sequences


def digest(encoded: Encoded) -> str:
    arrays = (encoded.ids, encoded.starts, encoded.ends, encoded.cu_tokens)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def same(one: Encoded, two: Encoded) -> bool:
    return digest(one) == digest(two) and one.ids.dtype == two.ids.dtype


def build(families: FamilyRegistry, name: str, sample: Sequence[bytes]) -> Tokenizer:
    recipe = find_recipe(name, families, families.recipe_folders)
    return families.tokenizer(families.get(recipe.family).build(recipe, sample))


@pytest.mark.parametrize("compiled_ones", [False, True])
def test_fingerprints_and_ids_are_those_of_every_earlier_version(
    families: FamilyRegistry, compiled_ones: bool
) -> None:
    use(compiled_ones)
    sample = [skewed(2300, seed).tobytes() for seed in range(100)]
    sequences = varied(300)
    for name, (fingerprint, ids) in PINNED.items():
        tokenizer = build(families, name, sample)
        assert tokenizer.vocabulary.fingerprint.startswith(fingerprint), name
        assert digest(tokenizer.encode(sequences)) == ids, name


@settings(deadline=None, max_examples=60)
@given(
    k=st.integers(2, 7),
    texts=st.lists(st.text("ACGTacgtACGTN", min_size=7, max_size=90), min_size=1, max_size=9),
    in_order=st.booleans(),
    seed=st.integers(0, 99),
)
def test_windows_are_named_alike_by_both(
    k: int, texts: list[str], in_order: bool, seed: int
) -> None:
    names = np.random.default_rng(seed).permutation(4**k).astype(np.uint16)
    names = WindowNames(
        np.arange(3, 3 + 4**k, dtype=np.uint16) if in_order else names, np.uint16(1)
    )
    sequences = [text.encode("ascii") for text in texts]
    offsets = offsets_of(sequences, k)
    found = []
    for compiled_ones in (True, False):
        use(compiled_ones)
        found.append(window_ids(sequences, offsets, names))
    assert np.array_equal(found[0].ids, found[1].ids)
    assert np.array_equal(found[0].cu_tokens, found[1].cu_tokens)
    assert found[0].ids.dtype == found[1].ids.dtype == np.uint16


@pytest.mark.parametrize("length_bp", [4095, 4096, 4101, 4102, 20_000])
def test_windows_across_the_border_of_a_block_are_named(
    families: FamilyRegistry, length_bp: int
) -> None:
    tokenizer = build(families, "kmer6", ())
    sequences = [skewed(length_bp, 1).tobytes(), b"ACGTNN", skewed(length_bp, 2).tobytes()]
    sequences[0] = sequences[0][:4090] + b"N" + sequences[0][4091:]
    sequences += [skewed(length_bp, n).tobytes() for n in range(3, 40)]
    use(False)
    expected = tokenizer.encode(sequences)
    use(True)
    assert same(tokenizer.encode(sequences), expected)


def test_kernels_run_as_plain_python_too() -> None:
    letters = np.frombuffer(bytearray(b"ACGTNACGTTGCA"), dtype=np.uint8)
    table = np.arange(5, 5 + 4**6, dtype=np.uint16)
    offsets = np.array([0, len(letters)])
    fast, plain = (np.zeros(len(letters) - 5, dtype=np.uint16) for _ in range(2))
    functions = _kmer_kernels.KERNELS.now()
    assert functions
    functions.encode_windows(letters, offsets, 6, table, np.uint16(UNK), fast)
    _kmer_kernels.encode_windows(letters, offsets, 6, table, np.uint16(UNK), plain)
    assert fast.tolist() == plain.tolist()
    assert plain.tolist()[:5] == [UNK] * 5


@settings(deadline=None, max_examples=40)
@given(
    letters=st.sampled_from(["ACGT", "AC", "A", "ACG"]),
    seed=st.integers(0, 999),
    num_words=st.integers(5, 200),
)
def test_training_learns_the_merges_of_the_library(letters: str, seed: int, num_words: int) -> None:
    rng = np.random.default_rng(seed)
    pieces = ["".join(rng.choice(list(letters), n)) for n in rng.integers(1, 150, 20)]
    pieces += ["ACAC" * (seed % 9), "A" * (seed % 31)]
    functions = _bpe_training_kernels.KERNELS.now()
    assert functions
    assert compiled(functions, pieces, num_words) == by_library(pieces, num_words)


def test_training_on_real_dna_learns_the_merges_of_the_library(real_dna: dict[str, bytes]) -> None:
    functions = _bpe_training_kernels.KERNELS.now()
    assert functions
    stretches = re.findall("[ACGT]+", b"".join(real_dna.values()).upper().decode())
    pieces = [s[at : at + 1000] for s in stretches for at in range(0, len(s), 1000)]
    learnt = by_library(pieces, 2000)
    assert compiled(functions, pieces, 2000) == learnt
    use(True)
    assert train(pieces, 2000, "real") == learnt


@pytest.fixture(scope="module")
def real_bpe(families: FamilyRegistry, real_dna: dict[str, bytes]) -> Tokenizer:
    use(True)
    return build(families, "bpe4096", list(real_dna.values()))


def check_against_library(tokenizer: Tokenizer, sequences: list[bytes]) -> None:
    use(False)
    expected = tokenizer.encode(sequences)
    use(True)
    assert same(tokenizer.encode(sequences), expected)


def test_encoding_is_that_of_the_library_on_many_sequences(real_bpe: Tokenizer) -> None:
    check_against_library(real_bpe, varied(3_200))


@pytest.mark.parametrize("species", ["yeast", "fly", "E. coli"])
def test_encoding_is_that_of_the_library_on_real_dna(
    real_bpe: Tokenizer, real_dna: dict[str, bytes], species: str
) -> None:
    whole = real_dna[species]
    cuts = np.sort(np.random.default_rng(1).integers(0, len(whole), 300)).tolist()
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    check_against_library(real_bpe, [whole, *filter(None, pieces)])


@settings(deadline=None, max_examples=40)
@given(
    letters=st.sampled_from(["ACGT", "AC", "A", "ACG"]),
    seed=st.integers(0, 999),
    num_words=st.integers(5, 200),
)
def test_encoding_is_that_of_the_library_for_any_merges(
    families: FamilyRegistry, letters: str, seed: int, num_words: int
) -> None:
    rng = np.random.default_rng(seed)
    pieces = ["".join(rng.choice(list(letters), n)) for n in rng.integers(1, 150, 20)]
    learnt = by_library([*pieces, "ACAC" * (seed % 40), "A" * (seed % 31)], num_words)
    tokenizer = bpe(families, learnt.merges)
    assert why_not(learnt.merges) == ""
    texts = ["".join(rng.choice([*letters * 9, "N"], n)) for n in rng.integers(1, 200, 20)]
    check_against_library(tokenizer, [text.encode() for text in texts])


def bpe(families: FamilyRegistry, merges: Sequence[str]) -> BpeTokenizer:
    """Return the tokenizer of merges, words in an order of their own."""
    words = sorted({"A", "C", "G", "T", *(merge.replace(" ", "") for merge in merges)})
    base = build(families, "nucleotide", ()).vocabulary
    values = base.to_json() | {"family": "bpe", "words": words, "payload": {"merges": [*merges]}}
    return BpeTokenizer(Vocabulary.from_json(values), tuple(merges))


@pytest.mark.parametrize(
    ("merges", "reason"),
    [
        (("AC G", "A C"), "a later merge makes"),
        (("A C", "C G", "AC G", "A CG"), "is there already"),
        (("A A", "C C", "A C", "AA C", "A AC"), "is there already"),
        (("A C", "C G", "A CG"), "does not come out of its own letters"),
    ],
)
def test_merges_in_another_order_are_left_to_the_library_and_it_is_said(
    families: FamilyRegistry, merges: tuple[str, ...], reason: str
) -> None:
    assert reason in why_not(merges)
    tokenizer = bpe(families, merges)
    use(True)
    with pytest.warns(RuntimeWarning, match="by the library `tokenizers`"):
        found = tokenizer.encode([b"ACGACAACCGA"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = tokenizer.encode([b"ACGACAACCGA"])
    use(False)
    assert same(found, again) and same(found, tokenizer.encode([b"ACGACAACCGA"]))


def test_too_many_merges_are_left_to_the_library() -> None:
    assert "too large a table" in why_not(("A C",) * 20_000)


@pytest.mark.parametrize("name", ["kmer6", "kmer8", "kmer6s3", "bpe4096", "nucleotide"])
@pytest.mark.parametrize("compiled_ones", [False, True])
def test_ids_of_a_table_are_the_ids_it_gives(
    families: FamilyRegistry, real_bpe: Tokenizer, name: str, compiled_ones: bool
) -> None:
    use(compiled_ones)
    tokenizer = real_bpe if name == "bpe4096" else build(families, name, ())
    size = tokenizer.vocabulary.size
    table = np.random.default_rng(0).permutation(size).astype(np.min_scalar_type(size))
    sequences = [sequence.ljust(9, b"A") for sequence in varied(40)]
    encoded = tokenizer.encode(sequences)
    found = encode_ids(tokenizer, sequences, table)
    assert np.array_equal(found.ids, table[encoded.ids])
    assert found.ids.dtype == table.dtype
    assert np.array_equal(found.cu_tokens, encoded.cu_tokens)
    assert isinstance(tokenizer, IdsTokenizer) == (name != "nucleotide")
    assert encode_ids(tokenizer, [], table).cu_tokens.tolist() == [0]
