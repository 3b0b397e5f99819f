"""Labels kept as lists of positives are learned exactly as a matrix of them is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from learner_samples import cell_of, gc_rows, quick, tokens_of, untrained

from gfmp.learners.cnn import CnnTrial
from gfmp.learners.encoder_trial import EncoderTrial
from gfmp.learners.kmer import KmerTrial
from gfmp.learners.objective import Labels, objective_of
from gfmp.spec.learner import CnnBaseline, KmerBaseline, Probe
from gfmp.tasks.sparse import SparseLabels, of_dense
from gfmp.tasks.task import Rows, Target, Task

DEEPSEA = 919


def _rows(num_rows: int, num_labels: int, seed: int) -> Rows:
    """Return rows whose labels are thresholds of their share of G and C."""
    rows = gc_rows("regression", num_rows, seed)
    share = -rows.matrix[:, 1:]
    limits = np.linspace(0.05, 0.95, num_labels)[None, :]
    return replace(rows, targets=(share > limits).astype(np.float32))


def _tasks(num_labels: int) -> tuple[Task, Task]:
    """Return the same task with a matrix of labels and with lists of positives."""
    target = Target("multilabel", tuple(f"l{k}" for k in range(num_labels)), 8.0)
    parts = [_rows(count, num_labels, seed) for seed, count in enumerate((60, 24, 24))]
    dense = Task("wide", target, "auroc", ("auprc",), *parts, fingerprint="f" * 64)
    lists = [replace(rows, targets=of_dense(rows.matrix == 1)) for rows in parts]
    return dense, replace(dense, train=lists[0], valid=lists[1], test=lists[2])


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_the_positive_weight_of_eight_reaches_the_loss(weights: str) -> None:
    dense, sparse = _tasks(DEEPSEA)
    assert isinstance(sparse.train.targets, SparseLabels)
    found = [
        objective_of(t.target, t.train.targets, weights)  # type: ignore[arg-type]  # a parameter
        for t in (dense, sparse)
    ]
    assert all(isinstance(one, Labels) for one in found)
    batch = np.array([3, 0, 59])
    outputs = torch.linspace(-2, 2, 3 * DEEPSEA).reshape(3, DEEPSEA)
    losses = [
        float(one.loss_sum(outputs, torch.from_numpy(task.train.targets[batch])))
        for one, task in zip(found, (dense, sparse), strict=True)
    ]
    assert losses[0] == losses[1]
    if weights == "none":
        truth = torch.from_numpy(dense.train.matrix[batch])
        nats = -(8.0 * truth * torch.nn.functional.logsigmoid(outputs))
        nats -= (1.0 - truth) * torch.nn.functional.logsigmoid(-outputs)
        assert losses[0] == pytest.approx(float(nats.mean(dim=1).sum()), rel=1e-5)


def test_fine_tuning_of_919_labels_is_the_same_bit_for_bit() -> None:
    results = []
    for task in _tasks(DEEPSEA):
        trial = EncoderTrial(task, (tokens_of(task),), untrained(), device="cpu")
        results.append(trial.run(*cell_of(task, untrained(), quick(epochs=3))))
    one, other = results
    assert one.test_predictions.shape == (24, DEEPSEA)
    assert one.test_predictions.tobytes() == other.test_predictions.tobytes()
    assert one.metrics == other.metrics
    assert one.metrics["test/auroc"] > 0.7


def test_the_other_learners_take_them_too() -> None:
    predictions = []
    for task in _tasks(6):
        probe = EncoderTrial(task, (tokens_of(task),), untrained(), device="cpu")
        cells = [cell_of(task, untrained(), Probe(kind="probe", penalties=(1.0,)))]
        found = [probe.run(*cells[0]).test_predictions]
        learner = KmerBaseline(kind="kmer", shortest=2, longest=3, penalties=(1.0,))
        found.append(KmerTrial(task).run(*cell_of(task, untrained(), learner)).test_predictions)
        cnn = CnnBaseline(kind="cnn", epochs=1)
        found.append(CnnTrial(task).run(*cell_of(task, untrained(), cnn)).test_predictions)
        predictions.append(found)
    for one, other in zip(*predictions, strict=True):
        assert one.tobytes() == other.tobytes()
