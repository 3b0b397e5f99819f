"""Samples and background models against counting by hand."""

from __future__ import annotations

import collections
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from genome_samples import Build, WriteFasta, local, random_dna
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.genome.markov import HIGHEST_ORDER, MarkovModel
from gfmp.genome.sample import sample_sequences
from gfmp.genome.sources import IngestSettings, Region

OTHER_STRAND = bytes.maketrans(b"ACGTacgt", b"TGCAtgca")


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A corpus in which every 8 bases spell where they stand, so that a chunk tells its origin."""
    folder = tmp_path_factory.mktemp("numbered")
    letters = "".join(np.base_repr(i + 4**8, 4)[-8:] for i in range(4_000))
    text = letters.translate(str.maketrans("0123", "ACGT"))
    (folder / "x.fa").write_text(f">x\n{text}\n")
    plan = IngestSettings(
        "numbered", sources=(local(folder / "x.fa"),), piece_bp=3_000, halo_bp=100
    )
    return build_corpus(plan, folder / "corpus", wait_seconds=5)


def number_of(chunk: bytes) -> int:
    return int(chunk[:8].translate(bytes.maketrans(b"ACGT", b"0123")), 4)


def test_every_slot_is_drawn_alike(numbered: Corpus) -> None:
    counts = np.zeros(4_000)
    draws = 120
    for seed in range(draws):
        for chunk in sample_sequences(numbered, 400 * 8, 8, seed):
            counts[number_of(chunk)] += 1
    share = 400 / 4_000
    # Chi-square with 3,999 degrees of freedom and the variance of draws without repetition.
    chi = np.sum((counts - draws * share) ** 2) / (draws * share * (1 - share))
    assert abs(chi - 3_999) < 6 * np.sqrt(2 * 3_999)
    assert counts.sum() == draws * 400


@given(st.integers(1, 40_000), st.integers(1, 5_000), st.integers(0, 2**32))
@settings(deadline=None, max_examples=30)
def test_a_sample_is_as_large_as_asked_and_never_repeats(
    numbered: Corpus, total_bp: int, chunk_bp: int, seed: int
) -> None:
    chunks = sample_sequences(numbered, total_bp, chunk_bp, seed)
    bases = sum(map(len, chunks))
    assert max(map(len, chunks)) <= chunk_bp
    assert bases <= max(total_bp + chunk_bp, 1)
    # Only the last slot of the one row group is shorter than the rest.
    assert bases >= min(total_bp, 32_000) - chunk_bp
    assert chunks == sample_sequences(numbered, total_bp, chunk_bp, seed)
    pieces = [p for g in numbered.row_groups("train") for p in numbered.read(g)]
    whole = b"".join(p.sequence[: p.bases] for p in pieces)
    at = 0
    for chunk in (c for c in chunks if len(c) >= 24):
        found = whole.find(chunk, at)
        assert found >= 0, "chunks come in canonical order"
        at = found + len(chunk)


def test_halo_bases_are_never_sampled_twice(numbered: Corpus) -> None:
    chunks = sample_sequences(numbered, 32_000, 8, 1)
    # Pieces of 3,000 bases are 375 numbers each, so no number crosses a border.
    assert sorted(map(number_of, chunks)) == list(range(4_000))


def naive_tables(text: bytes, order: int) -> list[np.ndarray]:
    """Count every context of every length on both strands, one base after the other."""
    counts = [np.ones((4**k, 4)) for k in range(order + 1)]
    for strand in (text, text[::-1].translate(OTHER_STRAND)):
        letters = strand.decode().upper()
        for i, letter in enumerate(letters):
            for k in range(min(order, i) + 1):
                window = letters[i - k : i] + letter
                if set(window) <= set("ACGT"):
                    context = sum("ACGT".index(c) * 4**j for j, c in enumerate(window[-2::-1]))
                    counts[k][context, "ACGT".index(letter)] += 1
    return [c / c.sum(axis=1, keepdims=True) for c in counts]


@pytest.mark.parametrize("order", [0, 2, 4])
@pytest.mark.parametrize("text", [random_dna(900, 5), "ACGTN" * 100 + "acgtNNacg" * 20, "A" * 120])
def test_fitting_is_counting(write_fasta: WriteFasta, build: Build, text: str, order: int) -> None:
    corpus = build(IngestSettings("s", sources=(local(write_fasta("a.fa", ("a", text))),)))
    model = MarkovModel.fit(corpus, order)
    for got, expected in zip(model.tables, naive_tables(text.encode(), order), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_context_never_crosses_an_n_or_a_chunk(write_fasta: WriteFasta, build: Build) -> None:
    one, other = random_dna(400, 1), random_dna(400, 2)
    joined = local(write_fasta("joined.fa", ("a", f"{one}N{other}")))
    apart = local(write_fasta("apart.fa", ("a", one), ("b", other)))
    models = [
        MarkovModel.fit(build(IngestSettings(name, sources=(source,))), 3)
        for name, source in (("joined", joined), ("apart", apart))
    ]
    for left, right in zip(models[0].tables, models[1].tables, strict=True):
        np.testing.assert_array_equal(left, right)


def test_held_out_bases_do_not_reach_the_model(write_fasta: WriteFasta, build: Build) -> None:
    source = local(write_fasta("a.fa", ("a", "A" * 1_000 + "C" * 1_000)))
    held = replace(source, valid=(Region("a", 1_000),))
    corpus = build(IngestSettings("s", sources=(held,)))
    train, valid = (MarkovModel.fit(corpus, 0, split=s) for s in ("train", "valid"))
    assert train.tables[0][0, 0] == pytest.approx(1_001 / 2_004)
    assert valid.tables[0][0, 1] == pytest.approx(1_001 / 2_004)


@pytest.mark.parametrize("order", [-1, HIGHEST_ORDER + 1])
def test_orders_beyond_the_tables_are_refused(corpus: Corpus, order: int) -> None:
    with pytest.raises(AssertionError, match="is not in 0"):
        MarkovModel.fit(corpus, order)


@given(st.text("ACGTNacgtn", max_size=60), st.integers(0, 59))
@settings(deadline=None, max_examples=40)
def test_bits_depend_on_the_bases_before_alone(
    tmp_path_factory: pytest.TempPathFactory, text: str, cut: int
) -> None:
    model = _fitted(tmp_path_factory)
    whole = model.bits(text.encode())
    np.testing.assert_array_equal(model.bits(text[:cut].encode()), whole[:cut])
    assert np.array_equal(np.isnan(whole), [c in "Nn" for c in text])
    assert np.nanmin(whole, initial=1.0) > 0.0


_MODELS: dict[str, MarkovModel] = {}


def _fitted(factory: pytest.TempPathFactory) -> MarkovModel:
    if "model" not in _MODELS:
        folder: Path = factory.mktemp("markov")
        (folder / "a.fa").write_text(f">a\n{random_dna(3_000, 11)}\n")
        plan = IngestSettings("m", sources=(local(folder / "a.fa"),))
        _MODELS["model"] = MarkovModel.fit(build_corpus(plan, folder / "c", wait_seconds=5), 4)
    return _MODELS["model"]


def test_species_are_sampled_by_their_bases(write_fasta: WriteFasta, build: Build) -> None:
    sizes = {"A": 40_000, "C": 20_000, "G": 10_000, "T": 5_000}
    sources = tuple(
        local(write_fasta(f"{letter}.fa", (letter, letter * size)), f"Testus {letter}")
        for letter, size in sizes.items()
    )
    corpus = build(IngestSettings("s", sources=sources, piece_bp=900))
    found: collections.Counter[int] = collections.Counter()
    for seed in range(5):
        found.update(b"".join(sample_sequences(corpus, 15_000, 25, seed)))
    assert sum(found.values()) == 75_000
    for letter, size in sizes.items():
        assert found[ord(letter)] == pytest.approx(size, rel=0.2)
