"""The frozen probe: features once, a penalty by validation, one linear model per target."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from learner_samples import cell_of, gc_task, tokens_of, untrained
from sklearn.linear_model import LogisticRegression, Ridge

from gfmp.learners import logistic
from gfmp.learners.encoder_trial import EncoderTrial
from gfmp.learners.initial import Initial
from gfmp.learners.linear import Fitted, LinearProblem, Standard
from gfmp.learners.probe import Features, probe
from gfmp.learners.tokens import TaskTokens
from gfmp.spec.learner import Probe
from gfmp.tasks.task import SPLITS, Split, Target, TargetKind, Task

PROBE = Probe(kind="probe")


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_every_kind_of_target_is_learned(kind: TargetKind, pretrained: Initial) -> None:
    task = gc_task(kind)
    trial = EncoderTrial(task, (tokens_of(task),), pretrained, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = trial.run(*cell_of(task, pretrained, PROBE))
    assert result.metrics[f"test/{task.metric}"] > 0.4
    assert result.test_predictions.shape == (len(task.test), task.target.num_outputs)
    assert result.facts["penalty"] in PROBE.penalties
    assert result.history == ()


def test_cells_repeat_byte_for_byte_whatever_was_embedded_before(
    task: Task, tokens: TaskTokens, pretrained: Initial
) -> None:
    cell, rows = cell_of(task, pretrained, PROBE)
    alone = EncoderTrial(task, (tokens,), pretrained, device="cpu")
    among = EncoderTrial(task, (tokens,), pretrained, device="cpu")
    among.prepare(np.arange(len(task.train)))
    among.run(replace(cell, subset="t" * 64), np.arange(70))
    first, second = alone.run(cell, rows), among.run(cell, rows)
    assert first.test_predictions.tobytes() == second.test_predictions.tobytes()
    assert first.metrics == second.metrics


def test_the_seed_decides_only_untrained_weights(
    task: Task, tokens: TaskTokens, pretrained: Initial
) -> None:
    for initial, same in ((pretrained, True), (untrained(), False)):
        trial = EncoderTrial(task, (tokens,), initial, device="cpu")
        found = [
            trial.run(*cell_of(task, initial, PROBE, seed=seed)).test_predictions.tobytes()
            for seed in (0, 1)
        ]
        assert (found[0] == found[1]) is same


def test_the_penalty_is_chosen_on_validation_not_on_test() -> None:
    task = gc_task()
    generator = np.random.default_rng(0)
    features = Features(*(_leaky(task, split, generator) for split in SPLITS))
    chosen = probe(task, features, task.train.targets, (1e-6, 1.0))
    flipped = replace(task, test=replace(task.test, targets=1 - task.test.targets))
    again = probe(flipped, features, task.train.targets, (1e-6, 1.0))
    assert chosen.penalty == again.penalty
    assert chosen.test.tobytes() == again.test.tobytes()


def _leaky(task: Task, split: Split, generator: np.random.Generator) -> np.ndarray:
    targets = task.rows(split).targets
    noise = generator.normal(size=(len(targets), 5))
    return np.concatenate((targets + 0.3 * noise[:, :1], noise), axis=1).astype(np.float32)


def test_ties_go_to_the_smaller_loss() -> None:
    task = gc_task()
    separated = [(task.rows(split).targets * 4 - 2) for split in SPLITS]
    chosen = probe(task, Features(*separated), task.train.targets, (1e-3, 1.0, 100.0))
    assert chosen.penalty == 100.0


def problem(target: Target, targets: np.ndarray) -> LinearProblem:
    features = np.random.default_rng(1).normal(size=(len(targets), 3))
    return LinearProblem(target, features, targets.astype(np.float32), (features,))


def fit(made: LinearProblem, penalty: float) -> Fitted:
    return made.path((penalty,))[penalty]


def test_classes_are_scikit_learn_s() -> None:
    classes = np.arange(30)[:, None] % 3
    made = problem(Target("multiclass", ("a", "b", "c", "unseen")), classes)
    reference = LogisticRegression(C=0.5, tol=1e-9).fit(made.features, classes[:, 0])
    (found,) = fit(made, 0.5).predictions
    assert np.allclose(found[:, :3], reference.predict_proba(made.features), atol=1e-4)
    assert not found[:, 3].any()


def test_unknown_labels_and_labels_of_one_kind() -> None:
    targets = np.array([[1, 1], [0, np.nan], [np.nan, 1], [1, 1], [0, np.nan]])
    (found,) = fit(problem(Target("multilabel", ("a", "b")), targets), 1.0).predictions
    assert found[:, 1].tolist() == [1.0] * 5
    assert 0 < found[:, 0].min() < found[:, 0].max() < 1
    unknown = problem(Target("multilabel", ("a",)), np.full((3, 1), np.nan))
    (nothing,) = fit(unknown, 1.0).predictions
    assert nothing.tolist() == [[0.5]] * 3


def test_values_are_ridge_regression_s_on_known_rows() -> None:
    targets = np.random.default_rng(2).normal(size=(20, 2))
    targets[3, 0] = np.nan
    made = problem(Target("regression", ("a", "b")), targets)
    known = np.isfinite(targets[:, 0])
    reference = Ridge(alpha=4.0).fit(made.features[known], made.targets[known, 0])
    (found,) = fit(made, 0.25).predictions
    assert np.allclose(found[:, 0], reference.predict(made.features), atol=1e-5)
    unknown = problem(Target("regression", ("a",)), np.full((4, 1), np.nan))
    (empty,) = fit(unknown, 1.0).predictions
    assert empty.tolist() == [[0.0]] * 4


def test_a_positive_weight_raises_the_probability_of_positives() -> None:
    targets = (np.arange(40) % 4 == 0)[:, None]
    plain, weighted = (
        fit(problem(Target("binary", ("no", "yes"), weight), targets), 1.0).predictions[0]
        for weight in (1.0, 5.0)
    )
    assert (weighted[:, 1] > plain[:, 1]).all()


def test_fits_that_do_not_converge_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "MOST_ITERATIONS", 1)
    made = problem(Target("binary", ("no", "yes")), np.arange(40)[:, None] % 2)
    assert fit(made, 1.0).unconverged == 1
    monkeypatch.undo()
    assert fit(made, 1.0).unconverged == 0


def test_constant_features_are_left_alone() -> None:
    features = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    standard = Standard.of(features)
    assert standard.applied(features).tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert Standard.of(features[:1]).applied(features[:1]).tolist() == [[0.0, 0.0]]


def test_the_number_of_threads_is_given_back(
    task: Task, tokens: TaskTokens, pretrained: Initial
) -> None:
    before = torch.get_num_threads()
    EncoderTrial(task, (tokens,), pretrained, threads=1, device="cpu").run(
        *cell_of(task, pretrained, PROBE)
    )
    assert torch.get_num_threads() == before
