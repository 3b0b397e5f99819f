"""The identity of a cell: what decides its numbers enters, what only names it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cell_examples import CNN, FULL, KMER, LORA, PROBE, cell_of, cells, ingredients
from hypothesis import given, settings
from hypothesis import strategies as st

import gfmp.plan.cells
from gfmp.plan.cells import Cell, Ingredient, TrialKey
from gfmp.spec.learner import AnyLearner

# Another value for every setting of every learner.
OTHER: dict[str, object] = {
    "method": "lora",
    "learning_rate": 0.123,
    "batch_rows": 7,
    "epochs": 77,
    "warmup_fraction": 0.77,
    "weight_decay": 0.77,
    "head_dropout": 0.77,
    "patience": 77,
    "class_weights": "balanced",
    "lora_rank": 77,
    "lora_alpha": 7.7,
    "attempts": 77,
    "join": "gated",
    "penalties": (0.77,),
    "shortest": 2,
    "longest": 7,
    "max_features": 777,
}


@given(cells)
@settings(max_examples=60, deadline=None)
def test_a_cell_survives_json(cell: Cell) -> None:
    text = json.dumps(cell.to_json())
    again = Cell.from_json(json.loads(text))
    assert again == cell
    assert again.fingerprint == cell.fingerprint == json.loads(text)["fingerprint"]
    assert type(again.learner) is type(cell.learner)
    assert json.dumps(again.to_json()) == text


@given(cells, st.text(max_size=10))
@settings(max_examples=40, deadline=None)
def test_names_do_not_enter(cell: Cell, name: str) -> None:
    for part in ("task", "vocabulary", "initial"):
        renamed = replace(getattr(cell, part), name=name)
        assert replace(cell, **{part: renamed}).fingerprint == cell.fingerprint
    # A subset is told by its rows: by how many percent they were asked for is not its content.
    assert replace(cell, label_percent=3.0).fingerprint == cell.fingerprint


@given(cells, ingredients, st.integers(0, 2**63 - 1))
@settings(max_examples=40, deadline=None)
def test_contents_and_seeds_do(cell: Cell, other: Ingredient, seed: int) -> None:
    changes: list[dict[str, Any]] = [
        {"task": other},
        {"vocabulary": other},
        {"initial": other},
        {"subset": other.fingerprint},
        {"seed": seed},
    ]
    for change in changes:
        changed = replace(cell, **change)
        same = all(
            getattr(cell, name) == value or getattr(cell, name).fingerprint == value.fingerprint
            if isinstance(value, Ingredient)
            else getattr(cell, name) == value
            for name, value in change.items()
        )
        assert (changed.fingerprint == cell.fingerprint) is same


@pytest.mark.parametrize("learner", [FULL, PROBE, KMER, CNN], ids=lambda learner: learner.kind)
def test_every_setting_of_a_learner_enters(learner: AnyLearner) -> None:
    known = type(learner).model_fields.items()
    fields = [name for name, field in known if name != "kind" and not field.exclude]
    assert fields
    found = {cell_of(learner).fingerprint}
    for name in fields:
        assert getattr(learner, name) != OTHER[name]
        found.add(cell_of(learner.model_copy(update={name: OTHER[name]})).fingerprint)
    assert len(found) == len(fields) + 1


def test_a_change_of_numerics_makes_every_cell_of_that_learner_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, other = cell_of(PROBE).fingerprint, cell_of(KMER).fingerprint
    monkeypatch.setitem(gfmp.plan.cells.NUMERICS_VERSIONS, "probe", 2**20)
    assert cell_of(PROBE).fingerprint != before
    assert cell_of(KMER).fingerprint == other


def test_a_plan_of_earlier_numerics_is_read_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = cell_of(PROBE)
    written = before.to_json()
    monkeypatch.setitem(gfmp.plan.cells.NUMERICS_VERSIONS, "probe", 2**20)
    again = Cell.from_json(written)
    assert again == before and again.fingerprint == written["fingerprint"]
    assert again.fingerprint != cell_of(PROBE).fingerprint


def test_swapped_contents_are_another_cell() -> None:
    cell = cell_of(PROBE)
    assert replace(cell, vocabulary=cell.initial, initial=cell.vocabulary) != cell
    swapped = replace(cell, vocabulary=cell.initial, initial=cell.vocabulary)
    assert swapped.fingerprint != cell.fingerprint


@pytest.mark.parametrize(
    ("learner", "method", "model"),
    [
        (FULL, "full", "full / kmer6 / demo"),
        (LORA, "lora", "lora / kmer6 / demo"),
        (PROBE, "probe", "probe / kmer6 / demo"),
        (KMER, "kmer", "kmer"),
        (CNN, "cnn", "cnn"),
    ],
)
def test_what_tables_call_it(learner: AnyLearner, method: str, model: str) -> None:
    assert (cell_of(learner).method, cell_of(learner).model) == (method, model)


def test_cells_of_one_trial_share_task_vocabulary_and_initial_model() -> None:
    assert cell_of(PROBE).trial == TrialKey("t", "kmer6", "demo", "")
    assert cell_of(FULL, 1.0, seed=9).trial == cell_of(LORA).trial == cell_of(PROBE).trial
    assert cell_of(KMER).trial == TrialKey("t", "", "", "kmer")
    assert len({cell_of(x, task=t).trial for x in (PROBE, KMER, CNN) for t in "ab"}) == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("learner"),
        lambda value: value.pop("seed"),
        lambda value: value.pop("task"),
        lambda value: value.update(task=7),
        lambda value: value.update(learner={"kind": "knn"}),
        lambda value: value.update(learner={"kind": "probe", "penalty": 1}),
        lambda value: value.update(seed="many"),
        lambda value: value["vocabulary"].update(size=3) or value.update(vocabulary=[]),
    ],
)
def test_a_damaged_cell_is_not_read(change: Any) -> None:  # noqa: ANN401 - eight small lambdas
    value: dict[str, Any] = json.loads(json.dumps(cell_of(PROBE).to_json()))
    change(value)
    with pytest.raises((ValueError, KeyError)):
        Cell.from_json(value)


def test_a_fingerprint_in_the_file_is_not_believed() -> None:
    value = cell_of(PROBE).to_json() | {"fingerprint": "0" * 64}
    assert Cell.from_json(value).fingerprint == cell_of(PROBE).fingerprint
