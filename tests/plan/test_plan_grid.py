"""The grid: every combination an arm asks for, once, in order; and the trials that share work."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from cell_examples import CNN, FULL, KMER, LORA, PROBE, cell_of
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_examples import TINY

from gfmp.plan.cells import Cell, Ingredient
from gfmp.plan.grid import Bindings, CellRequest, bound, requests, scratch_ingredient, trials
from gfmp.spec.learner import AnyLearner, Finetuning
from gfmp.spec.sweep import SCRATCH, Arm, SweepSpec
from gfmp.tasks.subsets import Subset
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import Vocabulary


def _spec(**changes: Any) -> SweepSpec:  # noqa: ANN401 - fields of the spec
    base = {
        "kind": "sweep",
        "name": "grid",
        "tasks": ("a", "b"),
        "label_percents": (1.0, 10.0, 100.0),
        "seeds": (0, 1),
        "arms": (
            Arm(learner=PROBE, vocabularies=("kmer6", "bpe"), initial=("demo", SCRATCH)),
            Arm(learner=KMER),
            Arm(
                learner=FULL,
                vocabularies=("kmer6",),
                initial=("demo",),
                label_percents=(3.0,),
                max_train_rows=20,
            ),
        ),
    }
    return SweepSpec(**(base | changes))


def _requests(spec: SweepSpec) -> tuple[CellRequest, ...]:
    def learner(arm: int, task: str) -> AnyLearner:
        found = spec.arms[arm].learner
        assert not isinstance(found, str)
        return found

    return requests(spec, spec.tasks, learner)


def test_every_combination_is_there_once() -> None:
    spec = _spec()
    found = _requests(spec)
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 3 * 2 + 2 * 3 * 2 + 2 * 1 * 2
    probes = [r for r in found if r.arm == 0]
    axes = product(spec.tasks, ("kmer6", "bpe"), ("demo", SCRATCH), spec.label_percents, spec.seeds)
    assert [(r.task, r.vocabulary, r.initial, r.label_percent, r.seed) for r in probes] == list(
        axes
    ), "the last axis moves first"
    assert [r.arm for r in found] == sorted(r.arm for r in found)


def test_an_arm_has_percents_and_a_bound_of_its_own() -> None:
    found = _requests(_spec())
    assert {(r.label_percent, r.max_train_rows) for r in found if r.arm == 2} == {(3.0, 20)}
    assert {(r.vocabulary, r.initial) for r in found if r.arm == 1} == {("", "")}
    assert {r.label_percent for r in found if r.arm == 1} == {1.0, 10.0, 100.0}


axis = st.integers(1, 3)


@given(tasks=axis, percents=axis, seeds=axis, vocabularies=axis, initial=axis)
@settings(max_examples=30, deadline=None)
def test_the_number_of_cells_is_the_product_of_the_axes(
    tasks: int, percents: int, seeds: int, vocabularies: int, initial: int
) -> None:
    arm = Arm(
        learner=PROBE,
        vocabularies=tuple(f"v{i}" for i in range(vocabularies)),
        initial=tuple(f"m{i}" for i in range(initial)),
    )
    spec = _spec(
        tasks=tuple(f"t{i}" for i in range(tasks)),
        label_percents=tuple(float(i + 1) for i in range(percents)),
        seeds=tuple(range(seeds)),
        arms=(arm, Arm(learner=KMER)),
    )
    assert len(_requests(spec)) == tasks * percents * seeds * (vocabularies * initial + 1)


def test_settings_may_differ_by_task() -> None:
    def learner(arm: int, task: str) -> AnyLearner:
        return Finetuning(kind="finetune", epochs={"a": 2, "b": 5}[task])

    arm = Arm(learner="preset", vocabularies=("kmer6",), initial=("demo",))
    found = requests(_spec(arms=(arm,)), ("a", "b"), learner)
    assert {(r.task, r.learner.epochs) for r in found} == {("a", 2), ("b", 5)}  # type: ignore[union-attr]


def test_what_two_arms_ask_for_alike_is_one_cell() -> None:
    whole = Arm(learner=PROBE, vocabularies=("v",), initial=("m",))
    low = whole.model_copy(update={"label_percents": (1.0, 3.0)})
    found = _requests(_spec(arms=(whole, low, Arm(learner=KMER), Arm(learner=KMER))))
    assert len(found) == 2 * 2 * (3 + 1 + 3)
    assert {r.label_percent for r in found if r.arm == 1} == {3.0}, "1 % was there"
    bounded = whole.model_copy(update={"max_train_rows": 5})
    assert len(_requests(_spec(arms=(whole, bounded)))) == 2 * len(_requests(_spec(arms=(whole,))))


class _Counted:
    """Subsets whose fingerprint tells what they were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, int, int]] = []

    def __call__(self, task: str, percent: float, seed: int, most: int) -> Subset:
        self.asked.append((task, percent, seed, most))
        num_rows = min(int(percent), most or 100)
        return Subset(percent, seed, np.arange(num_rows), f"{task}/{num_rows}/{seed}")


