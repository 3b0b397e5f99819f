"""A motif plan: pure, printable, the same again from JSON, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gfmp.errors import CorruptArtefactError, DataError, SpecError
from gfmp.plan.cells import Ingredient
from gfmp.plan.motifs import (
    ModelFacts,
    MotifFacts,
    MotifPlan,
    RowFacts,
    resolve_motifs,
)
from gfmp.spec.motifs import MotifsSpec

MODEL = ModelFacts(
    Ingredient("planted-1", "a" * 64),
    "/runs/planted-1/models/abc",
    Ingredient("planted", "b" * 64),
    (Ingredient("kmer6", "c" * 64),),
    "bound",
    1,
    "binary",
)
FACTS = MotifFacts(MODEL, RowFacts(300, 5_000, 100.0), Ingredient(), 0, 3)


def spec(**changes: object) -> MotifsSpec:
    body = {"kind": "motifs", "name": "x", "model": "planted", **changes}
    return MotifsSpec.model_validate_json(json.dumps(body))


def derived(plan: MotifPlan) -> dict[str, object]:
    return {one.name: one.value for one in plan.derived}


def test_every_number_is_explained() -> None:
    plan = resolve_motifs(spec(), FACTS)
    found = derived(plan)
    assert (found["positive_rows"], found["negative_rows"]) == (300, 2_000)
    assert found["searched_rows"] == 210 and found["rows_read"] == 300
    assert found["explained"] == "bound" and found["library"] == "none"
    assert all(one.reason for one in plan.derived)
    assert (plan.where.threads, plan.where.folder) == (3, MODEL.folder)


@pytest.mark.parametrize(
    ("name", "reads"), [("cls", 300), ("integrated_gradients", 4_800), ("mutagenesis", 90_300)]
)
def test_what_a_map_costs(name: str, reads: int) -> None:
    assert derived(resolve_motifs(spec(map=name), FACTS))["rows_read"] == reads


def test_a_plan_is_the_same_from_json() -> None:
    known = replace(FACTS, library=Ingredient("jaspar_insects", "d" * 64), num_known=286)
    plan = resolve_motifs(spec(library="jaspar_insects"), known)
    assert MotifPlan.from_json(plan.to_json(), "plan.json") == plan
    assert derived(plan)["library"] == "jaspar_insects"


def test_a_changed_plan_is_refused() -> None:
    body = resolve_motifs(spec(), FACTS).to_json()
    changed = json.loads(json.dumps(body))
    changed["what"]["seed"] = 7
    for broken in (changed, {**body, "format_version": 9}, {**body, "what": {}}):
        with pytest.raises(CorruptArtefactError, match="motif job") as caught:
            MotifPlan.from_json(broken, "/run/plan.json")
        assert caught.value.problems[0].where == "/run/plan.json"


def test_identity_is_what_decides_the_findings() -> None:
    plain = resolve_motifs(spec(), FACTS).what.fingerprint
    same = (
        resolve_motifs(spec(compute={"threads": 9}), FACTS),
        resolve_motifs(spec(name="other"), FACTS),
        resolve_motifs(spec(), replace(FACTS, model=replace(MODEL, folder="/elsewhere"))),
    )
    assert {plan.what.fingerprint for plan in same} == {plain}
    others = (
        resolve_motifs(spec(map="cls"), FACTS),
        resolve_motifs(spec(seed=1), FACTS),
        resolve_motifs(spec(search={"fdr": 0.01}), FACTS),
        resolve_motifs(
            spec(), replace(FACTS, model=replace(MODEL, model=Ingredient("planted-1", "z" * 64)))
        ),
        resolve_motifs(spec(), replace(FACTS, library=Ingredient("own", "e" * 64))),
    )
    assert len({plain, *(plan.what.fingerprint for plan in others)}) == 6


def test_too_few_rows_are_refused_with_the_side() -> None:
    few = replace(FACTS, rows=RowFacts(300, 9, 100.0))
    with pytest.raises(DataError, match="9 negative rows") as caught:
        resolve_motifs(spec(), few, lambda key: f"job.yaml:{key[0]}")
    assert caught.value.problems[0].where == "job.yaml:split"


def test_more_sites_than_rows_are_refused() -> None:
    with pytest.raises(SpecError, match="min_sites: 211") as caught:
        resolve_motifs(spec(search={"min_sites": 211}), FACTS)
    assert caught.value.problems[0].where == "search.min_sites"
    assert resolve_motifs(spec(search={"min_sites": 210}), FACTS)
