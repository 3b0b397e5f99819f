"""Rows whose sequences stand in FASTA: joined by name, row by row, or classed by header."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.genome.annotation_lines import numbered_lines
from gfmp.genome.fasta import read_fasta
from gfmp.spec.task import FastaSource, TargetSpec
from gfmp.spec.task_formats import AlignedFastaSource, LabelledFastaSource
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.formats.tabular import Columns, labelled_rows, read_columns
from gfmp.tasks.inputs import InputFile
from gfmp.tasks.labels import read_targets
from gfmp.tasks.pool import Pool, joined, with_sequences
from gfmp.tasks.tables import Table, read_table, separator_of
from gfmp.tasks.task import Rows


def read_fastas(source: FastaSource, files: Sequence[InputFile], target: TargetSpec) -> Pool:
    """Read FASTA records and join each to the row of its name.

    Raises:
        DataError: a record has no row or a row no record, or a file is wrong; names the place.
    """
    columns = Columns(
        "", source.id_column, source.group_column, source.contig_column, source.split_column
    )
    path = next(file.path for file in files if file.role == "table")
    kind = "tsv" if ".tsv" in path.suffixes else "csv"
    table = read_columns(path, kind, (*columns.named(), *target.columns))
    labels = labelled_rows(table, columns, target, "all")
    rows = _rows_by_name(table, source.id_column)
    parts = [_by_name(file, labels, rows, path) for file in files if file.role != "table"]
    pool = joined(parts)
    unused = set(rows) - set(pool.rows.origins)
    if unused:
        first = min(rows[name] for name in unused)
        raise DataError(
            f"{len(unused):,} rows of the table have no sequence, first {_at(table, first)!r}",
            where=table.where(first),
            why="every row is joined to the FASTA record of its name",
            fix="remove the rows, or name the FASTA file that holds them",
        )
    return pool


def read_aligned_fastas(
    source: AlignedFastaSource, files: Sequence[InputFile], target: TargetSpec
) -> Pool:
    """Read FASTA files and give record i of each the row i of its table.

    Raises:
        DataError: a file and its table have different numbers of rows, or a row is wrong.
    """
    tables = {f.role.removeprefix("table "): f for f in files if f.role.startswith("table ")}
    columns = Columns(
        group=source.group_column, contig=source.contig_column, split=source.split_column
    )
    parts: list[Pool] = []
    for file in (one for one in files if one.role in ("all", "train", "valid", "test")):
        path = tables[file.role].path
        table = read_table(path, (*columns.named(), *target.columns), separator_of(path))
        records = list(_records(file.path))
        _check_as_many(records, file.path, table)
        labels = labelled_rows(table, columns, target, file.role)
        pool = _of_records(labels, records, file.path)
        parts.append(pool)
    return joined(parts)


def read_labelled_fastas(
    source: LabelledFastaSource, files: Sequence[InputFile], target: TargetSpec
) -> Pool:
    """Read FASTA files whose headers end with the class of the record.

    Raises:
        DataError: a header has no class, or one that the target does not name.
    """
    parts: list[Pool] = []
    for file in files:
        records = list(_records(file.path))
        cells = [_class_of(record, source.separator, file.path) for record in records]
        table = Table(file.path, {"label": cells}, [record.line for record in records])
        targets = read_targets(table, target.model_copy(update={"columns": ("label",)}))
        empty = ("",) * len(records)
        rows = Rows((b"",) * len(records), targets, empty, empty)
        given = empty if file.role == "all" else (file.role,) * len(records)
        parts.append(_of_records(Pool(rows, empty, given), records, file.path))
    return joined(parts)


@dataclass(frozen=True)
class _Record:
    header: str
    line: int
    letters: str


def _records(path: Path) -> Iterator[_Record]:
    """Yield the records of a FASTA file, whose names may come again, with their whole headers."""
    header, line, lines = "", 0, list[str]()
    for number, text in _lines(path):
        if not text.startswith(">"):
            lines.append(text.strip())
            continue
        if line:
            yield _Record(header, line, "".join(lines))
        header, line, lines = text[1:].strip(), number, []
    yield _Record(header, line, "".join(lines))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a FASTA file from its first header on."""
    with path.open("rb") as stream:
        lines = numbered_lines(stream, str(path))
        number, text = next(((n, t) for n, t in lines if t.strip()), (1, ""))
        if not text.startswith(">"):
            raise DataError(
                "this is not FASTA: it begins with no '>' line",
                where=f"{path}:{number}",
                why="every sequence follows a line that begins with '>'",
                fix="name the right file",
            )
        yield number, text
        yield from lines


def _of_records(labels: Pool, records: Sequence[_Record], path: Path) -> Pool:
    """Give rows the sequences and the names of these records."""
    pool = with_sequences(
        labels, [r.letters for r in records], "sequence", lambda i: f"{path}:{records[i].line}"
    )
    names = tuple((r.header.split(maxsplit=1) or [f"{path.name}:{r.line}"])[0] for r in records)
    return replace(pool, rows=replace(pool.rows, origins=names))


def _check_as_many(records: Sequence[_Record], path: Path, table: Table) -> None:
    if len(records) != len(table):
        raise DataError(
            f"{len(records):,} records and {len(table):,} rows",
            where=f"{path} and {table.path}",
            why="row i of the table belongs to record i of the FASTA file",
            fix="fetch both files again; one of them was cut, or is another version",
        )


def _class_of(record: _Record, separator: str, path: Path) -> str:
    _, found, label = record.header.rpartition(separator)
    if not found or not label.strip():
        raise DataError(
            f"header {record.header[:60]!r} ends with no class",
            where=f"{path}:{record.line}",
            why=f"the class of a record stands behind the last {separator!r} of its header",
            fix="name the right file, or the right source.separator",
        )
    return label.strip()


def _at(table: Table, row: int) -> str:
    return next(iter(table.columns.values()))[row]


def _rows_by_name(table: Table, column: str) -> dict[str, int]:
    rows: dict[str, int] = {}
    for row, name in enumerate(table.columns[column]):
        if rows.setdefault(name, row) != row:
            raise DataError(
                f"column {column!r} holds {name!r} twice",
                where=table.where(row),
                why=f"it stands first in line {table.places[rows[name]]}",
                fix="keep one of the rows",
            )
    return rows


def _by_name(file: InputFile, labels: Pool, rows: dict[str, int], table: Path) -> Pool:
    letters: dict[str, list[bytes]] = {}
    lines: list[int] = []
    with file.path.open("rb") as stream:
        for block in read_fasta(stream, str(file.path)):
            if block.contig not in letters:
                lines.append(block.line)
            letters.setdefault(block.contig, []).append(block.bases)
    for name, line in zip(letters, lines, strict=True):
        if name not in rows:
            raise DataError(
                f"record {name!r} has no row in the table",
                where=f"{file.path}:{line}",
                why=f"its labels are looked up in {table}",
                fix=did_you_mean(name, rows) or "add the row, or remove the record",
            )
    taken = _take(labels, np.array([rows[name] for name in letters], dtype=np.int64), file.role)
    cells = [b"".join(blocks).decode("latin-1") for blocks in letters.values()]
    return with_sequences(taken, cells, "sequence", lambda i: f"{file.path}:{lines[i]}")


def _take(labels: Pool, rows: NDArray[np.int64], role: str) -> Pool:
    taken = labels.take(rows)
    return taken if role == "all" else replace(taken, given=(role,) * len(rows))
