"""What a sweep says of itself beside the paper, and how its figures are ordered; as planned."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.run import Run
from gfmp.spec.comparison import PaperFigure, Transfer

PAPER, TRANSFER = "paper", "transfer"
_Said = TypeVar("_Said", bound=BaseModel)


def planned_paper(run: Run) -> PaperFigure | None:
    """Return which part of the paper a sweep does again; None for most sweeps.

    Raises:
        CorruptArtefactError: the plan was changed.
    """
    return _planned(run, PAPER, PaperFigure)


def planned_transfer(run: Run) -> Transfer | None:
    """Return on which other tasks the models of a sweep are scored; None for most sweeps.

    Raises:
        CorruptArtefactError: the plan was changed.
    """
    return _planned(run, TRANSFER, Transfer)


def _planned(run: Run, key: str, model: type[_Said]) -> _Said | None:
    said = run.plan_json().get(key)
    if said is None:
        return None
    try:
        return model.model_validate(said, strict=False)
    except ValidationError as fault:
        raise CorruptArtefactError(
            f"the plan's {key!r} is not as it was written: {fault.errors()[0]['msg']}",
            where=str(run.plan_path),
            why="a plan never changes",
            fix="restore plan.json, or start the sweep anew; finished cells are not run again",
        ) from fault
