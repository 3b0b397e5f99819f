"""Sums, digests and versions of the manifest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from genome_samples import WriteFasta, fasta_text, local, random_dna

from gfmp.errors import CorruptArtefactError
from gfmp.genome.alphabet import AlphabetCounts, AlphabetPolicy
from gfmp.genome.contigs import ContigEntry, ContigSums
from gfmp.genome.corpus import Corpus
from gfmp.genome.frozen_json import to_json
from gfmp.genome.ingest import build_corpus
from gfmp.genome.manifest import (
    Composition,
    Manifest,
    SourceEntry,
    SplitTotal,
    add_totals,
)
from gfmp.genome.sources import IngestSettings, Region
from gfmp.storage.hashes import fingerprint

SOURCE = SourceEntry(
    0, "Testus one", "t1", "", "/x.fa", "f" * 64, AlphabetCounts(upper=5), ContigSums()
)
# Read off what gfmp wrote when the manifest still listed every contig.
OLD_SETTINGS = "916d4f7bed8e368834b4d3e92f1dbd1cda92d17fefbc25dacb7b2c3dee3547ca"
OLD_CONTENT = "36cb243c4c3f1bf068977d4ad3969f1d6fb2a7c70c9a05375daebd837efd875b"
OLD_SOURCES = "ef537809f5ded8104d4923d02a3d41813e7507db6f35ead89a45d38cfd4c458d"


def test_totals_of_one_split_add_up() -> None:
    train = SplitTotal("train", 1, 10, 1, Composition(1, 2, 3, 4, 0))
    valid = SplitTotal("valid", 2, 5, 1, Composition(n=5))
    got = add_totals([valid, train, train])
    assert got == (SplitTotal("train", 2, 20, 2, Composition(2, 4, 6, 8, 0)), valid)
    assert add_totals([]) == ()


def test_an_absent_split_has_no_bases() -> None:
    total = SplitTotal("train", 1, 10, 1, Composition())
    manifest = Manifest("s", "0", AlphabetPolicy(), (SOURCE, SOURCE), (), (total,), "0")
    assert (manifest.bases("train"), manifest.bases("valid")) == (10, 0)
    assert manifest.alphabet.upper == 10


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[IngestSettings, Corpus]:
    """A corpus of three sources whose names need escapes, sort as text and give no piece."""
    monkeypatch.chdir(tmp_path)
    records = {
        "one.fa": [("b|2", random_dna(1200, 1)), ('a"1', random_dna(600, 2)), ("tiny", "ACGT")],
        "two.fa": [('a"1', random_dna(1200, 3))],
        "three.fa": [("c", random_dna(300, 4))],
    }
    for name, texts in records.items():
        Path(name).write_bytes(fasta_text(texts))
    held = (Region("b|2", 400, 600),)
    sources = (
        replace(local(Path("one.fa"), "Testus b\u00e9ta"), valid=held),
        replace(local(Path("two.fa")), assembly="t2"),
        replace(local(Path("three.fa")), assembly="t10"),
    )
    settings = IngestSettings("golden", sources=sources, piece_bp=250, halo_bp=30)
    return settings, build_corpus(settings, tmp_path / "corpora" / "c")


def listed(corpus: Corpus) -> dict[str, object]:
    """Return the manifest as version 1 wrote it: every contig below its source."""
    value = json.loads((corpus.path / "manifest.json").read_text())
    entries = list(corpus.contigs())
    for source in value["sources"]:
        mine = [to_json(entry) for index, entry in entries if index == source["index"]]
        source["contigs"] = mine
    del value["contigs"]
    return value | {"format_version": 1}


def test_fingerprints_are_what_they_were(golden: tuple[IngestSettings, Corpus]) -> None:
    settings, corpus = golden
    assert (settings.fingerprint, corpus.fingerprint) == (OLD_SETTINGS, OLD_CONTENT)
    assert fingerprint(listed(corpus)["sources"]) == OLD_SOURCES


def test_the_content_hash_is_that_of_the_sorted_list(golden: tuple[IngestSettings, Corpus]) -> None:
    _, corpus = golden
    sources = corpus.manifest.sources
    lines = [
        [sources[i].species, sources[i].assembly, contig.name, contig.pieces_sha256]
        for i, contig in corpus.contigs()
        if contig.num_pieces
    ]
    assert len(lines) == 4, "tiny gave no piece"
    assert fingerprint(sorted(lines)) == corpus.fingerprint


def test_a_corpus_of_version_1_is_read(golden: tuple[IngestSettings, Corpus]) -> None:
    settings, corpus = golden
    entries, manifest = list(corpus.contigs()), corpus.manifest
    (corpus.path / "manifest.json").write_text(json.dumps(listed(corpus)))
    (corpus.path / "contigs.parquet").unlink()
    again = Corpus.open(corpus.path)
    assert list(again.contigs()) == entries
    assert again.manifest == replace(manifest, contigs=(), format_version=1)
    assert build_corpus(settings, corpus.path) == again, "it is not built a second time"
    again.verify()


@pytest.mark.parametrize("place", ["name", "length_bp", "pieces_sha256"])
def test_a_damaged_list_of_version_1_is_named(
    golden: tuple[IngestSettings, Corpus], place: str
) -> None:
    _, corpus = golden
    value = listed(corpus)
    value["sources"][1]["contigs"][0][place] = None  # type: ignore[index]
    (corpus.path / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(CorruptArtefactError, match=f"/sources/1/contigs/0/{place}"):
        Manifest.read(corpus.path)


def test_sums_are_those_of_the_entries(golden: tuple[IngestSettings, Corpus]) -> None:
    _, corpus = golden
    for source in corpus.manifest.sources:
        mine = [contig for index, contig in corpus.contigs() if index == source.index]
        assert source.contigs.number == len(mine) > 0
        assert source.contigs.length_bp == sum(contig.length_bp for contig in mine)
        assert source.contigs == ContigSums.of(mine)


def test_a_manifest_stays_small_however_many_contigs_there_are(
    write_fasta: WriteFasta, tmp_path: Path
) -> None:
    sizes = []
    for number in (10, 1000):
        records = [(f"r{i}", random_dna(80, i)) for i in range(number)]
        source = local(write_fasta(f"{number}.fa", *records))
        corpus = build_corpus(IngestSettings("s", sources=(source,)), tmp_path / str(number))
        sizes.append((corpus.path / "manifest.json").stat().st_size)
        assert corpus.manifest.sources[0].contigs.number == number
        assert [c.name for _, c in corpus.contigs()] == [f"r{i}" for i in range(number)]
    assert sizes[1] < sizes[0] + 100


def test_damaged_contigs_are_named(corpus: Corpus) -> None:
    path = corpus.path / "contigs.parquet"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    with pytest.raises(CorruptArtefactError, match="table of contigs") as caught:
        Corpus.open(corpus.path)
    assert caught.value.problems[0].where == str(path)
    path.unlink()
    with pytest.raises(CorruptArtefactError, match="no such file"):
        Corpus.open(corpus.path)
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    path.write_bytes(bytes(flipped))
    with pytest.raises(CorruptArtefactError, match="differs from its checksum"):
        list(Corpus.open(corpus.path).contigs())
    with pytest.raises(CorruptArtefactError, match="sha256 is"):
        corpus.verify()


def test_entries_keep_every_field(corpus: Corpus) -> None:
    contigs = {contig.name: contig for _, contig in corpus.contigs()}
    assert set(contigs) == {"c1", "c2", "d1"}
    assert all(isinstance(contig, ContigEntry) for contig in contigs.values())
    one = contigs["c1"]
    assert (one.length_bp, one.valid_bp, one.train_bp) == (12_000, 2_000, 10_000)
    assert len(one.letters_sha256) == len(one.pieces_sha256) == 64
