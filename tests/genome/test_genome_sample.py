"""Samples: seeded, uniform, without repetition, reading no more than they need."""

from __future__ import annotations

import collections

import pytest
from genome_samples import Build, WriteFasta, local, random_dna

from gfmp.errors import UsageError
from gfmp.genome.corpus import Corpus
from gfmp.genome.sample import sample_sequences
from gfmp.genome.sources import IngestSettings


def test_the_seed_decides(corpus: Corpus) -> None:
    one, two, other = (sample_sequences(corpus, 5_000, 100, seed) for seed in (1, 1, 2))
    assert one == two
    assert one != other
    assert 4_000 <= sum(map(len, one)) <= 5_000
    assert max(map(len, one)) <= 100


def test_chunks_lie_in_the_split(corpus: Corpus) -> None:
    whole = random_dna(12_000, 1)[4_000:6_000]
    chunks = sample_sequences(corpus, 500, 50, 3, split="valid")
    assert all(chunk.decode() in whole for chunk in chunks)


@pytest.mark.parametrize("chunk_bp", [1, 7, 1_000, 10**6])
def test_asking_for_everything_gives_every_base_once(corpus: Corpus, chunk_bp: int) -> None:
    chunks = sample_sequences(corpus, 10**9, chunk_bp, 0)
    pieces = [p for group in corpus.row_groups("train") for p in corpus.read(group)]
    assert b"".join(chunks) == b"".join(p.sequence[: p.bases] for p in pieces)


def test_large_and_small_sources_are_drawn_by_their_size(
    write_fasta: WriteFasta, build: Build
) -> None:
    big = local(write_fasta("big.fa", ("big", "A" * 90_000)))
    small = local(write_fasta("small.fa", ("small", "C" * 10_000)), "Testus two")
    corpus = build(IngestSettings("s", sources=(big, small), piece_bp=7_000))
    letters = collections.Counter(b"".join(sample_sequences(corpus, 30_000, 10, 5)))
    assert sum(letters.values()) == pytest.approx(30_000, rel=0.01)
    assert letters[ord("C")] == pytest.approx(3_000, rel=0.15)


@pytest.mark.parametrize(("total_bp", "chunk_bp"), [(0, 10), (10, 0)])
def test_lengths_below_one_are_refused(corpus: Corpus, total_bp: int, chunk_bp: int) -> None:
    with pytest.raises(UsageError, match="cannot draw"):
        sample_sequences(corpus, total_bp, chunk_bp, 0)


def test_an_empty_split_is_refused(write_fasta: WriteFasta, build: Build) -> None:
    corpus = build(IngestSettings("s", sources=(local(write_fasta("a.fa", ("a", "ACGT" * 50))),)))
    with pytest.raises(UsageError, match="from 0 row groups"):
        sample_sequences(corpus, 10, 10, 0, split="valid")
