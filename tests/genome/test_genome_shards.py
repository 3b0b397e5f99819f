"""Shards: readable by anybody, cut where promised, damaged never unnoticed."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from genome_samples import random_dna

from gfmp.genome.shards import (
    SHARD_SCHEMA,
    Row,
    ShardSeries,
    ShardWriter,
    footer_crc32,
    read_rows,
    rows_crc32,
)
from gfmp.storage.hashes import sha256_file


def rows(lengths: list[int]) -> list[Row]:
    return [
        Row("Testus one", "t1", f"c{i}", "train", 10 * i, n - 5, 5, random_dna(n, i).encode())
        for i, n in enumerate(lengths)
    ]


def test_row_fields_are_the_schema() -> None:
    assert [f.name for f in fields(Row)] == SHARD_SCHEMA.names


def test_rows_come_back_in_groups_and_parts(tmp_path: Path) -> None:
    writer = ShardWriter(ShardSeries(tmp_path, "train", 7, row_group_bp=1_000, shard_bp=2_500))
    written = rows([400, 700, 1_500, 20, 30, 900, 100, 2_600, 50])
    for row in written:
        writer.write(row)
    entries = writer.close()
    assert [e.path.split("/")[1] for e in entries] == [
        f"train-0007-00{part}.parquet" for part in range(3)
    ]
    assert [[g.rows for g in e.row_groups] for e in entries] == [[2, 1], [4, 1], [1]]
    back: list[Row] = []
    for entry in entries:
        path = tmp_path / entry.path.split("/")[1]
        assert (path.stat().st_size, sha256_file(path)) == (entry.bytes, entry.sha256)
        for index, group in enumerate(entry.row_groups):
            got = read_rows(path, index)
            assert rows_crc32(got) == group.crc32
            assert sum(row.bases for row in got) == group.bases
            assert sum(len(row.sequence) for row in got) == group.sequence_bp
            back += got
    assert back == written


def test_nothing_written_is_no_shard(tmp_path: Path) -> None:
    assert ShardWriter(ShardSeries(tmp_path, "valid", 0)).close() == ()
    assert not list(tmp_path.iterdir())


def test_any_parquet_tool_reads_a_shard(tmp_path: Path) -> None:
    writer = ShardWriter(ShardSeries(tmp_path, "train", 0))
    for row in rows([100, 200]):
        writer.write(row)
    (entry,) = writer.close()
    path = tmp_path / "train-0000-000.parquet"
    table = pq.read_table(path)
    assert table.schema.equals(SHARD_SCHEMA)
    assert table.column("sequence").to_pylist() == [random_dna(100, 0), random_dna(200, 1)]
    column = pq.ParquetFile(path).metadata.row_group(0).column(7)
    assert (column.compression, column.is_stats_set) == ("ZSTD", False)
    assert "PLAIN_DICTIONARY" not in column.encodings
    assert entry.rows == 2


def test_checksums_see_every_field() -> None:
    (row,) = rows([60])
    variants = [row] + [
        Row(**{**vars(row), name: value})
        for name, value in (
            ("species", "Testus two"),
            ("contig", "c9"),
            ("start", 1),
            ("bases", 54),
            ("halo", 4),
            ("sequence", row.sequence[::-1]),
        )
    ]
    assert len({rows_crc32([variant]) for variant in variants}) == len(variants)


def test_files_that_are_no_shards_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.parquet"
    text.write_text("hello, I am a text file")
    empty = tmp_path / "empty.parquet"
    empty.touch()
    huge = tmp_path / "huge.parquet"
    huge.write_bytes(b"PAR1" + b"x" * 90 + b"\xff\xff\xff\x7fPAR1")
    for path in (text, empty, huge):
        with pytest.raises(ValueError, match="does not end like Parquet"):
            footer_crc32(path)
        with pytest.raises(ValueError, match=r"\w"):
            read_rows(path, 0)
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"sequence": ["ACGT"], "id": [1]}), other)
    with pytest.raises(ValueError, match="columns are"):
        read_rows(other, 0)
