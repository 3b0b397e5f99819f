"""A variant-effect plan: pure, printable, the same again from JSON, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gfmp.errors import CorruptArtefactError, SpecError
from gfmp.plan.cells import Ingredient
from gfmp.plan.variant_effect import (
    EffectFacts,
    EffectPlan,
    FileFacts,
    ModelFacts,
    resolve_effects,
)
from gfmp.spec.variant_effect import VariantEffectSpec

VOCABULARIES = (Ingredient("bpe", "b" * 64), Ingredient("kmer6", "k" * 64))
PRETRAINED = ModelFacts(Ingredient("demo-1", "d" * 64), VOCABULARIES, (1, 6))
PROFILE = ModelFacts(Ingredient("marks-1", "m" * 64), VOCABULARIES[:1], (1,), 919, True)
SCORERS: list[dict[str, Any]] = [
    {"kind": "likelihood", "model": "demo", "vocabulary": "kmer6"},
    {"kind": "embedding", "model": "demo", "vocabulary": "bpe", "distances": ["cosine", "dot"]},
    {"kind": "profile", "model": "marks", "distances": ["euclidean"]},
]


def spec(**changes: object) -> VariantEffectSpec:
    body = {"kind": "variant_effect", "name": "x", "variants": "v.vcf", "reference": "r.fa"}
    return VariantEffectSpec.model_validate_json(
        json.dumps({**body, "scorers": SCORERS, **changes})
    )


def facts(profile: ModelFacts = PROFILE) -> EffectFacts:
    models = {
        ("likelihood", "demo"): PRETRAINED,
        ("embedding", "demo"): PRETRAINED,
        ("profile", "marks"): profile,
    }
    files = FileFacts("/v.vcf", "1" * 64), FileFacts("/r.fa", "2" * 64)
    return EffectFacts(*files, models, cpu_cores=3)


def test_every_score_has_a_column_and_every_model_its_weights() -> None:
    plan = resolve_effects(spec(), facts())
    what = plan.what
    assert what.columns == (
        *("llr_kmer6", "embedding_bpe_cosine", "embedding_bpe_dot", "profile_euclidean"),
    )
    assert [one.model.fingerprint[0] for one in what.scorers] == ["d", "d", "m"]
    assert [[v.name for v in one.vocabularies] for one in what.scorers] == [
        *(["kmer6"], ["bpe"], ["bpe"]),
    ]
    assert what.shortest_bp == 6
    assert plan.where.threads == 3
    explained = {number.name: number for number in plan.derived}
    assert explained["texts_per_allele"].value == 4
    assert explained["flanks_bp"].value == "255 and 256"
    assert all(number.reason for number in plan.derived)


def test_a_plan_is_the_same_again_from_json_and_a_changed_one_is_refused() -> None:
    measured = {"measured": {"field": "EF"}, "head": {"scorer": "profile"}}
    plan = resolve_effects(spec(**measured), facts())
    assert plan.what.columns[-1] == "head"
    value = json.loads(json.dumps(plan.to_json()))
    assert EffectPlan.from_json(value, "plan.json") == plan
    value["what"]["window_bp"] = 100
    with pytest.raises(CorruptArtefactError, match="identity is not what it says"):
        EffectPlan.from_json(value, "plan.json")
    with pytest.raises(CorruptArtefactError) as caught:
        EffectPlan.from_json({**value, "what": {}}, "plan.json")
    assert caught.value.problems[0].where == "plan.json"


def test_only_what_changes_scores_changes_the_identity() -> None:
    plain = resolve_effects(spec(), facts()).what.fingerprint
    same = spec(compute={"threads": 1, "shard_records": 7})
    assert resolve_effects(same, facts()).what.fingerprint == plain
    for change in ({"window_bp": 100}, {"strands": "forward"}, {"score_every": 2}):
        assert resolve_effects(spec(**change), facts()).what.fingerprint != plain


def test_all_that_is_impossible_is_told_at_once() -> None:
    wrong = [
        {**SCORERS[0], "vocabulary": "kmer9"},
        {**SCORERS[2], "space": "logits"},
    ]
    values = ModelFacts(PROFILE.run, VOCABULARIES[:1], (40,), 2, False)
    with pytest.raises(SpecError) as caught:
        resolve_effects(spec(scorers=wrong, window_bp=20), facts(values))
    found = [problem.message for problem in caught.value.problems]
    assert found == [
        "scorers.0.vocabulary: 'demo' has no 'kmer9'",
        "scorers.1.space: 'marks' predicts values",
        "window_bp: 20 is shorter than what 'marks' reads",
    ]
    assert "it was pretrained with bpe, kmer6" in caught.value.problems[0].why
