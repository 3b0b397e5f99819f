"""Rows of delimited text and Parquet, and folders of them in the layout of GUE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gfmp.errors import DataError
from gfmp.spec.task import FolderSource, TableSource, TargetSpec
from gfmp.tasks.formats.selection import extra_columns, held_out, selected
from gfmp.tasks.inputs import InputFile
from gfmp.tasks.labels import read_targets
from gfmp.tasks.pool import Pool, joined, with_sequences
from gfmp.tasks.tables import Table, read_parquet_table, read_table
from gfmp.tasks.task import Rows

_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    "test": "test",
}
SPLIT_FILE_ROLE = "all"


@dataclass(frozen=True)
class Columns:
    """Columns of a table that are no targets; empty text where there is none."""

    sequence: str = ""
    id: str = ""
    group: str = ""
    contig: str = ""
    split: str = ""
    context: str = ""

    def named(self) -> tuple[str, ...]:
        """Return the columns that are given."""
        columns = (self.sequence, self.id, self.group, self.contig, self.split, self.context)
        return tuple(c for c in columns if c)


def read_tables(source: TableSource, files: Sequence[InputFile], target: TargetSpec) -> Pool:
    """Read every row of the tables that counts.

    Raises:
        MissingInputError: a file is not there.
        DataError: a file is damaged or a row is wrong; names file, line, column and value.
    """
    columns = Columns(
        source.sequence_column,
        source.id_column,
        source.group_column,
        source.contig_column,
        source.split_column,
        source.context_column,
    )
    wanted = (*columns.named(), *target.columns, *extra_columns(source))
    parts: list[Pool] = []
    for file in files:
        table = read_columns(file.path, source.format, wanted)
        whole, left_out = selected(table, source, target.columns)
        given: list[str] = []
        if source.held_out:
            rows, given = held_out(whole, source.held_out)
            left_out += _held_back(len(whole) - len(rows))
            whole = whole.kept(rows)
        labels = labelled_rows(whole, columns, target, file.role)
        pool = with_sequences(
            labels, whole.columns[columns.sequence], columns.sequence, whole.where
        )
        contexts = tuple(cell.strip() for cell in whole.columns.get(columns.context, ()))
        pool = replace(pool, left_out=left_out, contexts=contexts)
        parts.append(replace(pool, given=tuple(given) or pool.given))
    return joined(parts)


def read_folder(source: FolderSource, files: Sequence[InputFile], target: TargetSpec) -> Pool:
    """Read every row of a folder in the layout of GUE; raises as `read_tables`."""
    columns = Columns(source.sequence_column)
    parts: list[Pool] = []
    for file in files:
        table = read_columns(file.path, "csv", (*columns.named(), *target.columns))
        labels = labelled_rows(table, columns, target, file.role)
        cells = table.columns[columns.sequence]
        parts.append(with_sequences(labels, cells, columns.sequence, table.where))
    return joined(parts)


def read_columns(path: Path, kind: str, wanted: Sequence[str]) -> Table:
    """Read these columns of a table of the kind csv, tsv or parquet."""
    if kind == "parquet":
        return read_parquet_table(path, wanted)
    return read_table(path, wanted, "," if kind == "csv" else "\t")


def labelled_rows(table: Table, columns: Columns, target: TargetSpec, role: str) -> Pool:
    """Return the rows of a table, still without sequences.

    Args:
        table: With the columns named in `columns` and in the target.
        columns: Where ids, groups, contigs and splits stand.
        target: What is predicted.
        role: Role of the file: a split, or `all`.
    """
    return Pool(
        Rows((b"",) * len(table), read_targets(table, target), *origins_groups(table, columns)),
        *contigs_given(table, columns, role),
    )


def origins_groups(table: Table, columns: Columns) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the name and the group of every row of a table."""
    empty = ("",) * len(table)
    ids = table.columns[columns.id] if columns.id else None
    origins = ids or [f"{table.path.name}:{place}" for place in table.places]
    return tuple(origins), tuple(table.columns[columns.group]) if columns.group else empty


def contigs_given(
    table: Table, columns: Columns, role: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the contig and the given split of every row of a table."""
    empty = ("",) * len(table)
    contigs = tuple(table.columns[columns.contig]) if columns.contig else empty
    given = empty if role == SPLIT_FILE_ROLE else (role,) * len(table)
    if columns.split and role == SPLIT_FILE_ROLE:
        given = _given(table, columns.split)
    return contigs, given


def _held_back(count: int) -> tuple[str, ...]:
    return (f"{count:,} rows of a set that is not learned from, or held out for another test",)


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
