"""Searches: which settings they try, whose they are, which one wins."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from cell_examples import CNN, FULL, KMER, PROBE, cell_of
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import SpecError
from gfmp.plan.cells import Ingredient
from gfmp.plan.grid import Bindings, CellRequest, requests
from gfmp.plan.search import (
    SearchPlan,
    SweepGrid,
    Tried,
    choice,
    refused,
    sampled,
    with_setting,
)
from gfmp.spec.learner import AnyLearner, Finetuning, KmerBaseline, Probe
from gfmp.spec.sweep import Arm, Search, SweepSpec, Values
from gfmp.tasks.subsets import Subset

QUICK = settings(deadline=None, max_examples=40)
RATES = Values(low=1e-5, high=1e-2)
BATCHES = Values(choices=(8, 16, 32))
SPACE = {"learning_rate": RATES, "batch_rows": BATCHES, "method": Values(choices=("full", "lora"))}
SEARCH = Search(space=SPACE, samples=5)
keys = st.text("0123456789abcdef", min_size=8, max_size=8)


def _full(learner: AnyLearner) -> Finetuning:
    assert isinstance(learner, Finetuning)
    return learner


@QUICK
@given(key=keys, samples=st.integers(1, 12))
def test_settings_lie_in_the_space_and_are_the_same_every_time(key: str, samples: int) -> None:
    search = Search(space=SPACE, samples=samples)
    drawn = [_full(learner) for learner in sampled(search, FULL, key)]
    assert sampled(search, FULL, key) == tuple(drawn)
    assert len(drawn) == samples == len(set(drawn))
    for learner in drawn:
        assert 1e-5 <= learner.learning_rate <= 1e-2
        assert learner.batch_rows in (8, 16, 32)
        assert replace_space(learner) == replace_space(FULL)


def replace_space(learner: Finetuning) -> Finetuning:
    """Forget what the space may change."""
    return learner.model_copy(update={"learning_rate": 1.0, "batch_rows": 1, "method": "full"})


@QUICK
@given(one=keys, other=keys)
def test_every_search_draws_settings_of_its_own(one: str, other: str) -> None:
    same = sampled(SEARCH, FULL, one) == sampled(SEARCH, FULL, other)
    assert same == (one == other)


@QUICK
@given(key=keys, low=st.floats(1e-6, 1.0), factor=st.floats(1.001, 1e6))
def test_a_rounded_value_stays_in_its_range(key: str, low: float, factor: float) -> None:
    for scale in ("log", "linear"):
        values = Values(low=low, high=low * factor, scale=scale)
        for learner in sampled(Search(space={"learning_rate": values}), FULL, key):
            assert low <= _full(learner).learning_rate <= low * factor


def test_a_logarithmic_range_gives_each_power_of_ten_its_share() -> None:
    search = Search(space={"learning_rate": RATES}, samples=300)
    rates = [_full(one).learning_rate for one in sampled(search, FULL, "key")]
    shares = [sum(1e-5 * 10**i <= rate < 1e-4 * 10**i for rate in rates) / 300 for i in range(3)]
    assert all(abs(share - 1 / 3) < 0.1 for share in shares)
    linear = Values(low=1e-5, high=1e-2, scale="linear")
    drawn = sampled(Search(space={"learning_rate": linear}, samples=300), FULL, "key")
    assert sum(_full(one).learning_rate > 5e-3 for one in drawn) / 300 > 0.4


def test_ranges_of_whole_numbers_and_fields_that_list_values() -> None:
    whole = sampled(Search(space={"epochs": Values(low=2, high=9)}, samples=8), CNN, "key")
    assert {one.model_dump()["epochs"] for one in whole} == set(range(2, 10))
    listed = sampled(Search(space={"penalties": RATES}, samples=2), PROBE, "key")
    assert all(isinstance(one, Probe) and len(one.penalties) == 1 for one in listed)


def test_a_small_space_is_tried_once() -> None:
    search = Search(space={"batch_rows": BATCHES}, samples=8)
    assert sorted(_full(one).batch_rows for one in sampled(search, FULL, "key")) == [8, 16, 32]


def test_settings_that_contradict_each_other_are_drawn_again_or_said() -> None:
    lengths = Values(choices=(2, 3, 4, 5))
    both = Search(space={"shortest": lengths, "longest": lengths}, samples=6)
    drawn = sampled(both, KMER, "key")
    assert len(drawn) == 6
    assert all(isinstance(one, KmerBaseline) and one.shortest <= one.longest for one in drawn)
    never = Search(space={"shortest": Values(choices=(7, 8))})
    with pytest.raises(SpecError, match="no setting of the search is allowed for kmer"):
        sampled(never, KMER, "key")


def test_values_a_field_does_not_take_are_named() -> None:
    assert not refused(FULL, "learning_rate", RATES)
    assert refused(FULL, "learning_rate", Values(low=-1.0, high=1.0, scale="linear")).startswith(
        "-1.0:"
    )
    assert refused(FULL, "method", Values(choices=("full", "half"))).startswith("'half':")
    assert refused(FULL, "batch_rows", Values(choices=(0,))).startswith("0:")
    assert with_setting(FULL, {"epochs": 3.0}).model_dump()["epochs"] == 3


def test_a_search_is_named_by_what_it_searches() -> None:
    base = cell_of(FULL)
    plan = SearchPlan(SEARCH, base)
    others = [
        SearchPlan(SEARCH, cell_of(FULL, percent=30.0)),
        SearchPlan(SEARCH, cell_of(FULL, task="u")),
        SearchPlan(SEARCH, cell_of(FULL, seed=1)),
        SearchPlan(SEARCH, replace(base, vocabulary=Ingredient("kmer6", "9" * 64))),
        SearchPlan(Search(space=SPACE, samples=6), base),
    ]
    assert len({plan.fingerprint, *(other.fingerprint for other in others)}) == 6
    renamed = replace(base, task=replace(base.task, name="renamed"), label_percent=11.0)
    assert SearchPlan(SEARCH, renamed).fingerprint == plan.fingerprint
    assert SearchPlan.from_json(plan.to_json()) == plan
    drawn = {tuple(c.learner for c in one.samples) for one in (plan, *others)}
    assert len(drawn) == 6


def test_a_changed_plan_of_a_search_is_not_read() -> None:
    body = SearchPlan(SEARCH, cell_of(FULL)).to_json()
    with pytest.raises(ValueError, match="not what its fingerprint names"):
        SearchPlan.from_json({**body, "base": cell_of(FULL, seed=5).to_json()})
    with pytest.raises(ValueError, match="no base"):
        SearchPlan.from_json({**body, "base": None})


def test_only_learners_with_epochs_are_halved() -> None:
    assert SearchPlan(SEARCH, cell_of(FULL)).rungs_end == FULL.epochs
    whole = SEARCH.model_copy(update={"halving": False})
    assert SearchPlan(whole, cell_of(FULL)).rungs_end == 0
    probed = Search(space={"penalties": RATES})
    assert SearchPlan(probed, cell_of(PROBE)).rungs_end == 0
    once = SearchPlan(SEARCH, cell_of(Finetuning(kind="finetune", epochs=1)))
    assert once.rungs_end == 0


scores = st.one_of(st.just(-math.inf), st.floats(-1, 1))
tried = st.builds(
    Tried,
    cell=keys,
    score=scores,
    stopped=st.booleans(),
    error=st.sampled_from(["", "", "it diverged"]),
)


@QUICK
@given(st.lists(tried, min_size=1, max_size=8))
def test_the_best_that_ran_whole_wins(settings_tried: list[Tried]) -> None:
    whole = [one for one in settings_tried if one.whole]
    if not whole:
        with pytest.raises(ValueError, match="no setting ran whole"):
            choice(settings_tried)
        return
    place, why = choice(settings_tried)
    best = settings_tried[place]
    assert best.whole
    assert best.score == max(one.score for one in whole)
    before = [one for one in settings_tried[:place] if one.whole]
    assert all(one.score < best.score for one in before)
    assert f"{len(whole)} that ran whole" in why


def _grid(search: Search | None) -> SweepGrid:
    spec = SweepSpec(
        kind="sweep",
        name="s",
        tasks=("t", "u"),
        label_percents=(10.0, 100.0),
        seeds=(4, 5),
        arms=(
            Arm(learner=FULL, vocabularies=("kmer6",), initial=("demo",), search=search),
            Arm(learner=KMER),
        ),
    )
    asked = requests(spec, spec.tasks, lambda arm, task: (FULL, KMER)[arm])

    def _subset(task: str, percent: float, seed: int, most: int) -> Subset:
        import numpy as np

        name = f"{task} {percent:g} {seed}"
        return Subset(percent, seed, np.arange(3, dtype=np.int64), name)

    bindings = Bindings(
        {name: Ingredient(name, name) for name in spec.tasks},
        {"kmer6": Ingredient("kmer6", "k")},
        {("demo", "kmer6"): Ingredient("demo", "d")},
        _subset,
    )
    return SweepGrid(asked, bindings)


def test_seeds_share_a_search_and_label_percents_never_do() -> None:
    grid = _grid(SEARCH)
    groups = {(plan.base.task.name, plan.base.label_percent) for plan in grid.searches}
    assert len(grid.searches) == 4
    assert groups == {("t", 10.0), ("t", 100.0), ("u", 10.0), ("u", 100.0)}
    for plan in grid.searches:
        assert plan.base.seed == 4
        own = (plan.base.task, plan.base.label_percent, plan.base.subset)
        assert {(c.task, c.label_percent, c.subset) for c in plan.samples} == {own}


def test_cells_wait_for_their_search_and_take_what_it_chose() -> None:
    grid = _grid(SEARCH)
    baselines = grid.cells({})
    assert {cell.method for cell in baselines} == {"kmer"}
    assert len(baselines) == 8
    first = grid.searches[0]
    some = grid.cells({first.fingerprint: first.samples[2].learner})
    assert [cell.learner for cell in some[:2]] == [first.samples[2].learner] * 2
    assert some[0].fingerprint == first.samples[2].fingerprint
    assert len(some) == 10
    chosen = {plan.fingerprint: plan.samples[0].learner for plan in grid.searches}
    everything = grid.cells(chosen)
    assert [(c.task.name, c.label_percent, c.seed) for c in everything] == [
        (r.task, r.label_percent, r.seed) for r in grid.asked
    ]


def test_without_a_search_nothing_changes() -> None:
    grid = _grid(None)
    assert not grid.searches
    asked: tuple[CellRequest, ...] = grid.asked
    assert [cell.learner for cell in grid.cells({})] == [request.learner for request in asked]
