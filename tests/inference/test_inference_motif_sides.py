"""Which rows stand against which."""

from __future__ import annotations

import numpy as np
import pytest

from gfmp.errors import SpecError
from gfmp.inference.motif_sides import chosen, output_of, sides_of
from gfmp.tasks.task import Target

BINARY = Target("binary", ("no", "yes"))
CLASSES = Target("multiclass", ("donor", "acceptor", "decoy"))
LABELS = Target("multilabel", ("a", "b"))
VALUES = Target("regression", ("on", "off"))


def test_defaults_are_the_last_class_and_the_first_output() -> None:
    assert BINARY.names[output_of(BINARY, "", "")] == "yes"
    assert CLASSES.names[output_of(CLASSES, "", "")] == "decoy"
    assert output_of(LABELS, "", "") == output_of(VALUES, "", "") == 0
    assert output_of(CLASSES, "donor", "") == 0


def test_an_unknown_output_is_told_with_what_is_near() -> None:
    with pytest.raises(SpecError, match="'doner'") as caught:
        output_of(CLASSES, "doner", "job.yaml:4:9")
    (problem,) = caught.value.problems
    assert problem.where == "job.yaml:4:9" and "donor" in problem.fix and "decoy" in problem.why


def sides(target: Target, index: int, targets: list[list[float]]) -> list[list[int]]:
    found = sides_of(target, index, np.array(targets, dtype=np.float32))
    return [side.tolist() for side in found]


def test_sides_by_kind_of_target() -> None:
    assert sides(CLASSES, 1, [[0], [1], [2], [1]]) == [[1, 3], [0, 2]]
    assert sides(LABELS, 1, [[1, 0], [0, 1], [1, np.nan]]) == [[1], [0]]
    assert sides(VALUES, 0, [[float(v), 0.0] for v in range(8)] + [[np.nan, 1.0]]) == [
        [6, 7],
        [0, 1],
    ]
    assert sides(VALUES, 0, [[np.nan, 1.0]]) == [[], []]


def test_rows_are_chosen_by_seed_and_row() -> None:
    rows = np.arange(3, 90, 3)
    assert chosen(rows, 100, 1).tolist() == rows.tolist()
    few = chosen(rows, 10, 1)
    assert len(set(few.tolist())) == 10 and set(few.tolist()) <= set(rows.tolist())
    assert chosen(rows[::-1].copy(), 10, 1).tolist() == few.tolist()
    assert chosen(rows, 10, 2).tolist() != few.tolist()
    # A row is kept or not for its own sake: leaving another out changes nothing about it.
    assert set(few.tolist()) - {int(few[0])} <= set(chosen(rows[rows != few[0]], 10, 1).tolist())
