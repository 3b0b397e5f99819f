"""A table of labels as `gfmp init` sees it: which column holds what, and what is to predict."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gfmp.cli.lab.sequences import existing
from gfmp.errors import DataError, UsageError
from gfmp.spec.task_target import TargetKind
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.tables import Table, read_table, separator_of, table_header

_DNA = re.compile(r"[ACGTUNRYSWKMBDHVacgtunryswkmbdhv]{10,}")
_MOSTLY = 0.95
_LOOKED_AT = 2_000
_MOST_CLASSES = 50
_LABELS = ("label", "labels", "class", "target", "y", "category", "value", "score", "activity")
_SPLITS = ("split", "set", "partition", "fold")
_SPLIT_NAMES = frozenset({"train", "valid", "dev", "val", "test"})
_GROUPS = ("gene", "gene_id", "group", "cluster", "family", "locus")
_FEWEST_GROUPS = 10


@dataclass(frozen=True)
class Labels:
    """What is in the table.

    Attributes:
        path: The file, absolute.
        format: How cells are separated.
        rows: Rows below the header.
        sequence: Column with the letters.
        label: Column with what is predicted.
        kind: What kind of prediction that is.
        classes: Names of the classes in the order of their numbers; none for values.
        empty: Rows without a label.
        split: Column that says train, valid and test; empty without one.
        group: Column of what belongs together; empty without one.
    """

    path: Path
    format: Literal["csv", "tsv"]
    rows: int
    sequence: str
    label: str
    kind: TargetKind
    classes: tuple[str, ...]
    empty: int
    split: str = ""
    group: str = ""


def look_at(path: Path, sequence: str, label: str) -> Labels:
    """Read a table and say what its columns are.

    Args:
        path: Delimited text with a header line, plain or gzip; commas when it ends in .csv.
        sequence: Name of the column with the letters; empty to find it.
        label: Name of the column with what is predicted; empty to find it.

    Raises:
        MissingInputError: the file is not there.
        UsageError: a named column is not there, or several could be meant.
        DataError: it is no table, has no sequences, or its labels cannot be predicted.
    """
    path = existing(path, "--labels")
    separator = separator_of(path)
    header = table_header(path, separator)
    for option, name in (("--sequence-column", sequence), ("--label-column", label)):
        _check_named(option, name, header, path)
    table = read_table(path, header, separator)
    if not len(table):
        raise DataError(
            "the table has no rows", where=str(path), why="rows are learned from", fix="fill it"
        )
    letters = sequence or find_sequences(table.columns, path)
    _check_letters(table, letters)
    wanted = label or find_label(table.columns, letters, path)
    kind, classes = target_of(table.columns[wanted], wanted, path)
    return Labels(
        path,
        "csv" if separator == "," else "tsv",
        len(table),
        letters,
        wanted,
        kind,
        classes,
        sum(not cell.strip() for cell in table.columns[wanted]),
        _named(table.columns, _SPLITS, lambda cells: set(cells) <= _SPLIT_NAMES),
        _named(table.columns, _GROUPS, lambda cells: len(set(cells)) >= _FEWEST_GROUPS),
    )


def find_sequences(columns: Mapping[str, Sequence[str]], path: Path) -> str:
    """Return the column that holds DNA, the longest where there are several.

    Raises:
        DataError: none does; says what each holds.
    """
    found = [name for name, cells in columns.items() if _share_of_dna(cells) >= _MOSTLY]
    if not found:
        raise DataError(
            "no column holds DNA sequences",
            where=f"{path}:1",
            why=f"the columns are {_shown(columns)}",
            fix="add the letters of each row as a column; for sequences in a FASTA file beside"
            " the table, see format: fasta in gfmp explain task.source",
        )
    return max(found, key=lambda name: sum(map(len, columns[name][:_LOOKED_AT])))


def find_label(columns: Mapping[str, Sequence[str]], sequence: str, path: Path) -> str:
    """Return the column that is predicted: one with a usual name, or the only one left.

    Raises:
        UsageError: several could be meant, or none.
    """
    left = [name for name in columns if name != sequence]
    usual = [name for wanted in _LABELS for name in left if name.strip().lower() == wanted]
    told = {*_SPLITS, *_GROUPS, "id", "name"}
    others = [name for name in left if name.strip().lower() not in told]
    if usual or len(others) == 1:
        return (usual or others)[0]
    # Classes have few values, names of rows many.
    likely = min(others or left, key=lambda name: len(set(columns[name])), default="NAME")
    raise UsageError(
        "it is not clear which column is to be predicted",
        where=f"{path}:1",
        why=f"the columns are {_shown(columns)}",
        fix=f"say it: --label-column {likely}",
    )


def target_of(cells: Sequence[str], name: str, path: Path) -> tuple[TargetKind, tuple[str, ...]]:
    """Return what kind of prediction a column asks for, and its classes.

    Whole numbers 0 .. K-1 and texts are classes; other numbers are values.

    Raises:
        DataError: there is one class only, or too many.
    """
    known = {cell.strip() for cell in cells} - {""}
    numbers = [float(cell) for cell in known if _number(cell)]
    if len(numbers) == len(known) and not _are_classes(numbers):
        return "regression", ()
    if not 2 <= len(known) <= _MOST_CLASSES:
        some = ", ".join(sorted(known)[:4])
        raise DataError(
            f"column {name!r} has {len(known):,} classes: {some}{' ...' if known else ''}",
            where=str(path),
            why=f"a task has 2 to {_MOST_CLASSES} classes here, or numbers to predict",
            fix="name another column with --label-column",
        )
    order = sorted(known, key=lambda cell: (float(cell) if _number(cell) else 0.0, cell))
    return ("binary" if len(order) == 2 else "multiclass"), tuple(order)


def _are_classes(numbers: Sequence[float]) -> bool:
    if not all(number.is_integer() for number in numbers):
        return False
    return len(numbers) <= 2 or sorted(numbers) == list(range(len(numbers)))


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _share_of_dna(cells: Sequence[str]) -> float:
    some = cells[:_LOOKED_AT]
    return sum(bool(_DNA.fullmatch(cell.strip())) for cell in some) / len(some)


def _check_named(option: str, name: str, header: Sequence[str], path: Path) -> None:
    if name and name not in header:
        raise UsageError(
            f"{option} {name!r} is no column of the table",
            where=f"{path}:1",
            why=f"the columns are {', '.join(header) or 'none'}",
            fix=did_you_mean(name, header) or "name one of them",
        )


def _check_letters(table: Table, name: str) -> None:
    for row, cell in enumerate(table.columns[name]):
        if not _DNA.fullmatch(cell.strip()):
            raise DataError(
                f"column {name!r} holds {cell[:40]!r}",
                where=table.where(row),
                why="a sequence is ten letters or more: A C G T, N and other IUPAC letters",
                fix="remove the row or correct it, or name another column: --sequence-column",
            )


def _named(
    columns: Mapping[str, Sequence[str]],
    names: Sequence[str],
    fits: Callable[[Sequence[str]], bool],
) -> str:
    """Return the first column of one of these names whose cells fit; empty without one."""
    found = (column for wanted in names for column in columns if column.strip().lower() == wanted)
    return next((column for column in found if fits(columns[column])), "")


def _shown(columns: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{name} ({cells[0][:20]} ...)" for name, cells in list(columns.items())[:8])
