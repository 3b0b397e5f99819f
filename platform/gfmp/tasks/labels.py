"""From cells of text to numbers: classes, labels that are known or not, values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.spec.task import TargetSpec
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.tables import Table

_UNKNOWN = frozenset({"", "na", "nan"})
_FINITE = "values are finite numbers"
_CORRECT = "correct the value, or remove the row"


def read_targets(table: Table, target: TargetSpec) -> NDArray[np.float32]:
    """Return the targets of all rows, float32, shape (N, 1) for classes, else (N, K).

    Classes are numbers or names; labels are 0, 1 or empty (unknown, NaN); values are finite, and
    logarithms of what stands there when the target says so.

    Raises:
        DataError: a cell is none of that; names file, line, column and value.
    """
    if target.kind in ("binary", "multiclass"):
        parse = _class_parser(target.names)
    else:
        parse = _label if target.kind == "multilabel" else _value_parser(target.log10_offset)
    columns = [_parsed(table, column, parse) for column in target.columns]
    return np.array(columns, dtype=np.float32).reshape(len(columns), len(table)).T.copy()


def _parsed(table: Table, column: str, parse: Callable[[str], float]) -> list[float]:
    cells = table.columns[column]
    known: dict[str, float] = {}
    try:
        for cell in set(cells):
            known[cell] = parse(cell)
    except ValueError:
        raise _first_fault(table, column, parse) from None
    return [known[cell] for cell in cells]


def _first_fault(table: Table, column: str, parse: Callable[[str], float]) -> DataError:
    for row, cell in enumerate(table.columns[column]):
        try:
            parse(cell)
        except ValueError as fault:
            why, fix = fault.args
            return DataError(
                f"column {column!r} holds {cell[:60]!r}", where=table.where(row), why=why, fix=fix
            )
    raise AssertionError("one of the cells was refused before")


def _class_parser(names: tuple[str, ...]) -> Callable[[str], float]:
    numbers = {str(i): float(i) for i in range(len(names))}
    classes = numbers | {name: float(i) for i, name in enumerate(names)}

    def parse(cell: str) -> float:
        """Return the number of the class; a ValueError carries the rule and the remedy."""
        text = cell.strip()
        if text in classes:
            return classes[text]
        shown = ", ".join(f"{i} ({name})" if str(i) != name else name for i, name in _some(names))
        fix = did_you_mean(text, names) or "correct the label, or list the class in target.names"
        raise ValueError(f"the classes are {shown}", fix)

    return parse


def _some(names: tuple[str, ...]) -> list[tuple[int, str]]:
    return list(enumerate(names))[:12]


def _label(cell: str) -> float:
    text = cell.strip().lower()
    if text in _UNKNOWN:
        return math.nan
    if text in ("0", "1", "0.0", "1.0"):
        return float(text)
    raise ValueError("a label is 0, 1 or empty (unknown)", "correct the label")


def _value_parser(log10_offset: float | None) -> Callable[[str], float]:
    if log10_offset is None:
        return _value

    def parse(cell: str) -> float:
        """Return the logarithm of a value; a ValueError carries the rule and the remedy."""
        number = _value(cell) + log10_offset
        if number <= 0:
            raise ValueError(f"with log10_offset {log10_offset:g} it has no logarithm", _CORRECT)
        return math.log10(number)

    return parse


def _value(cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > float(np.finfo(np.float32).max):
        raise ValueError(_FINITE, _CORRECT)
    return number


def finite(cell: str, column: str, where: str) -> float:
    """Return a cell as a number.

    Raises:
        DataError: it is none, or not finite; names the column and the place.
    """
    try:
        return _value(cell)
    except ValueError as fault:
        why, fix = fault.args
        message = f"{column} holds {cell[:60]!r}"
        raise DataError(message, where=where, why=why, fix=fix) from None


def checked_values(
    block: NDArray[np.generic], target: TargetSpec, where: str, first: int
) -> NDArray[np.float32]:
    """Return numbers that stand in an array as targets, float32, shape (N, K).

    Args:
        block: Classes, shape (N, 1), or values, shape (N, K).
        target: What is predicted.
        where: The array, for messages.
        first: Row of the array that the block begins with.

    Raises:
        DataError: a number is no class, is not finite or has no logarithm.
    """
    values = np.asarray(block, dtype=np.float64)
    if target.kind == "regression":
        offset = target.log10_offset
        with np.errstate(divide="ignore", invalid="ignore"):
            values = values if offset is None else np.log10(values + offset)
        wrong, why = ~np.isfinite(values), _FINITE
    else:
        classes = np.arange(len(target.names))
        wrong, why = ~np.isin(values, classes), f"the classes are 0 to {len(classes) - 1}"
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"row {first + row:,} holds {block[row, column]!s} as its target {column}",
            where=where,
            why=why,
            fix="name the right array, or correct the target",
        )
    return values.astype(np.float32)
