"""What a sweep says of the paper and of other tasks is closed, and optional."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gfmp.spec.comparison import PaperFigure, Transfer
from gfmp.spec.sweep import SweepSpec

SWEEP = {
    "kind": "sweep",
    "name": "grid",
    "tasks": ["mel", "sim"],
    "arms": [{"learner": {"kind": "kmer"}}],
}


def test_most_sweeps_say_nothing() -> None:
    spec = SweepSpec.model_validate(SWEEP, strict=False)
    assert spec.transfer is None
    assert spec.paper is None


def test_every_task_that_is_named_is_listed_with_its_key() -> None:
    paper = PaperFigure(figure="Fig. 4a", rows={"mouse": "sim"}, stand_ins={"sim": "mouse peaks"})
    assert paper.tasks() == ((("rows", "mouse"), "sim"), (("stand_ins", "sim"), "sim"))


@pytest.mark.parametrize(
    "transfer",
    [
        {"scored_on": ["sim", "sim"]},
        {"learned_from": ["mel", "mel"]},
        {"groups": {"near": ["sim"], "far": ["yak", "sim"]}},
    ],
)
def test_what_stands_twice_is_refused(transfer: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="this stands twice"):
        Transfer.model_validate(transfer, strict=False)


def test_unknown_keys_are_refused() -> None:
    for block in ({"transfer": {"test_on": ["sim"]}}, {"paper": {"figure": "4", "table": "S9"}}):
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            SweepSpec.model_validate({**SWEEP, **block}, strict=False)
