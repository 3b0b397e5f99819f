"""What the settings of a search look like in MLflow's words: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gfmp.ledger.series import Point
from gfmp.mlflow_store.cells import MAX_NAME_CHARACTERS, Child, axis_tags, cell_name, cell_params
from gfmp.plan.cells import Cell
from gfmp.plan.search import SearchOutcome, SearchPlan, Tried

STOPPED_FLAG, CHOSEN_FLAG, FAILED_FLAG = "stopped_by_asha", "chosen", "failed"


@dataclass(frozen=True)
class Sample:
    """One setting that a search tried.

    Attributes:
        cell: The cell that was tried.
        tried: How it did.
        place: Its place among the settings of the search.
        outcome: How the search ended.
        ended: Unix time in seconds at which it was known how the setting did.
    """

    cell: Cell
    tried: Tried
    place: int
    outcome: SearchOutcome
    ended: float

    @property
    def tags(self) -> dict[str, str]:
        """What tells it apart from cells and from other settings."""
        own = {"gfmp.search": self.outcome.search, "gfmp.search_sample": str(self.place)}
        return axis_tags(self.cell) | own

    @property
    def flags(self) -> str:
        """`stopped_by_asha`, `failed`, `chosen`, or nothing."""
        if self.tried.stopped:
            return STOPPED_FLAG
        if self.tried.error:
            return FAILED_FLAG
        return CHOSEN_FLAG if self.place == self.outcome.chosen else ""


def samples_of(plan: SearchPlan, outcome: SearchOutcome, ended: float) -> Iterator[Sample]:
    """Yield the settings of a finished search in the order in which they were drawn."""
    for place, (cell, tried) in enumerate(zip(plan.samples, outcome.tried, strict=True)):
        yield Sample(cell, tried, place, outcome, ended)


def sample_child(sample: Sample) -> Child:
    """Return the child of a setting: validation only, so that nobody chooses by test scores.

    `history/valid/<metric>` has a step for each epoch, `valid/<metric>` is the best of them.
    """
    tried, metric = sample.tried, f"valid/{sample.outcome.metric}"
    points = [(metric, Point(0, tried.score, sample.ended))]
    points += [
        (f"history/{metric}", Point(epoch, score, sample.ended))
        for epoch, score in enumerate(tried.scores, start=1)
    ]
    status = "KILLED" if tried.stopped else "FAILED" if tried.error else "FINISHED"
    words = {"gfmp.flags": sample.flags} | ({"gfmp.error": tried.error} if tried.error else {})
    if sample.flags == CHOSEN_FLAG:
        words["gfmp.search_why"] = sample.outcome.why
    return Child(
        name=f"setting {sample.place}: {cell_name(sample.cell)}"[:MAX_NAME_CHARACTERS],
        status=status,
        tags=sample.tags | words,
        params=cell_params(sample.cell),
        points=tuple(item for item in points if math.isfinite(item[1].value)),
        started=sample.ended,
        ended=sample.ended,
    )
