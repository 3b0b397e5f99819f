"""Losses and predictions by kind of target, against formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learner_samples import gc_task, quick

from gfmp.learners.collapse import is_collapsed
from gfmp.learners.objective import Classes, Labels, Values, objective_of
from gfmp.learners.schedule import Steps
from gfmp.learners.scoring import metrics_of
from gfmp.tasks.task import Target

BINARY = Target("binary", ("no", "yes"), positive_weight=3.0)
LABELS = Target("multilabel", ("a", "b"), positive_weight=2.0)
VALUES = Target("regression", ("a", "b"))
NAN = math.nan


def test_balanced_classes_weigh_one_on_average() -> None:
    targets = np.array([[0], [0], [0], [1], [2], [2]], dtype=np.float32)
    objective = objective_of(Target("multiclass", ("a", "b", "c")), targets, "balanced")
    assert isinstance(objective, Classes)
    assert objective.weights[targets[:, 0].astype(int)].mean() == pytest.approx(1.0)
    assert objective.weights.tolist() == pytest.approx([6 / 9, 6 / 3, 6 / 6])


def test_the_positive_weight_multiplies_the_loss_of_positives() -> None:
    objective = objective_of(BINARY, np.array([[0], [1]], dtype=np.float32), "none")
    outputs = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    nats = -torch.log_softmax(outputs, dim=1)
    expected = nats[0, 0] + 3.0 * nats[1, 1]
    assert objective.loss_sum(outputs, torch.tensor([[0.0], [1.0]])) == pytest.approx(
        float(expected)
    )


def test_unknown_labels_cost_nothing_and_teach_nothing() -> None:
    objective = objective_of(LABELS, np.array([[1, 0]], dtype=np.float32), "none")
    assert isinstance(objective, Labels)
    outputs = torch.tensor([[0.5, 2.0], [1.0, -1.0]], requires_grad=True)
    loss = objective.loss_sum(outputs, torch.tensor([[1.0, NAN], [NAN, 0.0]]))
    loss.backward()
    expected = (2.0 * math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-1.0))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert outputs.grad is not None
    assert outputs.grad[0, 1] == 0 and outputs.grad[1, 0] == 0
    assert outputs.grad[0, 0] != 0 and outputs.grad[1, 1] != 0


def test_balanced_labels_weigh_positives_by_negatives() -> None:
    targets = np.array([[1, 0], [0, NAN], [0, 1], [0, 1]], dtype=np.float32)
    objective = objective_of(LABELS, targets, "balanced")
    assert isinstance(objective, Labels)
    assert objective.positive_weights.tolist() == pytest.approx([3.0 * 2, 0.5 * 2])


def test_values_come_back_in_their_own_units() -> None:
    targets = np.array([[100, 5], [104, 5], [NAN, 5]], dtype=np.float32)
    objective = objective_of(VALUES, targets, "none")
    assert isinstance(objective, Values)
    found = objective.predictions(torch.tensor([[0.0, 0.0], [1.0, 2.0]]))
    assert found.tolist() == [[102.0, 5.0], [104.0, 7.0]]
    exact = (torch.tensor(targets) - objective.mean) / objective.deviation
    assert objective.loss_sum(exact.nan_to_num(), torch.tensor(targets)).item() == 0.0


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-20, 20), min_size=3, max_size=3), st.integers(0, 2))
def test_probabilities_sum_to_one_and_keep_the_order(scores: list[float], true: int) -> None:
    target = Target("multiclass", ("a", "b", "c"))
    objective = objective_of(target, np.array([[true]], dtype=np.float32), "none")
    found = objective.predictions(torch.tensor([scores], dtype=torch.float32))
    assert found.sum() == pytest.approx(1.0, abs=1e-5)
    assert found[0, int(np.argmax(scores))] == found.max()


def test_the_rate_rises_to_its_peak_and_ends_above_zero() -> None:
    steps = Steps.of(quick(epochs=5, batch_rows=10, warmup_fraction=0.2, learning_rate=1.0), 95)
    rates = [steps.rate(step) for step in range(1, steps.total + 1)]
    assert (steps.per_epoch, steps.total, steps.warmup) == (10, 50, 10)
    assert rates[9] == max(rates) == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert np.diff(rates[9:]) == pytest.approx([-1 / 41] * 40)
    assert rates[-1] > 0


def test_without_a_warm_up_the_first_rate_is_one_decay_step_below_the_peak() -> None:
    steps = Steps.of(quick(warmup_fraction=0.0, learning_rate=2.0, epochs=4), 16)
    assert [steps.rate(step) for step in (1, 4)] == [2.0 * 4 / 5, 2.0 * 1 / 5]


def test_one_class_everywhere_is_a_collapse() -> None:
    targets = np.array([[0], [1], [1]], dtype=np.float32)
    constant = np.array([[0.4, 0.6], [0.1, 0.9], [0.3, 0.7]], dtype=np.float32)
    assert is_collapsed(BINARY, targets, constant)
    assert not is_collapsed(
        BINARY, targets, np.array([[0.6, 0.4], *constant[1:]], dtype=np.float32)
    )
    assert not is_collapsed(BINARY, np.ones((3, 1), dtype=np.float32), constant)


def test_nan_is_a_collapse() -> None:
    broken = np.array([[0.5, 0.5], [NAN, 0.5]], dtype=np.float32)
    assert is_collapsed(BINARY, np.zeros((2, 1), dtype=np.float32), broken)


@pytest.mark.parametrize("target", [LABELS, VALUES])
def test_constant_columns_are_a_collapse_of_values_and_labels(target: Target) -> None:
    targets = np.array([[0, NAN], [1, 1], [0, 0]], dtype=np.float32)
    constant = np.full((3, 2), 1e3, dtype=np.float32) + np.float32(1e-4)
    assert is_collapsed(target, targets, constant)
    varied = constant.copy()
    varied[0, 1] += 1.0
    assert not is_collapsed(target, targets, varied)


def test_undefined_metrics_are_noted_not_reported() -> None:
    task = gc_task("regression")
    metrics, notes = metrics_of(task, "test", np.zeros((len(task.test), 2), dtype=np.float32))
    assert metrics == {}
    assert notes == {"test/undefined": "pearson_r"}
    metrics, notes = metrics_of(task, "valid", task.valid.targets)
    assert metrics == {"valid/pearson_r": pytest.approx(1.0)}
    assert notes == {}
