"""Parquet data sets as sources."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from genome_samples import contigs, random_dna

from gfmp.errors import DataError
from gfmp.genome.blocks import BLOCK_BYTES
from gfmp.genome.parquet import Columns, read_parquet


def write(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_rows_become_contigs(tmp_path: Path, kind: pa.DataType) -> None:
    letters = [random_dna(n, n) for n in (1, 100, 3_000)]
    path = write(tmp_path / "a.parquet", dna=pa.array(letters, pa.string()).cast(kind))
    expected = {f"a.parquet:{i}": text for i, text in enumerate(letters)}
    assert contigs(read_parquet(path, Columns("dna"))) == expected


def test_a_folder_is_read_in_name_order_with_names_from_a_column(tmp_path: Path) -> None:
    write(tmp_path / "d" / "part-1.parquet", name=["b"], sequence=["GT"])
    write(tmp_path / "d" / "part-0.parquet", name=["a", "c"], sequence=["AC", "TT"])
    got = contigs(read_parquet(tmp_path / "d", Columns("sequence", "name")))
    assert list(got.items()) == [("a", "AC"), ("c", "TT"), ("b", "GT")]


def test_a_long_row_comes_in_blocks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", sequence=["A" * (2 * BLOCK_BYTES + 3)])
    blocks = list(read_parquet(path, Columns("sequence")))
    assert [len(b.bases) for b in blocks] == [BLOCK_BYTES, BLOCK_BYTES, 3]
    assert blocks[2].locate(1) == f"{path}:1:{2 * BLOCK_BYTES + 2}"


def test_damage_and_wrong_columns_are_refused(tmp_path: Path) -> None:
    good = write(tmp_path / "a.parquet", sequence=["ACGT"], number=[1])
    text = tmp_path / "t.parquet"
    text.write_text(">a\nACGT\n")
    (tmp_path / "empty").mkdir()
    for path, columns, message in (
        (good, Columns("dna"), "no column 'dna'"),
        (good, Columns("sequence", "name"), "no column 'name'"),
        (good, Columns("number"), "column 'number' holds int64"),
        (text, Columns("sequence"), "not readable Parquet"),
        (tmp_path / "empty", Columns("sequence"), r"no \*.parquet file"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            list(read_parquet(path, columns))
        assert caught.value.problems[0].where == str(path)


@pytest.mark.parametrize(
    ("names", "letters", "message"),
    [
        (["a", "a"], ["AC", "GT"], "two records are named 'a': lines 1 and 2"),
        (["a", None], ["AC", "GT"], "record name ''"),
        (["a", "b"], ["AC", None], "record 'b' has no sequence"),
        (["a", "b"], ["", "AC"], "record 'a' has no sequence"),
    ],
)
def test_bad_rows_are_named(
    tmp_path: Path, names: list[str | None], letters: list[str | None], message: str
) -> None:
    path = write(tmp_path / "a.parquet", name=names, sequence=letters)
    with pytest.raises(DataError, match=message):
        list(read_parquet(path, Columns("sequence", "name")))
