"""Tables, JSON and numbers as text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

import click

# Whoever prints tables prints these in them.
from gfmp.report.amounts import duration as duration
from gfmp.report.amounts import number as number

WIDTH = 80


def echo(line: str = "") -> None:
    """Print one line to stdout."""
    click.echo(line)


def as_json(value: object) -> None:
    """Print a JSON value, readable and stable."""
    echo(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], keys: int = 1) -> None:
    """Print left-aligned columns; columns of numbers are aligned to the right.

    Columns stand two spaces apart, or one where the page is too narrow for two. What is still
    wider is printed in parts, one below the other.

    Args:
        headings: Names of the columns.
        rows: One cell for each column.
        keys: Columns at the left that say what a row is; every part has them.
    """
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
    right = [bool(rows) and all(_numeric(row[i]) for row in rows) for i in range(len(headings))]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else " "
    for part, columns in enumerate(_parts(widths, keys)):
        if part:
            echo()
        for row in (headings, *rows):
            cells = (
                row[i].rjust(widths[i]) if right[i] else row[i].ljust(widths[i]) for i in columns
            )
            echo(gap.join(cells).rstrip())


def _parts(widths: Sequence[int], keys: int) -> list[list[int]]:
    """Share columns out to parts that fit the page one space apart, each with the keys."""
    first = list(range(min(keys, len(widths))))
    parts = [list(first)]
    for column in range(len(first), len(widths)):
        with_it = [*parts[-1], column]
        fits = sum(widths[i] for i in with_it) + len(with_it) - 1 <= WIDTH
        if fits or parts[-1] == first:
            parts[-1] = with_it
        else:
            parts.append([*first, column])
    return parts


def _numeric(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").replace("-", "").isdigit() or cell == "-"


def wrapped(text: str, indent: int) -> str:
    """Fold `text` to the width of the page; continuation lines are indented.

    Further lines that stand in it, such as commands to be copied, stay lines and are not folded.
    """
    first, *lines = text.split("\n")
    folded = textwrap.fill(
        first, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join([folded, *(" " * indent + line for line in lines)])


def counted(amount: int, noun: str) -> str:
    """Write a number with its noun: `1 cell`, `3 cells`."""
    return f"{amount:,} {noun}" + ("" if amount == 1 else "s")
