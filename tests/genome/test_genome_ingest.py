"""From files to a published corpus, and everything that must not be published."""

from __future__ import annotations

import gzip
import multiprocessing
import pickle
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from genome_samples import Build, WriteFasta, fasta_text, genbank_text, local, random_dna
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gfmp.errors import DataError, ExistsError, GfmpError, LockedError, SpecError
from gfmp.genome import inflate
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import Job, build_corpus, ingest_source
from gfmp.genome.reports import SourceReport
from gfmp.genome.sources import IngestSettings, LocalFile, Region, Source
from gfmp.genome.splits import Split
from gfmp.storage.hashes import sha256_file
from gfmp.storage.locks import exclusive


def core_letters(corpus: Corpus, split: Split) -> dict[tuple[str, int], str]:
    pieces = [piece for group in corpus.row_groups(split) for piece in corpus.read(group)]
    return {(p.contig, p.start): p.sequence[: p.bases].decode() for p in pieces}


def test_every_base_is_read_back_where_it_belongs(corpus: Corpus) -> None:
    letters = {"c1": random_dna(12_000, 1), "c2": random_dna(6_000, 2), "d1": random_dna(12_000, 3)}
    train, valid = core_letters(corpus, "train"), core_letters(corpus, "valid")
    for (contig, start), text in (train | valid).items():
        assert letters[contig][start : start + len(text)] == text
    assert sum(map(len, valid.values())) == 2_000 == corpus.manifest.bases("valid")
    assert sum(map(len, train.values())) == 27_000 == corpus.manifest.bases("train")
    assert {contig for contig, _ in valid} == {"c1"}
    entries = {contig.name: contig for _, contig in corpus.contigs()}
    assert (entries["c1"].valid_bp, entries["c2"].excluded_bp) == (2_000, 1_000)


def test_totals_and_alphabet_are_counted(write_fasta: WriteFasta, build: Build) -> None:
    text = "ACGTacgt" * 20 + "RYN" + "N" * 60 + "G" * 90
    corpus = build(IngestSettings("s", sources=(local(write_fasta("a.fa", ("a", text))),)))
    manifest = corpus.manifest
    (total,) = manifest.totals
    assert (total.rows, total.contigs, total.bases) == (2, 1, 250)
    composition = total.composition
    assert (composition.a, composition.g, composition.n) == (40, 130, 0)
    assert manifest.sources[0].contigs.gap_bp == 63, "R and Y became N before runs were judged"
    assert (manifest.alphabet.upper, manifest.alphabet.soft_masked, manifest.alphabet.n) == (
        170,
        80,
        61,
    )


@given(st.integers(1, 400), st.sampled_from(["\n", "\r\n"]), st.booleans())
@hypothesis_settings(deadline=None, max_examples=8)
def test_content_hash_ignores_layout(
    tmp_path_factory: pytest.TempPathFactory, width: int, end: str, packed: bool
) -> None:
    folder = tmp_path_factory.mktemp("layout")
    records = [("a", random_dna(3_000, 1)), ("b", random_dna(500, 2))]
    data = fasta_text(records, width, end)
    (folder / "plain").write_bytes(fasta_text(records))
    (folder / "other").write_bytes(gzip.compress(data) if packed else data)
    plain, other = (
        build_corpus(
            IngestSettings("s", sources=(local(folder / name),), piece_bp=1_000, halo_bp=50),
            folder / "corpora" / name,
        )
        for name in ("plain", "other")
    )
    assert plain.fingerprint == other.fingerprint


def test_content_hash_ignores_blocks_workers_and_source_order(
    settings: IngestSettings, build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = build(settings).fingerprint
    turned = replace(settings, sources=settings.sources[::-1], name="turned")
    assert build(turned).fingerprint == expected
    monkeypatch.setattr(inflate, "BLOCK_BYTES", 777)
    small = build_corpus(settings, tmp_path / "small-blocks")
    assert small.fingerprint == expected
    assert small.manifest.sources == build(settings).manifest.sources


def test_content_hash_follows_content(settings: IngestSettings, build: Build) -> None:
    one, two = settings.sources
    variants = [
        settings,
        replace(settings, halo_bp=299),
        replace(settings, sources=(replace(one, exclude=()), two)),
        replace(settings, sources=(one, replace(two, species="Testus three"))),
    ]
    assert len({build(variant).fingerprint for variant in variants}) == len(variants)


def backwards(job: Callable[[Job], SourceReport], jobs: Sequence[Job]) -> Iterable[SourceReport]:
    """Run jobs from the last to the first, each as a pickled copy, some of them twice."""
    for item in reversed(jobs):
        pickle.loads(pickle.dumps(job))(item)
        yield pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(job))(item)))


def test_any_mapper_gives_the_same_manifest(settings: IngestSettings, tmp_path: Path) -> None:
    plain = build_corpus(settings, tmp_path / "plain")
    mapped = build_corpus(settings, tmp_path / "mapped", run=backwards)
    assert mapped.manifest == plain.manifest
    mapped.verify()


def test_a_mapper_that_loses_a_source_is_caught(settings: IngestSettings, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"reports of sources \[0\]"):
        build_corpus(settings, tmp_path / "c", run=lambda job, jobs: [job(jobs[0])])
    assert not (tmp_path / "c").exists()


def test_all_formats_hold_the_same_letters(tmp_path: Path, build: Build) -> None:
    letters = random_dna(3_000, 9)
    gb, fa = genbank_text("X", letters), fasta_text([("X.2", letters)])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.gb", gb)
    (tmp_path / "x.gb").write_bytes(gzip.compress(gb))
    (tmp_path / "x.fa").write_bytes(fa)
    genbank = Source("s", "a", "genbank", LocalFile(str(tmp_path / "x.gb")))
    sources = [
        genbank,
        replace(genbank, location=LocalFile(str(tmp_path / "a.zip"), "x.gb")),
        replace(genbank, format="fasta", location=LocalFile(str(tmp_path / "x.fa"))),
    ]
    assert len({build(IngestSettings("s", sources=(s,))).fingerprint for s in sources}) == 1


