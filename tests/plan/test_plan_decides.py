"""What `gfmp explain` says a key decides is what changes in the plan when the key changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_examples import known

from gfmp.plan.decides import DECIDES, decided_by, stem
from gfmp.plan.resolve import resolve
from gfmp.spec.load import load_spec, overridden, validate
from gfmp.spec.pretrain import PretrainSpec

JOB = Path(__file__).resolve().parents[2] / "jobs" / "pretrain.yaml"
OTHER = {
    "steps": 1000,
    "precision": "bf16",
    "mixture": "by_bases",
    "sampling.global_batch_sequences": 32,
    "sampling.max_tokens": 256,
    "masking.fraction": 0.2,
    "masking.law": "centres",
    "masking.scope": "union",
    "optimiser.learning_rate": 1e-4,
    "optimiser.schedule": "cosine",
    "optimiser.warmup_steps": 50,
    "optimiser.final_fraction": 0.1,
    "evaluation.every_steps": 100,
    "evaluation.windows": 32,
    "evaluation.final_hidden_bases": 1000,
    "evaluation.fraction": 0.2,
    "checkpoint.every_steps": 100,
    "checkpoint.keep_last": 3,
    "checkpoint.keep_best": 2,
    "compute.workers": 4,
    "compute.zero_stage": 3,
    "compute.micro_batch_tokens": 1024,
    "compute.feed": "tasks",
}


def _rows(spec: PretrainSpec) -> dict[str, tuple[object, str]]:
    return {row.name: (row.value, row.reason) for row in resolve(spec, known()).derived}


def test_every_key_is_tried() -> None:
    assert set(OTHER) == set(DECIDES)


@pytest.mark.parametrize("key", OTHER)
def test_a_key_decides_what_is_said(key: str) -> None:
    spec, document = load_spec(JOB, {"pretrain": PretrainSpec})
    before = _rows(spec)
    after = _rows(validate(overridden(document, (f"{key}={OTHER[key]}",)), PretrainSpec))
    changed = {stem(name) for name in before | after if before.get(name) != after.get(name)}
    assert set(decided_by(f"pretrain.{key}")) <= changed


def test_other_kinds_of_jobs_decide_nothing_there() -> None:
    assert decided_by("finetune.steps") == () and decided_by("pretrain") == ()