def _bindings(spec: SweepSpec, subset: _Counted) -> Bindings:
    models = product(("demo", SCRATCH), ("kmer6", "bpe"))
    return Bindings(
        tasks={name: Ingredient(name, f"task {name}") for name in spec.tasks},
        vocabularies={name: Ingredient(name, f"vocabulary {name}") for name in ("kmer6", "bpe")},
        initials={pair: Ingredient(pair[0], "/".join(pair)) for pair in models},
        subset=subset,
    )


def test_a_bound_cell_is_what_was_asked_for() -> None:
    spec, subset = _spec(), _Counted()
    bindings = _bindings(spec, subset)
    for request in _requests(spec):
        cell = bound(request, bindings)
        assert cell.task == bindings.tasks[request.task]
        assert (cell.vocabulary.name, cell.initial.name) == (request.vocabulary, request.initial)
        if request.initial == SCRATCH:
            assert cell.initial.fingerprint == f"scratch/{request.vocabulary}"
        assert (cell.learner, cell.seed) == (request.learner, request.seed)
        assert subset.asked[-1] == (
            request.task,
            request.label_percent,
            request.seed,
            request.max_train_rows,
        )
        assert cell.subset == f"{request.task}/{cell.num_rows}/{request.seed}"


def test_the_same_rows_are_labelled_for_every_model() -> None:
    spec = _spec()
    cells = [bound(request, _bindings(spec, _Counted())) for request in _requests(spec)]
    subsets: dict[tuple[str, float, int], set[str]] = {}
    for cell in cells:
        subsets.setdefault((cell.task.name, cell.label_percent, cell.seed), set()).add(cell.subset)
    assert all(len(found) == 1 for found in subsets.values())


def test_settings_that_a_search_chose_replace_those_of_the_request() -> None:
    spec = _spec()
    request = _requests(spec)[0]
    chosen = PROBE.model_copy(update={"penalties": (3.0,)})
    plain = bound(request, _bindings(spec, _Counted()))
    searched = bound(request, _bindings(spec, _Counted()), chosen)
    assert searched == replace(plain, learner=chosen)
    assert searched.fingerprint != plain.fingerprint


def _grid() -> list[Cell]:
    return [
        cell_of(learner, percent, seed, task)
        for task in ("a", "b")
        for learner in (KMER, PROBE, CNN, FULL, LORA)
        for percent in (1.0, 10.0)
        for seed in (0, 1)
    ]


def test_trials_hold_every_cell_of_theirs_in_order() -> None:
    cells = _grid()
    found = trials(cells)
    assert len(found) == 2 * 3
    assert sorted(c.fingerprint for group in found.values() for c in group) == sorted(
        c.fingerprint for c in cells
    )
    for key, group in found.items():
        assert {cell.trial for cell in group} == {key}
        assert list(group) == [cell for cell in cells if cell.trial == key]


def test_the_longest_trial_starts_first() -> None:
    order = [(key.task, key.baseline) for key in trials(_grid())]
    assert order == [("a", ""), ("b", ""), ("a", "cnn"), ("b", "cnn"), ("a", "kmer"), ("b", "kmer")]
    assert [k.baseline for k in trials([*_grid()[:4], cell_of(CNN), cell_of(FULL)])] == [
        "",
        "cnn",
        "kmer",
    ]


@given(st.permutations(range(40)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_trials_does_not_follow_the_order_of_cells(order: list[int]) -> None:
    cells = _grid()
    assert list(trials([cells[i] for i in order])) == list(trials(cells))


def test_equal_cells_run_once() -> None:
    cell = cell_of(PROBE)
    twin = replace(cell, label_percent=30.0)  # the same rows, because a bound cut both
    ((group,),) = (trials([cell, twin, cell]).values(),)
    assert group == (cell,)
    assert trials([]) == {}


def _vocabulary(k: int) -> Vocabulary:
    recipe = Recipe(f"kmer{k}", "kmer", {"k": k, "stride_bp": 1, "mask_span_tokens": 2 * k})
    return FamilyRegistry.discover().get("kmer").build(recipe, ())


def test_scratch_is_told_by_shape_and_vocabulary() -> None:
    wide = TINY.model_copy(update={"width": 256})
    found = {scratch_ingredient(shape, _vocabulary(k)) for shape in (TINY, wide) for k in (2, 3)}
    assert len(found) == 4
    assert {ingredient.name for ingredient in found} == {SCRATCH}


def test_planning_240_cells_is_a_matter_of_moments(capsys: pytest.CaptureFixture[str]) -> None:
    arms = (
        Arm(learner=PROBE, vocabularies=("kmer6", "bpe"), initial=("demo", SCRATCH)),
        Arm(learner=KMER),
        Arm(learner=CNN),
    )
    spec = _spec(arms=arms, label_percents=(1.0, 3.0, 10.0, 30.0, 100.0), seeds=(0, 1, 2, 3))
    began = time.perf_counter()
    bindings = _bindings(spec, _Counted())
    cells = [bound(request, bindings) for request in _requests(spec)]
    assert len({cell.fingerprint for cell in cells}) == len(cells) == 240
    assert len(trials(cells)) == 2 * (4 + 2)
    again = [Cell.from_json(cell.to_json()) for cell in cells]
    assert again == cells
    with capsys.disabled():
        print(f"\n240 cells in {time.perf_counter() - began:.3f} s")
