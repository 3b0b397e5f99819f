"""Cells that are scored on other tasks: a name of their own, and old names where there are none."""

from __future__ import annotations

from dataclasses import replace

from cell_examples import CNN, KMER, PROBE, cell_of, cells, ingredients
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.plan.cells import Cell, Ingredient
from gfmp.plan.grid import Bindings, bound, requests
from gfmp.spec.sweep import SweepSpec
from gfmp.storage.hashes import fingerprint
from gfmp.tasks.subsets import Subset

OTHERS = (Ingredient("sim", "5" * 64), Ingredient("yak", "6" * 64))


def test_a_cell_without_others_is_named_as_before_there_were_any() -> None:
    cell = cell_of(KMER)
    made_of = {
        "numerics": 1,
        "task": cell.task.fingerprint,
        "vocabulary": "",
        "initial": "",
        "learner": KMER.model_dump(mode="json"),
        "seed": cell.seed,
        "subset": cell.subset,
    }
    assert cell.fingerprint == fingerprint(made_of)
    assert "also_on" not in cell.to_json()


def test_others_make_another_cell_by_their_content_alone() -> None:
    cell = cell_of(PROBE)
    one = replace(cell, also_on=OTHERS)
    assert len({cell.fingerprint, one.fingerprint}) == 2
    renamed = tuple(Ingredient(f"{other.name}2", other.fingerprint) for other in OTHERS)
    assert replace(one, also_on=renamed).fingerprint == one.fingerprint
    assert replace(one, also_on=OTHERS[:1]).fingerprint != one.fingerprint
    assert one.trial == cell.trial


@settings(deadline=None, max_examples=40)
@given(cell=cells, others=st.lists(ingredients, max_size=3).map(tuple))
def test_a_cell_comes_back_from_its_json(cell: Cell, others: tuple[Ingredient, ...]) -> None:
    whole = replace(cell, also_on=others)
    assert Cell.from_json(whole.to_json()) == whole


def test_only_the_named_tasks_are_scored_elsewhere() -> None:
    spec = SweepSpec.model_validate_json(
        '{"kind": "sweep", "name": "x", "tasks": ["mel", "sim"], "label_percents": [100],'
        ' "seeds": [0], "arms": [{"learner": {"kind": "kmer"}}]}'
    )
    asked = requests(spec, ("mel", "sim"), lambda arm, task: CNN, {}, {"mel": ("sim", "yak")})
    assert {request.task: request.also_on for request in asked} == {
        "mel": ("sim", "yak"),
        "sim": (),
    }
    names = ("mel", *(other.name for other in OTHERS))
    tasks = dict(zip(names, (Ingredient("mel", "4" * 64), *OTHERS), strict=True))

    def subset(task: str, percent: float, seed: int, most: int) -> Subset:
        import numpy as np

        return Subset(percent, seed, np.arange(3), "s" * 64)

    made = [bound(request, Bindings(tasks, {}, {}, subset)) for request in asked]
    assert [cell.also_on for cell in made] == [OTHERS, ()]
