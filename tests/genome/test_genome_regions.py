"""Corpora of annotated regions: the right bases, at their places, in the splits of the whole."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from genome_samples import Build, fasta_text, genbank_text, local, random_dna
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gfmp.errors import DataError, ExistsError, SpecError
from gfmp.genome import inflate
from gfmp.genome.alphabet import AlphabetPolicy
from gfmp.genome.contigs import ContigEntry
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.genome.regions import read_regions
from gfmp.genome.sources import (
    IngestSettings,
    LocalFile,
    PackageFile,
    PinnedFile,
    Region,
    Selection,
    Source,
)
from gfmp.storage.hashes import sha256_file

LENGTH = 900
LETTERS = random_dna(LENGTH, 4)
GFF = """\
##gff-version 3
c1\tx\tgene\t101\t400\t.\t+\t.\tID=g
c1\tx\tCDS\t101\t200\t.\t+\t0\tID=p;Parent=g
c1\tx\tCDS\t301\t400\t.\t+\t0\tID=p;Parent=g
c1\tx\tCDS\t151\t230\t.\t-\t0\tID=q
c1\tx\ttRNA\t601\t610\t.\t-\t.\tID=t
"""


def write(folder: Path, name: str, text: str | bytes) -> PinnedFile:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return PinnedFile(LocalFile(str(path)))


def fasta(folder: Path, letters: str = LETTERS, name: str = "c1") -> Source:
    path = folder / f"{name}.fa"
    path.write_bytes(fasta_text([(name, letters)]))
    return local(path)


def bed(folder: Path, *lines: str) -> Selection:
    return Selection("bed", files=(write(folder, "x.bed", "\n".join(lines) + "\n"),))


def small(*sources: Source) -> IngestSettings:
    return IngestSettings("s", sources=sources, piece_bp=150, halo_bp=30, shortest_bp=5)


def pieces(corpus: Corpus, split: str = "train") -> list[tuple[str, int, str]]:
    assert split in ("train", "valid")
    groups = corpus.row_groups("valid" if split == "valid" else "train")
    found = [piece for group in groups for piece in corpus.read(group)]
    return [(p.contig, p.start, p.sequence[: p.bases].decode()) for p in found]


def taken(found: Iterable[tuple[str, int, str]]) -> set[int]:
    return {i for _, start, text in found for i in range(start, start + len(text))}


def contig(corpus: Corpus) -> ContigEntry:
    return next(entry for _, entry in corpus.contigs())


def test_features_are_united_and_keep_their_coordinates(tmp_path: Path, build: Build) -> None:
    rule = Selection("features", ("CDS", "tRNA"), (write(tmp_path, "a.gff", GFF),))
    corpus = build(small(replace(fasta(tmp_path), selection=rule)))
    found = pieces(corpus)
    assert [(start, len(text)) for _, start, text in found] == [(100, 130), (300, 100), (600, 10)]
    assert all(LETTERS[start : start + len(text)] == text for _, start, text in found)
    entry = contig(corpus)
    assert (entry.train_bp, entry.outside_bp, entry.length_bp) == (240, 660, LENGTH)
    (regions,) = corpus.manifest.sources[0].regions
    assert (regions.num_found, regions.num_taken, regions.taken_bp) == (4, 3, 240)
    assert regions.types == ("CDS", "gene", "tRNA")
    assert regions.sha256 == (sha256_file(tmp_path / "a.gff"),)
    again = Corpus.open(corpus.path)
    assert again.manifest == corpus.manifest
    again.verify()


def test_a_genbank_file_carries_its_own_features(tmp_path: Path, build: Build) -> None:
    gene = "     CDS             complement(join(11..20,31..50))\nORIGIN      "
    text = genbank_text("G", LETTERS).decode().replace("ORIGIN      ", gene)
    path = tmp_path / "g.gb"
    path.write_text(text)
    source = Source("s", "a", "genbank", LocalFile(str(path)))
    corpus = build(small(replace(source, selection=Selection("features", ("CDS",)))))
    assert [(start, len(text)) for _, start, text in pieces(corpus)] == [(10, 10), (30, 20)]
    assert corpus.manifest.sources[0].regions[0].files == ()


def test_lower_case_runs_are_found_before_the_case_is_folded(
    tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = LETTERS[:100] + LETTERS[100:250].lower() + LETTERS[250:890] + LETTERS[890:].lower()
    source = replace(fasta(tmp_path, letters), selection=Selection("soft_masked"))
    for size in (1 << 20, 37):
        monkeypatch.setattr(inflate, "BLOCK_BYTES", size)
        found = read_regions(source)
        assert {k: v.tolist() for k, v in found.contigs.items()} == {"c1": [[100, 250], [890, 900]]}
    assert [(s, text) for _, s, text in pieces(build(small(source)))] == [
        (100, LETTERS[100:250]),
        (890, LETTERS[890:]),
    ]


INTERVALS = st.lists(
    st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 200)).map(
        lambda p: (p[0], min(LENGTH, p[0] + p[1]))
    ),
    min_size=1,
    max_size=6,
)
HELD = Region("c1", 300, 500)
EXCLUDED = Region("c1", 450, 600)


@given(INTERVALS, st.booleans(), st.integers(0, 40), st.integers(1, 60))
@hypothesis_settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_taken_is_what_the_rule_says(
    tmp_path_factory: pytest.TempPathFactory,
    intervals: list[tuple[int, int]],
    complement: bool,
    flank_bp: int,
    min_bp: int,
) -> None:
    folder = tmp_path_factory.mktemp("rule")
    lines = [f"c1\t{start}\t{end}" for start, end in intervals]
    rule = replace(bed(folder, *lines), complement=complement, flank_bp=flank_bp, min_bp=min_bp)
    source = replace(
        fasta(folder), valid=(HELD, Region("c1", 0, 40)), exclude=(EXCLUDED,), selection=rule
    )
    near = {i for start, end in intervals for i in range(start - flank_bp, end + flank_bp)}
    wanted = (set(range(LENGTH)) - near) if complement else near & set(range(LENGTH))
    runs = "".join("x" if i in wanted else " " for i in range(LENGTH)).split(" ")
    kept = sum(len(run) for run in runs if len(run) >= min_bp)
    regions = read_regions(source)
    assert regions.entry[0].taken_bp == kept
    inside = {i for a, b in regions.contigs["c1"].tolist() for i in range(a, b)}
    assert inside <= wanted
    held = set(range(40)) | set(range(HELD.start, HELD.stop))
    out = set(range(EXCLUDED.start, EXCLUDED.stop))
    settings = replace(small(source), shortest_bp=1)
    if inside <= held | out:
        with pytest.raises(DataError, match=r"no base is left|reaches min_bp"):
            build_corpus(settings, folder / "c")
        return
    corpus = build_corpus(settings, folder / "c")
    assert taken(pieces(corpus)) == inside - held - out
    assert taken(pieces(corpus, "valid")) == (inside & held) - out
    entry = contig(corpus)
    parts = (entry.train_bp, entry.valid_bp, entry.excluded_bp, entry.outside_bp)
    assert sum(parts) == LENGTH
    assert entry.outside_bp == LENGTH - len(inside | out)


def test_a_halo_never_leaves_its_region(tmp_path: Path, build: Build) -> None:
    corpus = build(
        small(replace(fasta(tmp_path), selection=bed(tmp_path, "c1\t0\t200", "c1\t210\t300")))
    )
    rows = [p for g in corpus.row_groups("train") for p in corpus.read(g)]
    reach = [(p.start, p.bases, len(p.sequence)) for p in rows]
    assert reach == [(0, 150, 180), (150, 50, 50), (210, 90, 90)]


def test_gaps_outside_the_regions_are_outside(tmp_path: Path, build: Build) -> None:
    letters = "A" * 100 + "N" * 100 + "C" * 100
    rule = bed(tmp_path, "c1\t50\t150")
    entry = contig(build(small(replace(fasta(tmp_path, letters), selection=rule))))
    assert (entry.train_bp, entry.gap_bp, entry.outside_bp) == (50, 50, 200)


def test_a_selection_and_its_complement_share_out_every_base(tmp_path: Path, build: Build) -> None:
    rule = Selection("features", ("CDS",), (write(tmp_path, "a.gff.gz", gzip.compress(b"")),))
    rule = replace(rule, files=(write(tmp_path, "a.gff.gz", gzip.compress(GFF.encode())),))
    source = fasta(tmp_path)
    inside, outside = (
        build(small(replace(source, selection=one)))
        for one in (rule, replace(rule, complement=True))
    )
    assert taken(pieces(inside)).isdisjoint(taken(pieces(outside)))
    assert taken(pieces(inside)) | taken(pieces(outside)) == set(range(LENGTH))


def test_fingerprints_from_before_there_were_selections_stand() -> None:
    packed = Source(
        *("Testus one", "t1", "genbank", PackageFile("pack", "1.0", "a.zip", "c.gb"), "group"),
        "0f" * 32,
        valid=(Region("c1", 10, 20),),
        exclude=(Region("c2"),),
    )
    loose = Source("Testus two", "t2", "fasta", LocalFile("/data/two.fa"))
    policy = AlphabetPolicy(split_n_run_bp=7)
    made = IngestSettings("fixed", policy, (packed, loose), 5000, 300, 70)
    before = "1dc2fdcbb53025abbb728c13ba8bbcf5b5239baad6b259274c7916f8d229014f"
    assert made.fingerprint == before


def test_everything_about_a_selection_is_in_the_fingerprint(tmp_path: Path) -> None:
    source = replace(fasta(tmp_path), sha256="0" * 64)
    pinned = PinnedFile(LocalFile("/one.gff"), "1" * 64)
    rule = Selection("features", ("CDS", "exon"), (pinned,))

    def of(selection: Selection | None) -> str:
        return small(replace(source, selection=selection)).fingerprint

    same = (
        replace(rule, features=("exon", "CDS", "CDS")),
        replace(rule, files=(PinnedFile(LocalFile("/two.gff"), "1" * 64),)),
    )
    assert {of(one) for one in same} == {of(rule)}, "order of types and the pinned file's place"
    other = (
        replace(rule, features=("CDS",)),
        replace(rule, files=(replace(pinned, sha256="2" * 64),)),
        replace(rule, files=(replace(pinned, sha256=""),)),
        replace(rule, complement=True),
        replace(rule, flank_bp=1),
        replace(rule, min_bp=2),
        Selection("bed", files=(pinned,)),
        Selection("soft_masked"),
        None,
    )
    assert len({of(rule), *(of(one) for one in other)}) == 1 + len(other)


def test_a_plain_corpus_has_the_manifest_it_always_had(corpus: Corpus) -> None:
    text = (corpus.path / "manifest.json").read_text()
    assert '"regions"' not in text
    assert '"outside_bp"' not in text


def test_annotation_that_changed_since_is_noticed(tmp_path: Path, build: Build) -> None:
    file = write(tmp_path, "a.gff", GFF)
    settings = small(replace(fasta(tmp_path), selection=Selection("features", ("CDS",), (file,))))
    build(settings)
    build(settings)
    write(tmp_path, "a.gff", GFF.replace("301", "302"))
    with pytest.raises(ExistsError, match=r"another content of .*a\.gff"):
        build(settings)
    pinned = Selection("features", ("CDS",), (replace(file, sha256="0" * 64),))
    with pytest.raises(DataError, match="the file changed"):
        build(small(replace(fasta(tmp_path), selection=pinned)))


@pytest.mark.parametrize(
    ("format_", "selection", "message"),
    [
        ("fasta", Selection("features", ("CDS",)), "has no annotation"),
        (
            "genbank",
            Selection("features", ("CDS",), (PinnedFile(LocalFile("/a")),)),
            "beside its features",
        ),
        ("genbank", Selection("soft_masked"), "every letter is lower case"),
    ],
)
def test_a_format_must_be_able_to_give_what_is_asked(
    format_: str, selection: Selection, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        Source(
            *("s", "a", "fasta" if format_ == "fasta" else "genbank", LocalFile("/x")),
            selection=selection,
        )
    assert caught.value.problems[0].fix


def test_an_interval_beyond_its_contig_means_another_assembly(tmp_path: Path, build: Build) -> None:
    source = replace(fasta(tmp_path), selection=bed(tmp_path, "c1\t0\t5", "c1\t890\t901"))
    with pytest.raises(DataError, match=r"c1:890-901 reaches beyond") as caught:
        build(small(source))
    assert "c1 has 900 bases" in caught.value.problems[0].why


def test_memory_is_that_of_the_intervals_not_of_the_letters(tmp_path: Path) -> None:
    line = (random_dna(5_000, 1) + random_dna(5_000, 2).lower()) * 1_000
    source = replace(fasta(tmp_path, line), selection=Selection("soft_masked"))
    del line
    tracemalloc.start()
    found = read_regions(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.entry[0].num_taken == 1_000
    assert peak < 8 << 20, f"{peak:,} bytes held for a contig of 10 Mbp in blocks of 1 MiB"
