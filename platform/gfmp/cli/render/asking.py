"""What `gfmp predict` and `gfmp embed` tell: what a file holds, how far it is, what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import TypeAdapter

from gfmp.cli.render.text import as_json as show_json
from gfmp.cli.render.text import counted, echo, number
from gfmp.inference.asking import Answered, RowSurvey
from gfmp.inference.calibration import COVERAGE, Calibration
from gfmp.inference.questions import Question


def survey_line(survey: RowSurvey) -> str:
    """Return what a file holds."""
    lengths = f"{survey.shortest_bp:,} to {survey.longest_bp:,} bp each"
    return f"{counted(survey.rows, 'row')} of {lengths}, {survey.bases:,} bp in all"


def row_line(done: int, total: int, rate: float) -> str:
    """Return how far it is."""
    return f"{done:,} of {total:,} rows, {rate:,.1f} a second"


def show_answered(answered: Answered, as_json: bool) -> None:
    """Print what was written and what it rests on."""
    if as_json:
        show_json({"path": str(answered.path), "again": answered.again, **answered.sidecar})
        return
    for line in answered_lines(answered):
        echo(line)


def answered_lines(answered: Answered) -> Iterator[str]:
    """Yield what was written and what it rests on."""
    sidecar = answered.sidecar
    question = TypeAdapter(Question).validate_python(sidecar["question"])
    survey = TypeAdapter(RowSurvey).validate_python(sidecar["survey"])
    yield f"{'complete already' if answered.again else 'written'}: {answered.path}"
    yield f"  {counted(survey.rows, 'row')}, model {question.model.name}"
    if question.verb == "embed":
        layers = ", ".join(map(str, question.wanted.layers))
        yield f"  states of {question.vocabulary}, layers {layers}, per {question.wanted.per}"
    yield from _sure(sidecar)
    yield f"  {answered.path.name}.json says what it was made of"


def _sure(sidecar: Mapping[str, object]) -> Iterator[str]:
    found = sidecar.get("calibration")
    if not isinstance(found, dict):
        return
    calibration = Calibration.from_json(found)
    rows = counted(calibration.num_rows, "validation row")
    if calibration.half_width:
        yield f"  intervals hold {COVERAGE:.0%} of {rows} of its task"
        return
    yield f"  confidence: temperature {number(calibration.temperature)}, fitted on {rows}"
    yield (
        f"  of its task; there the calibration error goes from {calibration.error:.3f} to"
        f" {calibration.calibrated_error:.3f}"
    )
