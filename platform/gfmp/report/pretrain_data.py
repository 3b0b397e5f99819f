"""What the page of a pretraining run is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gfmp.ledger.goodput import Goodput
from gfmp.ledger.series import SeriesBook
from gfmp.plan.values import Derived
from gfmp.report.lineage import Stage

Row = tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """One thing that a finished run had to be better than.

    Attributes:
        name: What was compared.
        value: Of the model.
        baseline: Of what it was compared with.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.
        passed: The model is better.
    """

    name: str
    value: float
    baseline: float
    low: float
    high: float
    passed: bool


@dataclass(frozen=True)
class PretrainData:
    """A pretraining run, finished or not.

    Attributes:
        name: Name of the job.
        run_id: The run.
        status: Its state.
        step: Newest step on record.
        planned_steps: Steps it is to take.
        vocabularies: In the order of the ensemble.
        book: Its curves.
        numbers: Those of the held-out report, `report/<vocabulary>/<name>`; empty before it.
        checks: What the report compared.
        time: Where its wall time went.
        parameters: Of the model.
        plan: Every number of the plan with its reason.
        checkpoints: Step, path below the run and bytes of what is on disk.
        history: Time in UTC and what happened: starts, restarts, incidents, ends.
        provenance: Code, libraries, machine.
        lineage: From the corpus to the figures that rest on it.
        commands: Those that repeat it, each with what it does.
    """

    name: str
    run_id: str
    status: str
    step: int
    planned_steps: int
    vocabularies: tuple[str, ...]
    book: SeriesBook = field(repr=False)
    numbers: Mapping[str, float] = field(repr=False)
    checks: tuple[Check, ...]
    time: Goodput
    parameters: int
    plan: tuple[Derived, ...] = field(repr=False)
    checkpoints: tuple[Row, ...]
    history: tuple[Row, ...]
    provenance: tuple[Row, ...]
    lineage: tuple[Stage, ...]
    commands: tuple[tuple[str, str], ...]

    def number(self, vocabulary: str, name: str) -> float:
        """Return a number of the held-out report; NaN before there is one."""
        return self.numbers.get(f"report/{vocabulary}/{name}", float("nan"))
