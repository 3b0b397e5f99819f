"""Runs side by side: what was planned differently, then what came out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from gfmp.cli.render.text import WIDTH, as_json, echo, number, wrapped
from gfmp.ledger.differences import Comparison, Line, Value

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Kept in JSON; on a page they hide what is to be seen.
_DETAILS = ("/low", "/high", "/windows", "/targets", "/hidden_bases")
_DERIVED = "derived."
_GAP = "  "
_CONTENT = re.compile(r"[0-9a-f]{64}")
_SHOWN_DIGITS = 12


def show_comparison(found: Comparison, json: bool) -> None:
    """Print a comparison; numbers of later runs with how far they are from the first."""
    if json:
        as_json(
            {
                "runs": list(found.runs),
                "plan": [_plain(line) for line in found.plan],
                "result": [_plain(line) | {"changes": list(line.changes)} for line in found.result],
            }
        )
        return
    letters = _names(found)
    for letter, run in zip(letters, found.runs, strict=True):
        echo(f"{letter}  {run}")
    echo()
    planned = [line for line in found.plan if not line.name.startswith(_DERIVED)]
    echo("PLANNED DIFFERENTLY" if planned else "Nothing was planned differently.")
    _show(letters, [(line.name, tuple(map(_text, line.values))) for line in planned])
    if len(found.plan) > len(planned):
        echo(wrapped(f"{len(found.plan) - len(planned):,} numbers that follow from it: --json", 2))
    echo()
    shown = [line for line in found.result if not line.name.endswith(_DETAILS)]
    common = [line for line in shown if sum(value is not None for value in line.values) > 1]
    moved = [line for line in common if line.differs]
    echo("CAME OUT DIFFERENTLY" if moved else "Nothing came out differently.")
    _show(letters, [(line.name, tuple(_numbers(line))) for line in moved])
    if len(common) > len(moved):
        echo(f"{len(common) - len(moved):,} values are the same.")
    if len(shown) > len(common):
        echo(wrapped(f"{len(shown) - len(common):,} values of one run alone: --json", 2))


def _plain(line: Line) -> dict[str, object]:
    values = [_json(value) for value in line.values]
    return {"name": line.name, "values": values}


def _json(value: Value) -> Value:
    # JSON has no word for a number that is not finite.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _names(found: Comparison) -> list[str]:
    return [_LETTERS[i] if i < len(_LETTERS) else str(i + 1) for i in range(len(found.runs))]


def _text(value: Value) -> str:
    if value is None:
        return "-"
    if isinstance(value, str) and _CONTENT.fullmatch(value):
        return value[:_SHOWN_DIGITS]
    return str(value) if isinstance(value, bool) else number(value)


def _numbers(line: Line) -> Iterator[str]:
    for place, (value, change) in enumerate(zip(line.values, line.changes, strict=True)):
        away = f" ({change:+.4g})" if place and change is not None else ""
        yield f"{_text(value)}{away}"


def _show(letters: Sequence[str], rows: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    """Print a table; a row that does not fit the page has every value on a line of its own."""
    fitting = [row for row in rows if _width([row]) <= WIDTH]
    while fitting and _width(fitting) > WIDTH:
        fitting.remove(max(fitting, key=lambda row: _width([row])))
    widths = _widths([("", tuple(letters)), *fitting])
    if fitting:
        _echo_row("", letters, widths)
    for name, values in fitting:
        _echo_row(name, values, widths)
    for name, values in (row for row in rows if row not in fitting):
        echo(wrapped(name, 2))
        for letter, value in zip(letters, values, strict=True):
            echo(wrapped(f"  {letter}  {value}", 5))


def _widths(rows: Sequence[tuple[str, tuple[str, ...]]]) -> list[int]:
    names, *columns = zip(*((name, *values) for name, values in rows), strict=True)
    return [max(map(len, column)) for column in (names, *columns)]


def _width(rows: Sequence[tuple[str, tuple[str, ...]]]) -> int:
    widths = _widths(rows)
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _echo_row(name: str, values: Sequence[str], widths: Sequence[int]) -> None:
    cells = zip((name, *values), widths, strict=True)
    echo(_GAP.join(cell.ljust(width) for cell, width in cells).rstrip())
