"""A model of one task on the test rows of another: the same model, whoever it is scored on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from learner_samples import cell_of, gc_rows, gc_task, quick, tokens_of, untrained

from gfmp.learners.cnn import CnnTrial
from gfmp.learners.encoder_trial import EncoderTrial
from gfmp.learners.initial import Initial
from gfmp.learners.kmer import KmerTrial
from gfmp.ledger.cells import CellResult
from gfmp.plan.cells import Ingredient
from gfmp.spec.learner import AnyLearner, CnnBaseline, KmerBaseline, Probe
from gfmp.tasks.task import Task

LEARNERS: list[AnyLearner] = [
    Probe(kind="probe"),
    quick(epochs=3),
    quick(epochs=8, method="lora"),
    KmerBaseline(kind="kmer"),
    CnnBaseline(kind="cnn", epochs=3),
]


def _elsewhere(task: Task) -> Task:
    """Return another task of the same question, with longer test rows at the end."""
    rows = gc_rows("binary", 24, 9)
    longer = (*rows.sequences[:-1], rows.sequences[-1] * 3)
    return replace(
        task, name="elsewhere", test=replace(rows, sequences=longer), fingerprint="e" * 64
    )


def _run(learner: AnyLearner, task: Task, initial: Initial, others: tuple[Task, ...]) -> CellResult:
    cell, rows = cell_of(task, initial, learner)
    made_of = tuple(Ingredient(one.name, one.fingerprint) for one in others)
    cell = replace(cell, also_on=made_of)
    if isinstance(learner, KmerBaseline):
        return KmerTrial(task, others=others).run(cell, rows)
    if isinstance(learner, CnnBaseline):
        return CnnTrial(task, others=others).run(cell, rows)
    trial = EncoderTrial(task, (tokens_of(task),), initial, device="cpu")
    for one in others:
        trial.also_on(one, (tokens_of(one),))
    return trial.run(cell, rows)


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: getattr(one, "method", one.kind))
def test_other_tasks_are_scored_by_the_same_model(learner: AnyLearner, pretrained: Initial) -> None:
    task = gc_task()
    twin = replace(task, name="twin", fingerprint="d" * 64)
    found = _run(learner, task, pretrained, (_elsewhere(task), twin))
    assert list(found.other_predictions) == ["elsewhere", "twin"]
    assert found.other_predictions["elsewhere"].shape == (24, 2)
    # The twin has the task's own test rows: the same model says the same of them.
    assert np.array_equal(found.other_predictions["twin"], found.test_predictions)
    assert found.metrics["on/twin/mcc"] == found.metrics["test/mcc"]
    assert found.metrics["on/elsewhere/mcc"] > 0.3


@pytest.mark.parametrize("learner", LEARNERS[:4], ids=lambda one: one.kind)
def test_being_scored_elsewhere_changes_nothing_at_home(
    learner: AnyLearner, pretrained: Initial
) -> None:
    task = gc_task()
    alone = _run(learner, task, pretrained, ())
    among = _run(learner, task, pretrained, (_elsewhere(task),))
    assert alone.other_predictions == {}
    assert np.array_equal(alone.test_predictions, among.test_predictions)
    here = {k: v for k, v in among.metrics.items() if not k.startswith("on/")}
    assert here == alone.metrics


def test_an_undefined_metric_elsewhere_is_told_as_a_fact(pretrained: Initial) -> None:
    task = gc_task()
    other = _elsewhere(task)
    one_class = np.flatnonzero(other.test.targets[:, 0] == 0)
    other = replace(other, metric="auroc", test=other.test.take(one_class))
    found = _run(Probe(kind="probe"), task, pretrained, (other,))
    assert "on/elsewhere/auroc" not in found.metrics
    assert found.facts["on/elsewhere/undefined"] == "auroc"


def test_a_trial_that_does_not_know_the_tasks_of_its_cell_is_a_bug() -> None:
    task, initial = gc_task(), untrained()
    cell, rows = cell_of(task, initial, Probe(kind="probe"))
    trial = EncoderTrial(task, (tokens_of(task),), initial, device="cpu")
    with pytest.raises(AssertionError, match="it knows the tasks of its cells"):
        trial.run(replace(cell, also_on=(Ingredient("x", "x"),)), rows)
