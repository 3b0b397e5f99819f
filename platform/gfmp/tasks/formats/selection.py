"""Which rows of a table count: filters, empty targets, the best measured rows held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.spec.task import TableSource
from gfmp.spec.task_sources import HeldOutSpec, RowFilter
from gfmp.tasks.tables import Table

UNKNOWN = frozenset({"", "na", "nan"})
Mask = NDArray[np.bool_]


def extra_columns(source: TableSource) -> tuple[str, ...]:
    """Return the columns that decide which rows count."""
    held = source.held_out
    more = (held.most, held.within, held.sets) if held else ()
    return tuple(dict.fromkeys((*(one.column for one in source.keep), *more)))


def selected(
    table: Table, source: TableSource, targets: Sequence[str]
) -> tuple[Table, tuple[str, ...]]:
    """Return the rows that count, and what was left out and why.

    Args:
        table: As read, with the columns of `extra_columns`.
        source: Its filters.
        targets: Columns that a row must have to be complete.

    Raises:
        DataError: a cell that is compared is no number.
    """
    kept = np.ones(len(table), dtype=np.bool_)
    left_out: list[str] = []
    for one in source.keep:
        passed = _passed(table, one)
        left_out += _counted(kept & ~passed, f"{table.path.name}: {_words(one)}")
        kept &= passed
    if source.incomplete == "drop":
        whole = _complete(table, targets)
        left_out += _counted(kept & ~whole, f"{table.path.name}: a target is empty")
        kept &= whole
    return (table if kept.all() else table.kept(np.flatnonzero(kept))), tuple(left_out)


def held_out(table: Table, spec: HeldOutSpec) -> tuple[NDArray[np.int64], list[str]]:
    """Split a table by how well its rows were measured (see `HeldOutSpec`).

    Returns:
        Positions of the rows that are kept, ascending, and the split of each of them.

    Raises:
        DataError: a cell is no number, or a set has no row.
    """
    sets = table.columns[spec.sets]
    for wanted in (spec.train, spec.test):
        if wanted not in sets:
            raise DataError(
                f"column {spec.sets!r} never holds {wanted!r}",
                where=str(table.path),
                why=f"it holds {', '.join(sorted(set(sets))[:12])}",
                fix="correct source.held_out",
            )
    most = _numbers(table, spec.most, empty=-np.inf)
    order = np.argsort(-most, kind="stable").tolist()
    best: set[int] = set()
    seen: Counter[tuple[str, str]] = Counter()
    for row in order:
        stratum = (sets[row], table.columns[spec.within][row])
        if seen[stratum] < spec.rows:
            best.add(row)
        seen[stratum] += 1
    split = {
        row: "test" if row in best else "train"
        for row, name in enumerate(sets)
        if (row in best and name == spec.test) or (row not in best and name == spec.train)
    }
    return np.array(sorted(split), dtype=np.int64), [split[row] for row in sorted(split)]


def _counted(rows: Mask, words: str) -> list[str]:
    return [f"{int(rows.sum()):,} rows of {words}"] if rows.any() else []


def _words(one: RowFilter) -> str:
    if one.any_of:
        return f"{one.column} is not {' or '.join(one.any_of[:4])}"
    low = f"below {one.at_least:g}" if one.at_least is not None else ""
    high = f"above {one.at_most:g}" if one.at_most is not None else ""
    return f"{one.column} is {' or '.join(filter(None, (low, high)))}"


def _passed(table: Table, one: RowFilter) -> Mask:
    cells = table.columns[one.column]
    passed = np.ones(len(table), dtype=np.bool_)
    if one.any_of:
        passed &= np.array([cell.strip() in one.any_of for cell in cells], dtype=np.bool_)
    if one.at_least is not None:
        passed &= _numbers(table, one.column, empty=-np.inf) >= one.at_least
    if one.at_most is not None:
        passed &= _numbers(table, one.column, empty=np.inf) <= one.at_most
    return passed


def _complete(table: Table, columns: Sequence[str]) -> Mask:
    whole = np.ones(len(table), dtype=np.bool_)
    for column in columns:
        cells = table.columns[column]
        whole &= np.array([c.strip().lower() not in UNKNOWN for c in cells], dtype=np.bool_)
    return whole


def _numbers(table: Table, column: str, empty: float) -> NDArray[np.float64]:
    values = np.empty(len(table))
    for row, cell in enumerate(table.columns[column]):
        try:
            values[row] = empty if cell.strip().lower() in UNKNOWN else float(cell)
        except ValueError:
            raise DataError(
                f"column {column!r} holds {cell[:40]!r}",
                where=table.where(row),
                why="rows are chosen by this column, which holds numbers",
                fix="correct the row, or choose rows by another column",
            ) from None
    return values
