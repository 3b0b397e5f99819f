"""The error of a sweep that ended without a result for every cell."""

from __future__ import annotations

from collections.abc import Sequence

from gfmp.errors import GfmpError, PartialSweepError, Problem
from gfmp.ledger.run import Run
from gfmp.ledger.sweep import failures_of
from gfmp.plan.cells import Cell


def shortfall(run: Run, missing: Sequence[Cell]) -> GfmpError:
    """Return the error that names each of the cells without a result, and why it has none."""
    failures = failures_of(run)
    cells = {cell.fingerprint: cell for cell in missing}.values()
    told = [
        f"{cell.model} on {cell.task.name} at {cell.label_percent:g} %, seed {cell.seed}: "
        + failures.get(cell.fingerprint, "its worker died")
        for cell in cells
    ]
    number = f"{len(told):,} cell{'s have' if len(told) > 1 else ' has'} no result"
    first = Problem(
        f"{number}: {told[0]}",
        where=str(run.path),
        why="the other cells are finished and in the report",
        fix=f"{run.resume_command} tries them again",
    )
    return PartialSweepError.of([first, *(Problem(words) for words in told[1:])])
