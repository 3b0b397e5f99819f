"""Features beside the sequence: every learner reads them, scaled by its labelled rows alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from learner_samples import cell_of, gc_rows, quick, tokens_of

from gfmp.learners.beside import Beside, Scale
from gfmp.learners.cnn import CnnTrial
from gfmp.learners.compute import Compute
from gfmp.learners.encoder_trial import EncoderTrial
from gfmp.learners.finetune import Setting, predicted
from gfmp.learners.finetuned import load
from gfmp.learners.initial import Initial
from gfmp.learners.kmer import KmerTrial
from gfmp.learners.views import TaskViews
from gfmp.ledger.cells import CellResult
from gfmp.plan.cells import Ingredient
from gfmp.spec.learner import AnyLearner, CnnBaseline, KmerBaseline, Probe
from gfmp.tasks.contexts import Contexts
from gfmp.tasks.task import SPLITS, Rows, Target, Task

CPU = Compute.of("cpu", 1)
LEARNERS: list[AnyLearner] = [
    Probe(kind="probe"),
    quick(epochs=1),
    quick(epochs=1, method="lora"),
    KmerBaseline(kind="kmer", longest=3),
    CnnBaseline(kind="cnn", epochs=2),
]
PATIENT: list[AnyLearner] = [
    LEARNERS[0],
    quick(learning_rate=4e-2, batch_rows=8, epochs=5),
    quick(learning_rate=4e-2, batch_rows=8, epochs=5, method="lora"),
    LEARNERS[3],
    CnnBaseline(kind="cnn", epochs=8),
]
# Feature 0 decides, in numbers as large as those of transcripts; feature 1 never varies.
VALUES = np.array([[9e5, 7, 1], [1e5, 7, 2], [5e5, 7, -4], [3e5, 7, 0]], dtype=np.float32)


def _rows(num_rows: int, seed: int, contexts: tuple[int, ...] = (0, 1, 2, 3)) -> Rows:
    """Return rows whose value is a matter of their context, not of their sequence."""
    rows = gc_rows("regression", num_rows, seed)
    of_row = np.resize(contexts, num_rows).astype(np.int32)
    targets = (VALUES[of_row, :1] / 1e5).astype(np.float32)
    known = Contexts(("a", "b", "c"), tuple("wxyz"), VALUES, of_row)
    return replace(rows, targets=targets, contexts=known)


def _task(contexts: tuple[int, ...] = (0, 1, 2, 3)) -> Task:
    target = Target("regression", ("value",))
    splits = (_rows(64, 1, contexts), _rows(16, 2, contexts), _rows(16, 3, contexts))
    return Task("beside", target, "r2_determination", (), *splits, fingerprint="a" * 64)


def _without(task: Task) -> Task:
    train, valid, test = (replace(task.rows(split), contexts=None) for split in SPLITS)
    return replace(task, train=train, valid=valid, test=test)


def _run(
    learner: AnyLearner,
    task: Task,
    initial: Initial,
    others: tuple[Task, ...] = (),
    models: Path | None = None,
) -> CellResult:
    cell, rows = cell_of(task, initial, learner)
    cell = replace(cell, also_on=tuple(Ingredient(o.name, o.fingerprint) for o in others))
    rows = np.arange(len(task.train))
    if isinstance(learner, KmerBaseline):
        return KmerTrial(task, others=others).run(cell, rows)
    if isinstance(learner, CnnBaseline):
        return CnnTrial(task, others=others).run(cell, rows)
    trial = EncoderTrial(task, (tokens_of(task),), initial, device="cpu", models=models)
    for one in others:
        trial.also_on(one, (tokens_of(one),))
    return trial.run(cell, rows)


@pytest.mark.parametrize("learner", PATIENT, ids=lambda one: getattr(one, "method", one.kind))
def test_what_the_context_decides_is_learned_from_its_features_only(
    learner: AnyLearner, pretrained: Initial
) -> None:
    task = _task()
    read = _run(learner, task, pretrained).metrics["test/r2_determination"]
    blind = _run(learner, _without(task), pretrained).metrics["test/r2_determination"]
    assert read > 0.7 and blind < 0.3


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: getattr(one, "method", one.kind))
def test_a_feature_that_never_varies_in_training_shifts_nothing_elsewhere(
    learner: AnyLearner, pretrained: Initial
) -> None:
    """One tissue teaches nothing of tissues: in another one it says what it said at home."""
    task = _task((2,))
    moved = replace(task.test, contexts=_rows(len(task.test), 3, (0,)).contexts)
    other = replace(task, name="elsewhere", test=moved, fingerprint="b" * 64)
    found = _run(learner, task, pretrained, (other,))
    assert np.array_equal(found.other_predictions["elsewhere"], found.test_predictions)


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: getattr(one, "method", one.kind))
def test_rows_that_are_not_labelled_change_no_prediction(
    learner: AnyLearner, pretrained: Initial
) -> None:
    """The features of test rows of another context do not enter the scale."""
    task = _task((0, 1, 2))
    far = replace(_rows(8, 9, (3,)), targets=np.zeros((8, 1), np.float32))
    longer = Rows(
        task.test.sequences + far.sequences,
        np.concatenate([task.test.matrix, far.matrix]),
        task.test.origins + far.origins,
        task.test.groups + far.groups,
        Contexts(
            ("a", "b", "c"),
            tuple("wxyz"),
            VALUES * np.array([1, 1, 1, 50])[:, None].astype(np.float32),
            np.concatenate([np.resize((0, 1, 2), 16), np.full(8, 3)]).astype(np.int32),
        ),
    )
    one = _run(learner, task, pretrained).test_predictions
    other = _run(learner, replace(task, test=longer), pretrained).test_predictions[:16]
    assert np.allclose(one, other, rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(
    of_row=st.lists(st.integers(0, 3), min_size=4, max_size=30),
    share=st.integers(1, 30),
    seed=st.integers(0, 999),
)
def test_the_scale_is_that_of_the_labelled_rows(of_row: list[int], share: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = (generator.normal(size=(4, 5)) * 10.0 ** generator.integers(-3, 6, 5)).astype("f4")
    values[:, 4] = 3.25
    number = np.array(of_row, dtype=np.int32)
    rows = replace(
        gc_rows("regression", len(of_row), 1),
        contexts=Contexts(tuple("abcde"), tuple("wxyz"), values, number),
    )
    labelled = generator.permutation(len(of_row))[:share]
    scale = Scale.of(rows, labelled)
    found = scale.applied(rows, labelled).astype(np.float64)
    spread = found.std(axis=0)
    assert np.allclose(found.mean(axis=0), 0, atol=1e-4)
    assert np.all(np.isclose(spread, 1, atol=1e-3) | (spread == 0))
    assert scale.factor[4] == 0
    # Neither their order nor what other rows and contexts are like matters.
    again = Scale.of(rows, labelled[::-1].copy())
    assert np.array_equal(again.mean, scale.mean) and np.array_equal(again.factor, scale.factor)
    absent = np.setdiff1d(np.arange(4), number[labelled])
    changed = values.copy()
    changed[absent] = 1e6
    other = replace(rows, contexts=Contexts(tuple("abcde"), tuple("wxyz"), changed, number))
    assert np.array_equal(Scale.of(other, labelled).mean, scale.mean)


def test_a_model_scales_as_its_scale_does() -> None:
    import torch

    rows = _rows(20, 1)
    every = np.arange(20)
    scale = Scale.of(rows, every[:15])
    module = Beside(3)
    module.fit(scale)
    found = module(torch.from_numpy(rows.features(every))).numpy()
    assert np.allclose(found, scale.applied(rows, every), atol=1e-6)
    assert (found[:, 1] == 0).all()


def test_a_loaded_model_reads_the_features_it_was_trained_with(
    tmp_path: Path, pretrained: Initial
) -> None:
    task = _task()
    result = _run(quick(epochs=1), task, pretrained, models=tmp_path)
    made = load(tmp_path / result.cell[:12], CPU)
    assert made.features == ("a", "b", "c")
    setting = Setting(task, TaskViews.of(made.initial, (tokens_of(task),)), made.initial, CPU)
    with CPU.engaged():
        again = predicted(setting, made.model, made.objective, "test").predictions
    assert np.allclose(again, result.test_predictions, atol=1e-5)


def test_a_model_of_sequences_has_no_features(tmp_path: Path, pretrained: Initial) -> None:
    result = _run(quick(epochs=1), _without(_task()), pretrained, models=tmp_path)
    folder = tmp_path / result.cell[:12]
    assert load(folder, CPU).features == ()
    assert '"features"' not in (folder / "model.json").read_text()
