"""What a reader must know before trusting a number: missing, collapsed and undefined cells."""

from __future__ import annotations

from collections import Counter
from typing import Final

from gfmp.ledger.cells import CellResult
from gfmp.plan.cells import Cell
from gfmp.report.analysis import Analysis
from gfmp.report.page import Datum
from gfmp.report.tables import percent_text

# Facts of a cell that say how it went; everything else stays in the ledger.
_TOLD: Final = ("collapsed", "undefined", "note", "notes")
_MOST_ERROR: Final = 300


def cell_words(cell: Cell) -> str:
    """Name a cell for people."""
    where = f"{cell.task.name}, {cell.model}, {percent_text(cell.label_percent)} %"
    return f"{where}, seed {cell.seed} ({cell.fingerprint[:12]})"


def failed_rows(analysis: Analysis) -> list[list[Datum | str]]:
    """Return one row for each cell that was tried in vain: as `waiting_rows`, and the error."""
    failures = analysis.data.failures
    cells = [cell for cell in _unfinished(analysis) if cell.fingerprint in failures]
    return [[*_row(cell), _short(failures[cell.fingerprint])] for cell in cells]


def waiting_rows(analysis: Analysis) -> list[list[Datum | str]]:
    """Return one row for each cell not run yet: task, model, percent, seed, fingerprint."""
    failures = analysis.data.failures
    return [_row(cell) for cell in _unfinished(analysis) if cell.fingerprint not in failures]


def _unfinished(analysis: Analysis) -> list[Cell]:
    return sorted(
        analysis.data.unfinished,
        key=lambda c: (c.task.name, c.model, c.label_percent, c.seed, c.fingerprint),
    )


def _row(cell: Cell) -> list[Datum | str]:
    where = [cell.task.name, cell.model, percent_text(cell.label_percent)]
    return [*where, str(cell.seed), cell.fingerprint[:12]]


def _short(error: str) -> str:
    return error if len(error) <= _MOST_ERROR else f"{error[:_MOST_ERROR]}..."


def cell_notes(analysis: Analysis) -> list[str]:
    """Return what finished cells say about themselves: retries, collapse, undefined metrics."""
    notes = [
        f"{cell_words(cell)}: {'; '.join(said)}"
        for cell, result in analysis.data.finished
        if (said := _said(result))
    ]
    return sorted(set(notes))


def _said(result: CellResult) -> list[str]:
    said = []
    attempts = result.facts.get("attempts", 1)
    if isinstance(attempts, int) and attempts > 1:
        said.append(f"took {attempts} attempts (other seeds after a collapse)")
    for name, value in sorted(result.facts.items()):
        told = name in _TOLD or name.startswith(("undefined", "note"))
        if told and value not in (False, 0, ""):
            said.append(name if value is True else f"{name}: {value}")
    return said


def point_notes(analysis: Analysis) -> list[str]:
    """Return the scores that are undefined, and those with fewer seeds than the others."""
    usual = Counter(len(point.seeds) for point in analysis.points)
    most = max(usual, default=0)
    notes = []
    for point in analysis.points:
        where = f"{point.task}, {point.model.name}, {percent_text(point.percent)} %"
        if len(point.seeds) < most:
            notes.append(f"{where}: {len(point.seeds)} of {most} seeds have a result")
        for metric, replicates in point.scores.items():
            estimate = replicates.estimate()
            if estimate.value != estimate.value:
                notes.append(f"{where}: {metric} is undefined for at least one seed")
            elif estimate.num_undefined:
                share = f"{estimate.num_undefined} of {analysis.num_replicates}"
                notes.append(f"{where}: {metric} is undefined in {share} bootstrap replicates")
    return notes


def one_seed(analysis: Analysis) -> bool:
    """Return True when some interval knows of one seed only."""
    return any(len(point.seeds) == 1 for point in analysis.points)
