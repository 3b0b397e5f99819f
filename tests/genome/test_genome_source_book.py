"""One source in the books: sums that add up, letters kept as the policy says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from genome_samples import fasta_text, local, part_of, random_dna
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import RefusedError, StorageError
from gfmp.genome.alphabet import AlphabetPolicy
from gfmp.genome.ingest import ingest_source
from gfmp.genome.manifest import Composition
from gfmp.genome.reports import SourceReport
from gfmp.genome.shards import Row, read_rows
from gfmp.genome.sources import IngestSettings, Region

CONTIGS = st.lists(
    st.lists(
        st.one_of(st.text("ACGTacgt", min_size=1, max_size=60), st.just("N" * 20)),
        min_size=1,
        max_size=6,
    ).map("".join),
    min_size=1,
    max_size=4,
)


def ingest(folder: Path, letters: list[str], plan: IngestSettings) -> SourceReport:
    path = folder / "x.fa"
    path.write_bytes(fasta_text([(f"c{i}", text) for i, text in enumerate(letters)]))
    held = replace(local(path), valid=(Region("c0", 10, 40),), exclude=(Region("c1", 5),))
    return ingest_source(held, 3, plan, folder)


def stored(folder: Path, report: SourceReport) -> list[Row]:
    return [
        row
        for shard in report.shards
        for index in range(len(shard.row_groups))
        for row in read_rows(folder / shard.path, index)
    ]


@given(CONTIGS, st.integers(10, 50), st.integers(0, 30))
@settings(deadline=None, max_examples=25)
def test_report_and_shards_tell_the_same_story(
    tmp_path_factory: pytest.TempPathFactory, letters: list[str], piece_bp: int, halo_bp: int
) -> None:
    folder = tmp_path_factory.mktemp("book")
    plan = IngestSettings(
        "s",
        AlphabetPolicy(split_n_run_bp=20),
        (),
        piece_bp=piece_bp,
        halo_bp=halo_bp,
        shortest_bp=4,
    )
    report = ingest(folder, letters, plan)
    rows = stored(folder, report)
    for i, (text, contig) in enumerate(zip(letters, part_of(folder, 3), strict=True)):
        parts = (
            contig.train_bp,
            contig.valid_bp,
            contig.excluded_bp,
            contig.gap_bp,
            contig.short_bp,
        )
        assert sum(parts) == contig.length_bp == len(text)
        assert contig.letters_sha256 == hashlib.sha256(text.upper().encode()).hexdigest()
        mine = [row for row in rows if row.contig == f"c{i}"]
        assert len(mine) == contig.num_pieces
        for row in mine:
            reach = slice(row.start, row.start + row.bases + row.halo)
            assert row.sequence.decode() == text.upper()[reach]
    for total in report.totals:
        cores = b"".join(r.sequence[: r.bases] for r in rows if r.split == total.split)
        assert total.bases == len(cores)
        assert total.composition == Composition(
            *(cores.count(c) for c in (b"A", b"C", b"G", b"T", b"N"))
        )
        assert total.contigs == len({r.contig for r in rows if r.split == total.split})


def test_soft_mask_is_kept_when_asked(tmp_path: Path) -> None:
    letters = "ACGTacgtnnRr" * 20
    plan = IngestSettings("s", AlphabetPolicy(soft_mask="keep"), shortest_bp=1)
    report = ingest(tmp_path, [letters, "ACGTAC"], plan)
    text = {r.start: r.sequence.decode() for r in stored(tmp_path, report) if r.contig == "c0"}
    assert text[0][:10] == "ACGTacgtNN"
    upper = hashlib.sha256(b"ACGTACGTNNNN" * 20).hexdigest()
    assert part_of(tmp_path, 3)[0].letters_sha256 == upper, "identity ignores the soft mask"
    assert sum(total.composition.n for total in report.totals) == 4 * 20


def test_doing_a_source_again_gives_the_same_files(tmp_path: Path) -> None:
    letters = [random_dna(500, 1), random_dna(300, 2)]
    first = ingest(tmp_path, letters, IngestSettings("s"))
    assert ingest(tmp_path, letters, IngestSettings("s")) == first


def test_a_disk_that_refuses_is_reported(tmp_path: Path) -> None:
    (tmp_path / "shards").write_text("a file where the folder should be")
    with pytest.raises((StorageError, RefusedError), match="cannot write"):
        ingest(tmp_path, [random_dna(500, 1), "ACGTACGT"], IngestSettings("s"))


def test_a_shard_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "shards" / "train-0003-000.parquet").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot write"):
        ingest(tmp_path, [random_dna(500, 1), "ACGTACGT"], IngestSettings("s"))
