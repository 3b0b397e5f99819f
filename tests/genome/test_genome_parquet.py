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

# Pages as they are in memory, with checksums; statistics would hold a second copy of the letters.
PLAIN = {
    "compression": "none",
    "use_dictionary": False,
    "write_statistics": False,
    "write_page_checksum": True,
}


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


def test_links_in_a_folder_are_refused_and_all_named(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    first = write(folder / "a.parquet", sequence=["ACGT"])
    outside = write(tmp_path / "elsewhere" / "b.parquet", sequence=["GGGG"])
    (folder / "sibling.parquet").symlink_to(first.name)
    (folder / "outside").symlink_to(outside.parent)
    with pytest.raises(DataError, match="symbolic link") as caught:
        list(read_parquet(folder, Columns("sequence")))
    names = sorted(Path(p.where).name for p in caught.value.problems)
    assert names == ["outside", "sibling.parquet"]
    (tmp_path / "moved").symlink_to(folder)
    (folder / "sibling.parquet").unlink()
    (folder / "outside").unlink()
    read = contigs(read_parquet(tmp_path / "moved", Columns("sequence")))
    assert read == {"a.parquet:0": "ACGT"}, "a folder that a person names may be a link itself"


def test_a_flipped_bit_in_a_page_with_a_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"sequence": [random_dna(4_000, 1)]})
    pq.write_table(table, path, **PLAIN)
    good = path.read_bytes()
    place = good.index(random_dna(4_000, 1)[1000:1100].encode())
    path.write_bytes(good[:place] + bytes([good[place] ^ 2]) + good[place + 1 :])
    with pytest.raises(DataError, match="not readable Parquet"):
        list(read_parquet(path, Columns("sequence")))
    bare = pq.read_table(path)["sequence"][0].as_py()
    assert bare != random_dna(4_000, 1), "the library alone hands out another sequence"


def test_a_column_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"sequence": ["ACGT"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"sequence", b"\xf3equence"))
    with pytest.raises(DataError, match="not readable Parquet: 'utf-8' codec"):
        list(read_parquet(path, Columns("sequence")))
