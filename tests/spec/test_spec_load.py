"""Specs: every fault in one error, with place and remedy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gfmp.errors import MissingInputError, SpecError
from gfmp.spec.load import load_spec, overridden, validate
from gfmp.spec.model import Architecture, ModelSpec
from gfmp.spec.pretrain import Masking, PretrainSpec, Sampling
from gfmp.spec.project import find_named

GOOD = """\
kind: pretrain
name: small
corpus: demo
vocabularies:
  - {name: kmer6}
model: {layers: 2, width: 32, heads: 2, intermediate: 64}
steps: 10
sampling: {global_batch_sequences: 8}
optimiser: {learning_rate: 1e-3}
"""


def _load(tmp_path: Path, text: str) -> PretrainSpec:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    return load_spec(path, {"pretrain": PretrainSpec})[0]


def test_a_short_spec_is_enough(tmp_path: Path) -> None:
    spec = _load(tmp_path, GOOD)
    assert spec.optimiser.learning_rate == 1e-3
    assert spec.model == Architecture(layers=2, width=32, heads=2, intermediate=64)
    assert spec.masking == Masking()


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("learning_rate: 1e-3", "learning_rat: 1e-3").replace(
        "steps: 10", "steps: -5"
    )
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, text.replace("name: kmer6", "name: no, weight: .nan"))
    found = {p.where.split(":", 1)[1]: (p.message, p.fix) for p in caught.value.problems}
    assert found["9:13"][0] == "unknown key 'optimiser.learning_rat'"
    assert found["9:13"][1] == "did you mean 'learning_rate'?"
    assert "-5" in found["7:1"][0]
    assert "weight" in found["5:16"][0]
    assert len(caught.value.problems) == 4  # and the missing learning_rate itself
    assert caught.value.exit_status == 78


def test_keys_that_stand_twice_do_not_hide_the_rest(tmp_path: Path) -> None:
    text = GOOD.replace("steps: 10", "steps: -5\nsteps: 7") + "lr: 1\nname: again\n"
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, text)
    found = {p.where.split(":", 1)[1]: p.message for p in caught.value.problems}
    assert found == {
        "8:1": "the key 'steps' stands twice",
        "12:1": "the key 'name' stands twice",
        "7:1": "steps: -5 is not allowed",
        "11:1": "unknown key 'lr'",
    }
    with pytest.raises(SpecError, match="'name' stands twice"):
        _load(tmp_path, GOOD + "name: again\n")
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, "kin: pretrain\na: 1\na: 2\n")
    assert [p.message for p in caught.value.problems] == [
        "the key 'kind' is missing",
        "the key 'a' stands twice",
    ]


def test_twenty_thousand_mistakes_are_all_told_in_seconds(tmp_path: Path) -> None:
    began = time.process_time()
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, GOOD + "".join(f"stepps{i}: 1\n" for i in range(20_000)))
    assert time.process_time() - began < 4  # the margin is for a busy machine
    assert len(caught.value.problems) == 20_000
    assert caught.value.problems[0].fix == "did you mean 'steps'?"
    assert caught.value.problems[-1].message == "unknown key 'stepps19999'"


def test_a_huge_value_does_not_fill_the_screen(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, GOOD.replace("steps: 10", "steps: " + "x" * 100_000))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("heads: 2", "heads: 5", "not a multiple"),
        ("global_batch_sequences: 8", "max_tokens: 512", "exactly one"),
        ("- {name: kmer6}", "- {name: kmer6}\n  - {name: kmer6}", "twice"),
        ("learning_rate: 1e-3", "learning_rate: 1e-3, warmup_steps: 11", "exceed steps"),
        ("steps: 10", "steps: 1.5", "integer"),
        ("steps: 10", "steps: true", "integer"),
        ("name: small", "name: ../x", "match"),
        ("kind: pretrain", "kind: pretrian", "kind"),
        ("kind: pretrain\n", "", "missing"),
    ],
)
def test_rules_are_kept(tmp_path: Path, old: str, new: str, word: str) -> None:
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, GOOD.replace(old, new))
    text = " ".join(f"{p.message} {p.why}" for p in caught.value.problems)
    assert word in text


def test_masking_shares_must_fit() -> None:
    with pytest.raises(ValueError, match="exceed 1"):
        Masking(mask_fraction=0.9, random_fraction=0.2)
    assert Sampling(global_batch_tokens=100).global_batch_sequences is None


def test_set_goes_through_the_same_validation(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(GOOD)
    _, document = load_spec(path, {"pretrain": PretrainSpec})
    changed = validate(
        overridden(document, ("compute.workers=4", "optimiser.learning_rate=1e-4")), PretrainSpec
    )
    assert (changed.compute.workers, changed.optimiser.learning_rate) == (4, 1e-4)
    with pytest.raises(SpecError, match=r"unknown key 'compute\.wrkers'"):
        validate(overridden(document, ("compute.wrkers=4",)), PretrainSpec)
    for wrong in ("steps", "steps.x=1"):
        with pytest.raises(SpecError, match="--set"):
            overridden(document, (wrong,))


def test_names_are_found_upwards(tmp_path: Path) -> None:
    (tmp_path / "specs" / "models").mkdir(parents=True)
    (tmp_path / "specs" / "models" / "tiny.yaml").write_text(
        "kind: model\narchitecture: {layers: 1, width: 4, heads: 1, intermediate: 4}\n"
    )
    (tmp_path / "jobs").mkdir()
    job = tmp_path / "jobs" / "job.yaml"
    found = find_named("models", "tiny", job)
    assert load_spec(found, {"model": ModelSpec})[0].architecture.width == 4
    assert find_named("models", "../specs/models/tiny.yaml", job) == found.resolve()
    with pytest.raises(MissingInputError) as caught:
        find_named("models", "tinny", job)
    assert "tiny" in caught.value.problems[0].fix
