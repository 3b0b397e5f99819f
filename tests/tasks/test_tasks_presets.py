"""Exceptions per task: patterns, the order they apply in, and what they may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.errors import SpecError
from gfmp.spec.learner import Finetuning, LearnerSpec, Probe, TaskOverride
from gfmp.tasks.presets import load_learner, resolved

PRESETS = Path(__file__).parents[2] / "specs" / "learners"
HEAD = "kind: learner\ndescription: d\nlearner: {kind: finetune, epochs: 4}\nper_task:\n"


def spec_of(*overrides: tuple[str, dict[str, int | float | str]]) -> LearnerSpec:
    learner = Finetuning(kind="finetune", epochs=4)
    exceptions = tuple(TaskOverride(tasks=tasks, set=values) for tasks, values in overrides)
    return LearnerSpec(kind="learner", description="d", learner=learner, per_task=exceptions)


def test_a_task_without_exceptions_gets_the_preset() -> None:
    spec = spec_of(("prom_*", {"epochs": 9}))
    assert resolved(spec, "splice") == spec.learner


def test_the_last_match_wins_and_earlier_ones_stay_beside_it() -> None:
    spec = spec_of(
        ("prom_*", {"epochs": 9, "patience": 7}),
        ("prom_*_tata", {"epochs": 10}),
        ("x", {"epochs": 1}),
    )
    found = resolved(spec, "prom_300_tata")
    assert isinstance(found, Finetuning)
    assert (found.epochs, found.patience, found.batch_rows) == (10, 7, 32)


def test_a_file_with_an_unknown_field_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "l.yaml"
    path.write_text(
        HEAD + "  - tasks: a\n    set: {epoch: 3}\n  - tasks: b\n    set: {epochs: x}\n"
    )
    with pytest.raises(SpecError) as caught:
        load_learner(path)
    unknown, wrong = caught.value.problems
    assert "'epoch'" in unknown.message and "epochs" in unknown.fix
    assert unknown.where.endswith("l.yaml:6:11")
    assert "'x'" in wrong.message and wrong.where.endswith("l.yaml:8:11")


def test_the_kind_of_a_learner_is_no_setting() -> None:
    with pytest.raises(SpecError, match="no setting 'kind'"):
        resolved(spec_of(("*", {"kind": "probe"})), "a")


def test_a_wrong_value_is_refused_where_it_applies() -> None:
    spec = spec_of(("a", {"epochs": 0}))
    assert isinstance(resolved(spec, "b"), Finetuning)
    with pytest.raises(SpecError, match="per_task 'a'"):
        resolved(spec, "a")


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_of_the_project_loads(path: Path) -> None:
    spec = load_learner(path)
    assert spec.description


def test_gue_presets_hold_the_epochs_of_their_source() -> None:
    for name, method in (("finetune_gue", "full"), ("lora_gue", "lora")):
        spec = load_learner(PRESETS / f"{name}.yaml")
        epochs = {}
        for task in ("prom-prom_300_tata", "prom-prom_core_notata", "splice-reconstructed", "tf-0"):
            found = resolved(spec, task)
            assert isinstance(found, Finetuning) and found.method == method
            epochs[task] = found.epochs
        assert list(epochs.values()) == [10, 4, 5, 3]
    assert isinstance(load_learner(PRESETS / "probe.yaml").learner, Probe)