@pytest.mark.parametrize(
    ("letters", "where", "message", "fix"),
    [
        ("ACGU", ":2:4", "'U' (0x55)", "alphabet.uracil: t"),
        ("ACGT\nAC-T", ":3:3", "'-' (0x2d)", "alignment"),
        ("ACGT*", ":2:5", "'*' (0x2a)", "correct the file"),
        ("AC1T", ":2:3", "'1' (0x31)", "correct the file"),
        ("MKLVPEFQIL", ":2:3", "'L' (0x4c)", "looks like a protein"),
        ("AC\0T", ":2:3", "NUL byte", "correct the file"),
    ],
)
def test_refused_letters_name_their_place_and_publish_nothing(
    tmp_path: Path, letters: str, where: str, message: str, fix: str
) -> None:
    path = tmp_path / "x.fa"
    path.write_bytes(b">a\n" + letters.encode() + b"\n")
    with pytest.raises(DataError) as caught:
        build_corpus(IngestSettings("s", sources=(local(path),)), tmp_path / "out" / "c")
    (problem,) = caught.value.problems
    assert problem.where == str(path) + where
    assert message in problem.message
    assert fix in problem.fix
    assert [p.name for p in (tmp_path / "out").iterdir()] == [".lock"]


def test_a_pinned_file_that_changed_is_refused(write_fasta: WriteFasta, build: Build) -> None:
    path = write_fasta("a.fa", ("a", random_dna(200, 1)))
    pinned = replace(local(path), sha256=sha256_file(path))
    build(IngestSettings("s", sources=(pinned,)))
    write_fasta("a.fa", ("a", random_dna(200, 2)))
    with pytest.raises(DataError, match="the file changed"):
        build(IngestSettings("other", sources=(pinned,)))


def test_an_unpinned_file_that_changed_is_noticed(write_fasta: WriteFasta, build: Build) -> None:
    settings = IngestSettings("s", sources=(local(write_fasta("a.fa", ("a", random_dna(200, 1)))),))
    first = build(settings)
    assert build(settings).fingerprint == first.fingerprint
    write_fasta("a.fa", ("a", random_dna(200, 2)))
    with pytest.raises(ExistsError, match="another content"):
        build(settings)


def test_another_corpus_is_never_replaced(settings: IngestSettings, tmp_path: Path) -> None:
    build_corpus(settings, tmp_path / "c")
    with pytest.raises(ExistsError, match="another corpus is here: 'small'"):
        build_corpus(replace(settings, name="other"), tmp_path / "c")


def test_settings_fingerprint_of_pinned_files_ignores_where_they_lie(tmp_path: Path) -> None:
    pins = [replace(local(tmp_path / name), sha256="0" * 64) for name in ("a", "b")]
    loose = [local(tmp_path / name) for name in ("a", "b")]
    one, two, three, four = (IngestSettings("s", sources=(s,)).fingerprint for s in (*pins, *loose))
    assert one == two
    assert len({two, three, four}) == 3


@pytest.mark.parametrize("lengths", [(0, 10, 0), (100, 10, 101), (10**8, 10, 70), (100, -1, 70)])
def test_lengths_that_do_not_go_together_are_refused(lengths: tuple[int, int, int]) -> None:
    piece_bp, halo_bp, shortest_bp = lengths
    with pytest.raises(SpecError, match="piece_bp"):
        IngestSettings("s", piece_bp=piece_bp, halo_bp=halo_bp, shortest_bp=shortest_bp)


def test_sources_need_names_and_readable_places() -> None:
    with pytest.raises(SpecError, match="no species or no assembly"):
        Source("", "a", "fasta", LocalFile("/x"))
    with pytest.raises(SpecError, match="inside a zip"):
        Source("s", "a", "parquet", LocalFile("/x.zip", "a.parquet"))


def test_a_living_builder_is_waited_for_and_then_named(
    settings: IngestSettings, tmp_path: Path
) -> None:
    with (
        exclusive(tmp_path / ".lock"),
        pytest.raises(LockedError, match="another gfmp process"),
    ):
        build_corpus(settings, tmp_path / "c", wait_seconds=0.2)


def test_two_processes_build_one_corpus(settings: IngestSettings, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=build_corpus, args=(settings, tmp_path / "c")) for _ in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    Corpus.open(tmp_path / "c").verify()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["c"]


def test_what_a_killed_builder_left_is_removed(settings: IngestSettings, tmp_path: Path) -> None:
    (tmp_path / "out" / ".tmp-c-dead" / "shards").mkdir(parents=True)
    build_corpus(settings, tmp_path / "out" / "c")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [".lock", "c"]


def test_errors_cross_process_borders(tmp_path: Path) -> None:
    with pytest.raises(GfmpError) as caught:
        ingest_source(local(tmp_path / "none.fa"), 0, IngestSettings("s"), tmp_path)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems


def test_parquet_gives_rows_with_their_own_contigs(corpus: Corpus, build: Build) -> None:
    shards = LocalFile(str(corpus.path / "shards"))
    source = Source(
        "Testus one", "p", "parquet", shards, exclude=(Region("train-0001-000.parquet:0"),)
    )
    again = build(IngestSettings("again", sources=(source,), piece_bp=500))
    names = [contig.name for _, contig in again.contigs()]
    assert len(names) == sum(shard.rows for shard in corpus.manifest.shards)
    assert names[-1].startswith("valid-0000-000.parquet:")
