"""The paper's tables, the trust of their numbers, and ours beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import get_args

from gfmp.cli.render.text import as_json, counted, echo, table, wrapped
from gfmp.paper.model import Trust
from gfmp.paper.numbers import TEXT, PaperTable, Printed
from gfmp.report.beside import Laid

_TRUSTS: tuple[Trust, ...] = get_args(Trust)
_MARKS = {"confirmed": "=", "unchecked": "", "doubtful": "?", "wrong": "!"}
_ROUNDING = 1e-3
_LEGEND = "= follows from other printed numbers  ? doubtful  ! wrong  unmarked: unchecked"


def show_tables(tables: Sequence[PaperTable], json: bool) -> None:
    """Print one row for each table: how many numbers it has, and how many of each trust."""
    if json:
        as_json([{**_head(one), "numbers": len(one.cells)} for one in tables])
        return
    rows = [
        (_name(one), f"{len(one.cells):,}", *(f"{one.count(t):,}" for t in _TRUSTS))
        for one in tables
    ]
    table(("TABLE", "NUMBERS", *(trust.upper() for trust in _TRUSTS)), rows)
    echo()
    for one in tables:
        echo(wrapped(f"{_name(one)}: {one.entry.title}", 4))
    echo()
    echo(
        wrapped(
            "gfmp verify TABLE shows its numbers with the reasons for their trust; with --run", 0
        )
    )
    echo(
        wrapped(
            "SWEEP those of a sweep stand beside them. Nothing is laid beside that was not run.", 0
        )
    )


def _name(one: PaperTable) -> str:
    return one.name if one.name == TEXT else f"table-{one.name}"


def _head(one: PaperTable) -> dict[str, object]:
    return {
        "table": _name(one),
        "title": one.entry.title,
        "unit": one.entry.unit,
        "trust": {trust: one.count(trust) for trust in _TRUSTS},
        "notes": list(one.entry.notes),
    }


def show_printed(one: PaperTable, json: bool) -> None:
    """Print the numbers of a table as they stand in the paper, marked, then every reason."""
    if json:
        as_json({**_head(one), "cells": [_cell_json(cell) for cell in one.cells]})
        return
    echo(wrapped(f"{_name(one)}: {one.entry.title} ({one.entry.unit})", 4))
    echo()
    if one.name == TEXT:
        rows = [(c.axes["number"], f"{c.text} {_MARKS[c.trust]}".rstrip()) for c in one.cells]
        table(("NUMBER", "PRINTED"), rows)
        echo()
        for cell in one.cells:
            echo(wrapped(f"{cell.axes['number']}: {cell.axes['says']}", 4))
    else:
        _grid(one)
    echo()
    echo(_LEGEND)
    for line in (*one.entry.notes, *_reasons(one.cells)):
        echo(wrapped(f"* {line}", 2))


def _grid(one: PaperTable) -> None:
    """Print a table of the supplement, transposed where it would be wider than the page."""
    keys, across = one.entry.keys, one.entry.across
    columns = list(dict.fromkeys(cell.axes[across] for cell in one.cells))
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for cell in one.cells:
        line = lines.setdefault(tuple(cell.axes[key] for key in keys), {})
        line[cell.axes[across]] = f"{_shorter(cell)}{_MARKS[cell.trust]}"
    if len(columns) <= len(lines):
        headings = (*(key.upper() for key in keys), *columns)
        rows = [(*key, *(line.get(c, "") for c in columns)) for key, line in lines.items()]
        table(headings, rows, keys=len(headings) - len(columns))
        return
    turned = [(c, *(line.get(c, "") for line in lines.values())) for c in columns]
    table((across.upper(), *(" ".join(key) for key in lines)), turned)


def _shorter(cell: Printed) -> str:
    """Return the number with at most six digits after the point; words as they are."""
    return cell.text if math.isnan(cell.value) or len(cell.text) < 9 else f"{cell.value:.6f}"


def _reasons(cells: Sequence[Printed]) -> list[str]:
    """Return why numbers are doubtful or wrong, each reason once, with how many it concerns."""
    concerned: dict[str, list[Printed]] = {}
    for cell in cells:
        if cell.trust in ("doubtful", "wrong"):
            concerned.setdefault(f"{cell.trust}: {cell.why}", []).append(cell)
    found = []
    for reason, those in concerned.items():
        computed = [f"{c.text} for {c.follows:.4f}" for c in those if _differs(c)]
        shown = f" (printed {', '.join(computed[:4])})" if computed else ""
        where = those[0].axes["number"] if those[0].table == TEXT else counted(len(those), "number")
        if those[0].table == TEXT and len(those) > 1:
            where = ", ".join(c.axes["number"] for c in those)
        found.append(f"{where} {reason}{shown}")
    return found


def _differs(cell: Printed) -> bool:
    return not math.isnan(cell.follows) and abs(cell.follows - cell.value) > _ROUNDING


def _cell_json(cell: Printed) -> dict[str, object]:
    return {
        "axes": dict(cell.axes),
        "printed": cell.text,
        "trust": cell.trust,
        "why": cell.why,
        "follows": None if math.isnan(cell.follows) else cell.follows,
    }


def show_laid(one: PaperTable, laid: Sequence[Laid], json: bool) -> None:
    """Print ours beside the paper's, with the difference and every reservation."""
    run = {id(found.printed) for found in laid}
    if json:
        listed = [_laid_json(found) for found in laid]
        as_json({**_head(one), "laid": listed, "not_run": len(one.cells) - len(run)})
        return
    echo(wrapped(f"{_name(one)}: {one.entry.title} ({one.entry.unit})", 4))
    echo()
    told: dict[str, int] = {}
    rows = []
    for found in laid:
        notes = [told.setdefault(reason, len(told) + 1) for reason in found.reservations]
        rows.append((*_cells(found), " ".join(f"[{note}]" for note in notes)))
    if rows:
        table(("WHAT", "PAPER", "OURS", "95 %", "OURS - PAPER", "MODEL", "NOTES"), rows)
        echo()
    for reason, note in told.items():
        echo(wrapped(f"[{note}] {reason}", 4))
    echo(
        f"{len(run):,} of {counted(len(one.cells), 'printed number')} have one of ours beside"
        " them; nothing was run for the others."
    )


def _cells(found: Laid) -> tuple[str, ...]:
    printed, ours = found.printed, found.measured
    what = printed.axes["number"] if printed.table == TEXT else " ".join(printed.axes.values())
    between = "" if math.isnan(ours.low) else f"[{ours.low:.4f}, {ours.high:.4f}]"
    mark = _MARKS[printed.trust]
    return (
        what,
        f"{_shorter(printed)}{mark}",
        f"{ours.value:.4f}",
        between,
        f"{found.difference:+.4f}",
        ours.model,
    )


def _laid_json(found: Laid) -> dict[str, object]:
    ours = {key: _finite(value) for key, value in asdict(found.measured).items()}
    return {
        **_cell_json(found.printed),
        "ours": ours,
        "difference": _finite(found.difference),
        "reservations": list(found.reservations),
    }


def _finite(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
