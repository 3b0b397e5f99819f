from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from plan_examples import known, spec

from gfmp.errors import CorruptArtefactError
from gfmp.plan.resolve import resolve
from gfmp.plan.values import FORMAT_VERSION, Derived, Plan, What

PLAN = resolve(spec(), known())


def test_the_fingerprint_is_of_the_identity_alone() -> None:
    moved = replace(PLAN.where, workers=7, engine="zero3", accumulation=5)
    elsewhere = replace(PLAN, name="other", where=moved, derived=())
    assert elsewhere.what.fingerprint == PLAN.what.fingerprint
    assert len(PLAN.what.fingerprint) == 64


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN.what, corpus="d" * 64),
        replace(PLAN.what, ensemble="f" * 64),
        replace(PLAN.what, steps=241),
        replace(PLAN.what, precision="bf16"),
        replace(PLAN.what, feed=replace(PLAN.what.feed, global_batch_sequences=33)),
        replace(PLAN.what, optimiser=PLAN.what.optimiser.model_copy(update={"epsilon": 1e-8})),
        replace(PLAN.what, evaluation=PLAN.what.evaluation.model_copy(update={"windows": 65})),
    ],
)
def test_every_part_of_the_identity_is_in_its_fingerprint(other: What) -> None:
    assert other.fingerprint != PLAN.what.fingerprint


def test_json_holds_the_version_the_fingerprint_and_every_number() -> None:
    value = json.loads(json.dumps(PLAN.to_json(), allow_nan=False))
    assert value["format_version"] == FORMAT_VERSION
    assert value["what_fingerprint"] == PLAN.what.fingerprint
    assert len(value["derived"]) == len(PLAN.derived)


@pytest.mark.parametrize("number", [3, 3.0, 10**22, 0.1, "unknown"])
def test_numbers_keep_their_type_and_size_through_json(number: int | float | str) -> None:
    plan = replace(PLAN, derived=(Derived("n", number, "", "because"),))
    back = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    (row,) = back.derived
    assert row.value == number and type(row.value) is type(number)


def test_a_changed_fingerprint_is_noticed() -> None:
    with pytest.raises(CorruptArtefactError, match="hashes to"):
        Plan.from_json({**PLAN.to_json(), "what_fingerprint": "0" * 64})


def test_planning_loads_nothing_heavy() -> None:
    code = (
        "import sys, gfmp.plan.resolve, gfmp.plan.engine, gfmp.plan.preflight;"
        "print([m for m in ('torch', 'ray', 'mlflow', 'deepspeed') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_job_without_new_keys_is_the_plan_it_always_was() -> None:
    """The identity that the demo job had before there were rules for unsound numbers."""
    before = "02069d27dddc74c8a48949da5212bb0aa076b9a0280906a81fad6d90975f6ba4"
    assert resolve(spec(), known()).what.fingerprint == before
    careful = resolve(spec(numbers={"on_nonfinite": "skip", "spike_factor": 10.0}), known())
    assert careful.what.fingerprint == before
    assert careful.where.numbers.spike_factor == 10.0
