"""The table of contigs: batches, parts joined in order, rows that repeat."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError, RefusedError, StorageError
from gfmp.genome import contigs
from gfmp.genome.contigs import (
    ContigEntry,
    ContigSums,
    ContigTable,
    ContigWriter,
    join_contigs,
    repeated,
)


def entry(name: str, length: int = 10, digest: str = "ab" * 32) -> ContigEntry:
    """Return a contig that was trained on whole."""
    return ContigEntry(name, length, length, 0, 0, 0, 0, 1, digest, digest)


def written(folder: Path, *sources: list[ContigEntry]) -> ContigTable:
    """Write the contigs of each source and join them."""
    for index, entries in enumerate(sources):
        writer = ContigWriter(folder, index)
        for one in entries:
            writer.add(one)
        assert writer.close() == ContigSums.of(entries)
    return ContigTable(folder / join_contigs(folder, len(sources)).path)


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_entries_come_back_in_order_whatever_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(contigs, "_BATCH_ROWS", batch)
    sources = [[entry(f"s{s}c{i}", i) for i in range(number)] for s, number in enumerate((5, 0, 3))]
    table = written(tmp_path, *sources)
    assert list(table.entries()) == [(s, e) for s, mine in enumerate(sources) for e in mine]
    assert table.names([2, 0]) == [e.name for e in (*sources[0], *sources[2])]
    assert [p.name for p in tmp_path.iterdir()] == ["contigs.parquet"], "no part is left"


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), max_size=12))
@settings(deadline=None, max_examples=40)
def test_rows_that_repeat_are_those_a_person_would_find(rows: list[tuple[int, str]]) -> None:
    table = pa.table({"owner": [r[0] for r in rows], "name": pa.array([r[1] for r in rows], "str")})
    found = repeated(table, "owner", "name")
    assert [(r["owner"], r["name"]) for r in found.to_pylist()] == [
        row for row in rows if rows.count(row) > 1
    ]


def test_a_table_that_is_none_is_damage(tmp_path: Path) -> None:
    (tmp_path / "contigs.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(CorruptArtefactError, match="the contigs cannot be read"):
        ContigTable(tmp_path / "contigs.parquet").names([0])


def test_a_disk_that_refuses_is_reported(tmp_path: Path) -> None:
    (tmp_path / "contigs").write_text("a file where the folder should be")
    with pytest.raises((StorageError, RefusedError), match="cannot write"):
        ContigWriter(tmp_path, 0)
