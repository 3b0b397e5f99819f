"""Cells of several vocabularies at once, and that those of one are named as they always were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cell_examples import CNN, FULL, KMER, LORA, PROBE, cell_of
from plan_examples import TINY

from gfmp.plan.cells import NUMERICS_VERSIONS, Cell, Ingredient
from gfmp.plan.grid import requests, scratch_ingredient, trials
from gfmp.plan.search import SearchPlan, sampled, with_setting
from gfmp.spec.learner import AnyLearner, Finetuning
from gfmp.spec.sweep import Arm, Search, SweepSpec, Values
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import Vocabulary

BPE, SIX = Ingredient("bpe4096", "b" * 64), Ingredient("kmer6", "2" * 64)
GATED = FULL.model_copy(update={"join": "gated"})
# Read off before several vocabularies could be read at once; finished cells lie under them.
BEFORE = {
    "probe": "efac4f4a5881d1abc16154a37aa9018f8af1c9439d8b20b5f1631db8e1c113b8",
    "full": "95f08c97b73742320355cf85131e997b89b429d5bef21e43f75b9a9982ed8a41",
    "lora": "d3f567a8187edc1b3241a368395d604fd1aa5b11ba41763c07bb15e92f6ead84",
    "kmer": "fffbacc30cbcc985570613465434e34de8369d8749c5560f48ac850dba43d39e",
    "cnn": "58be363dc77d4f014e61b336e08a4f691fce134d363055cfd493b772ec5c68fc",
}
SCRATCH_BEFORE = "3e4eb3dd89c04ac3ff512c0c6ccca27d6b2a80bf5f35a5263236e6c91286bcbf"
SEARCH_BEFORE = "c10ee2ab328dd5bc1d1f94700442e8537b46f9f45c3824f16837227cbf50e3c3"


def _vocabulary(k: int) -> Vocabulary:
    recipe = Recipe(f"kmer{k}", "kmer", {"k": k, "stride_bp": 1, "mask_span_tokens": 2 * k})
    return FamilyRegistry.discover().get("kmer").build(recipe, ())


def _pair(learner: AnyLearner) -> Cell:
    return replace(cell_of(learner), vocabulary=Ingredient.together([SIX, BPE]))


@pytest.fixture(autouse=True)
def _numbers_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of some learners are of another version since."""
    for kind in NUMERICS_VERSIONS:
        monkeypatch.setitem(NUMERICS_VERSIONS, kind, 1)


@pytest.mark.parametrize("learner", [PROBE, FULL, LORA, KMER, CNN])
def test_cells_of_one_vocabulary_keep_their_names(learner: AnyLearner) -> None:
    cell = cell_of(learner)
    assert cell.fingerprint == BEFORE[cell.method]
    body = cell.to_json()["learner"]
    assert isinstance(body, dict) and "join" not in body


def test_scratch_and_searches_of_one_vocabulary_keep_their_names() -> None:
    assert scratch_ingredient(TINY, _vocabulary(3)).fingerprint == SCRATCH_BEFORE
    search = Search(space={"learning_rate": Values(low=1e-5, high=1e-3)})
    assert SearchPlan(search, cell_of(FULL)).fingerprint == SEARCH_BEFORE


def test_several_are_one_ingredient_whatever_their_order() -> None:
    both = Ingredient.together([SIX, BPE])
    assert both == Ingredient.together([BPE, SIX])
    assert both.name == "bpe4096+kmer6"
    others = [replace(SIX, fingerprint="c" * 64), Ingredient("nt", "d" * 64)]
    found = {Ingredient.together([one, BPE]).fingerprint for one in (SIX, *others)}
    found |= {
        BPE.fingerprint,
        SIX.fingerprint,
        Ingredient.together([BPE, SIX, *others]).fingerprint,
    }
    assert len(found) == 6
    assert Ingredient.together([SIX]) == SIX


def test_scratch_of_several_is_told_by_all_of_them() -> None:
    two, three = _vocabulary(2), _vocabulary(3)
    both = scratch_ingredient(TINY, two, three)
    assert both == scratch_ingredient(TINY, three, two)
    alone = {scratch_ingredient(TINY, one).fingerprint for one in (two, three)}
    assert both.fingerprint not in alone


def test_how_they_are_joined_is_part_of_the_cell() -> None:
    cells = [_pair(learner) for learner in (PROBE, FULL, GATED, LORA)]
    assert len({cell.fingerprint for cell in cells}) == 4
    assert [Cell.from_json(cell.to_json()) for cell in cells] == cells
    assert {cell.vocabularies for cell in cells} == {("bpe4096", "kmer6")}
    assert cell_of(KMER).vocabularies == ()


def test_what_tables_call_them() -> None:
    assert _pair(PROBE).model == "probe / bpe4096+kmer6 / demo"
    assert _pair(FULL).model == "full / bpe4096+kmer6 / demo"
    assert _pair(GATED).model == "full / bpe4096+kmer6 gated / demo"
    assert _pair(GATED).trial == _pair(PROBE).trial, "tokens and weights are shared"


def _asked(*arms: Arm) -> list[tuple[str, AnyLearner]]:
    spec = SweepSpec(
        kind="sweep", name="s", tasks=("a",), label_percents=(1.0,), seeds=(0,), arms=arms
    )

    def learner(arm: int, task: str) -> AnyLearner:
        found = spec.arms[arm].learner
        assert not isinstance(found, str)
        return found

    return [(r.vocabulary, r.learner) for r in requests(spec, ("a",), learner)]


def test_a_join_of_one_vocabulary_is_no_other_cell() -> None:
    axis = ("kmer6", "bpe4096+kmer6")
    arms = [Arm(learner=x, vocabularies=axis, initial=("demo",)) for x in (FULL, GATED)]
    assert _asked(*arms) == [
        ("kmer6", FULL),
        ("bpe4096+kmer6", FULL),
        ("bpe4096+kmer6", GATED),
    ]


def test_the_join_can_be_searched() -> None:
    search = Search(space={"join": Values(choices=("concat", "gated"))}, samples=2)
    found = sampled(search, FULL, "key")
    assert {x.join for x in found if isinstance(x, Finetuning)} == {"concat", "gated"}
    assert with_setting(GATED, {"join": "concat"}) == FULL


def test_a_trial_of_two_is_as_long_as_two() -> None:
    one, both = cell_of(FULL), _pair(FULL)
    longer = replace(cell_of(FULL), seed=1)
    assert list(trials([one, both])) == [both.trial, one.trial]
    more = [replace(longer, seed=seed) for seed in range(3)]
    assert list(trials([*more, both])) == [one.trial, both.trial]
