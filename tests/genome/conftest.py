"""Fixtures of the genome tests: sequence files and corpora in the test's own folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from genome_samples import Build, WriteFasta, fasta_text, local, random_dna

from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.genome.sources import IngestSettings, Region


@pytest.fixture
def write_fasta(tmp_path: Path) -> WriteFasta:
    """Return a function (file name, (record, letters)...) -> path."""

    def write(name: str, *records: tuple[str, str]) -> Path:
        path = tmp_path / name
        path.write_bytes(fasta_text(records))
        return path

    return write


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a function that builds a corpus in its own folder."""

    def run(settings: IngestSettings) -> Corpus:
        folder = tmp_path / "corpora" / settings.name / settings.fingerprint
        return build_corpus(settings, folder, wait_seconds=5)

    return run


@pytest.fixture
def settings(write_fasta: WriteFasta) -> IngestSettings:
    """Two species, 3 contigs, 30 kb, with a valid and an excluded region."""
    one = write_fasta("one.fa", ("c1", random_dna(12_000, 1)), ("c2", random_dna(6_000, 2)))
    two = write_fasta("two.fa", ("d1", random_dna(12_000, 3)))
    first = replace(local(one), valid=(Region("c1", 4_000, 6_000),), exclude=(Region("c2", 5_000),))
    return IngestSettings(
        "small", sources=(first, local(two, "Testus two")), piece_bp=2_500, halo_bp=300
    )


@pytest.fixture
def corpus(settings: IngestSettings, build: Build) -> Corpus:
    """Return the built corpus of `settings`."""
    return build(settings)
