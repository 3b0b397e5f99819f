"""Reading the rows of a task's source, every one of them, before they are split."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.genome.alphabet import AlphabetCounts
from gfmp.genome.fasta import read_fasta
from gfmp.spec.task import FastaSource, FolderSource, TableSource, TargetSpec, TaskSpec
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.derive import derive
from gfmp.tasks.inputs import InputFile, anchored, input_files
from gfmp.tasks.labels import read_targets
from gfmp.tasks.letters import normalised
from gfmp.tasks.tables import Table, read_parquet_table, read_table
from gfmp.tasks.task import Rows

_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    "test": "test",
}


@dataclass(frozen=True)
class Pool:
    """All rows of a source.

    Attributes:
        rows: The rows, in the order of the files.
        contigs: Contig of each row; empty text where it is not known.
        given: Split the source gives each row; empty text where it gives none.
        counts: What the letters were before they became A, C, G, T, N.
    """

    rows: Rows
    contigs: tuple[str, ...]
    given: tuple[str, ...]
    counts: AlphabetCounts = field(default_factory=AlphabetCounts)


@dataclass(frozen=True)
class _Columns:
    sequence: str = ""
    id: str = ""
    group: str = ""
    contig: str = ""
    split: str = ""

    def named(self) -> tuple[str, ...]:
        """Return the columns that are given."""
        columns = (self.sequence, self.id, self.group, self.contig, self.split)
        return tuple(c for c in columns if c)


def read_pool(spec: TaskSpec, base: Path) -> Pool:
    """Read every row of a task.

    Args:
        spec: The task as asked for.
        base: The folder that relative paths start from.

    Raises:
        MissingInputError: a file or package is not there.
        DataError: a file is damaged or a row is wrong; names file, line, column and value.
    """
    source, files = spec.source, input_files(spec, base)
    if isinstance(source, TableSource):
        columns = _Columns(
            source.sequence_column,
            source.id_column,
            source.group_column,
            source.contig_column,
            source.split_column,
        )
        return _read_tables(files, source.format, columns, spec.target)
    if isinstance(source, FolderSource):
        return _read_tables(files, "csv", _Columns(source.sequence_column), spec.target)
    if isinstance(source, FastaSource):
        return _read_fastas(files, source, spec.target)
    rows = derive(anchored(source, base))
    contigs = tuple(origin.rsplit(":", 2)[0] for origin in rows.origins)
    return Pool(rows, contigs, ("",) * len(rows))


def _read_tables(
    files: Sequence[InputFile], kind: str, columns: _Columns, target: TargetSpec
) -> Pool:
    wanted = (*columns.named(), *target.columns)
    parts: list[Pool] = []
    for file in files:
        table = _table(file.path, kind, wanted)
        labels = _labels(table, columns, target, file.role)
        cells = table.columns[columns.sequence]
        parts.append(_with_sequences(labels, cells, columns.sequence, table.where))
    return _joined(parts)


def _table(path: Path, kind: str, wanted: Sequence[str]) -> Table:
    if kind == "parquet":
        return read_parquet_table(path, wanted)
    return read_table(path, wanted, "," if kind == "csv" else "\t")


def _read_fastas(files: Sequence[InputFile], source: FastaSource, target: TargetSpec) -> Pool:
    columns = _Columns(
        "", source.id_column, source.group_column, source.contig_column, source.split_column
    )
    path = next(file.path for file in files if file.role == "table")
    kind = "tsv" if ".tsv" in path.suffixes else "csv"
    table = _table(path, kind, (*columns.named(), *target.columns))
    labels = _labels(table, columns, target, "all")
    rows = _rows_by_name(table, source.id_column)
    parts = [_read_fasta(file, labels, rows, path) for file in files if file.role != "table"]
    pool = _joined(parts)
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


def _read_fasta(file: InputFile, labels: Pool, rows: dict[str, int], table: Path) -> Pool:
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
    return _with_sequences(taken, cells, "sequence", lambda i: f"{file.path}:{lines[i]}")


def _take(labels: Pool, rows: NDArray[np.int64], role: str) -> Pool:
    places = rows.tolist()
    given = tuple(labels.given[i] if role == "all" else role for i in places)
    return Pool(labels.rows.take(rows), tuple(labels.contigs[i] for i in places), given)


def _labels(table: Table, columns: _Columns, target: TargetSpec, role: str) -> Pool:
    """Return the rows of a table, still without sequences."""
    empty = ("",) * len(table)
    ids = table.columns[columns.id] if columns.id else None
    origins = ids or [f"{table.path.name}:{place}" for place in table.places]
    groups = tuple(table.columns[columns.group]) if columns.group else empty
    contigs = tuple(table.columns[columns.contig]) if columns.contig else empty
    given = empty if role == "all" else (role,) * len(table)
    if columns.split and role == "all":
        given = _given(table, columns.split)
    targets = read_targets(table, target)
    return Pool(Rows((b"",) * len(table), targets, tuple(origins), groups), contigs, given)


def _given(table: Table, column: str) -> tuple[str, ...]:
    cells = [cell.strip().lower() for cell in table.columns[column]]
    wrong = set(cells) - set(_SPLIT_WORDS)
    if wrong:
        row = next(i for i, cell in enumerate(cells) if cell in wrong)
        raise DataError(
            f"column {column!r} holds {table.columns[column][row][:40]!r}",
            where=table.where(row),
            why="it holds train, valid (or dev, val, validation) and test",
            fix="correct the row",
        )
    return tuple(_SPLIT_WORDS[cell] for cell in cells)


def _with_sequences(
    labels: Pool, cells: Sequence[str], column: str, where: Callable[[int], str]
) -> Pool:
    sequences, counts = normalised(cells, column, where)
    rows = labels.rows
    whole = Rows(sequences, rows.targets, rows.origins, rows.groups)
    return Pool(whole, labels.contigs, labels.given, counts)


def _joined(parts: Sequence[Pool]) -> Pool:
    def chained(pick: Callable[[Pool], tuple[str, ...]]) -> tuple[str, ...]:
        """Return one column of all parts."""
        return tuple(itertools.chain.from_iterable(pick(part) for part in parts))

    rows = Rows(
        tuple(itertools.chain.from_iterable(part.rows.sequences for part in parts)),
        np.concatenate([part.rows.targets for part in parts]),
        chained(lambda part: part.rows.origins),
        chained(lambda part: part.rows.groups),
    )
    counts = sum((part.counts for part in parts), AlphabetCounts())
    return Pool(rows, chained(lambda p: p.contigs), chained(lambda p: p.given), counts)
