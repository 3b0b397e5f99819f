"""Parquet tables of tasks: pages with a checksum are checked."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gfmp.errors import DataError
from gfmp.tasks.tables import read_parquet_table

# Pages as they are in memory, with checksums; statistics would hold a second copy of the letters.
PLAIN = {
    "compression": "none",
    "use_dictionary": False,
    "write_statistics": False,
    "write_page_checksum": True,
}


def test_a_flipped_bit_in_a_page_is_refused_not_learnt(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    letters = "ACGTTGCA" * 50
    table = pa.table({"sequence": [letters], "label": [1]})
    pq.write_table(table, path, **PLAIN)
    assert read_parquet_table(path, ["sequence", "label"]).columns["sequence"] == [letters]
    good = path.read_bytes()
    place = good.index(letters.encode()) + 200
    path.write_bytes(good[:place] + bytes([good[place] ^ 2]) + good[place + 1 :])
    with pytest.raises(DataError, match="not readable Parquet") as caught:
        read_parquet_table(path, ["sequence", "label"])
    assert caught.value.problems[0].where == str(path)
    assert pq.read_table(path)["sequence"].to_pylist() != [letters], "the library alone is silent"


def test_a_column_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"sequence": ["ACGT"], "label": [1]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"sequence", b"\xf3equence"))
    with pytest.raises(DataError, match="not readable Parquet: 'utf-8' codec"):
        read_parquet_table(path, ["sequence", "label"])
