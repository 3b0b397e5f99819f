"""The CNN baseline: the public network, deterministic cells, the best epoch, collapse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gfmp.learners.cnn import CnnTrial
from gfmp.learners.cnn_network import (
    LETTERS,
    NUM_LETTERS,
    PAD,
    SHORTEST_BP,
    Cnn,
    letter_codes,
    positions_left,
)
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import CnnBaseline, LearnerSpec
from gfmp.spec.load import load_spec
from gfmp.tasks.task import Rows, Target, TargetKind, Task

LEARNER = CnnBaseline(kind="cnn", epochs=6, batch_rows=16, learning_rate=3e-3)
METRIC = {"binary": "mcc", "multiclass": "mcc", "multilabel": "auroc", "regression": "pearson_r"}
NAMES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c")}


def _rows(kind: TargetKind, num_rows: int, seed: int) -> Rows:
    """Random DNA of 40 to 70 bases whose share of A is the value, the label or the class."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0, 1, num_rows)
    sequences = tuple(
        rng.choice(list(b"ACGT"), rng.integers(40, 71), p=[a, *[(1 - a) / 3] * 3])
        .astype(np.uint8)
        .tobytes()
        for a in share
    )
    num_classes = len(NAMES.get(kind, ()))
    if num_classes:
        targets = np.minimum(share * num_classes, num_classes - 1).astype(np.int64)[:, None]
    elif kind == "multilabel":
        targets = np.stack([share > 0.5, share < 0.3], axis=1)
    else:
        targets = np.stack([30.0 * share + 700.0, -share], axis=1)
    empty = ("",) * num_rows
    return Rows(sequences, targets.astype(np.float32), empty, empty)


def _task(kind: TargetKind = "binary") -> Task:
    target = Target(kind, NAMES.get(kind, ("x", "y")))
    splits = (_rows(kind, 240, 1), _rows(kind, 60, 2), _rows(kind, 60, 3))
    return Task("a", target, METRIC[kind], (), *splits, fingerprint="f" * 64)


def _cell(learner: CnnBaseline = LEARNER, seed: int = 0) -> Cell:
    nothing = Ingredient()
    return Cell(Ingredient("a", "f" * 64), nothing, nothing, learner, 100.0, seed, "s" * 64, 240)


def _public(network: Cnn) -> nn.Sequential:
    """The layers of the public network one after another, with the same weights."""
    layers: list[nn.Module] = []
    for convolution, norm in zip(network.convolutions, network.norms, strict=True):
        layers += [convolution, norm, nn.ReLU(), nn.MaxPool1d(2)]
    return nn.Sequential(*layers, nn.Flatten(), network.hidden, network.output)


@pytest.mark.parametrize("length_bp", [SHORTEST_BP, 101])
def test_outputs_and_gradients_are_those_of_the_public_network(length_bp: int) -> None:
    torch.manual_seed(0)
    network = Cnn(length_bp, 2)
    letters = torch.randint(0, NUM_LETTERS, (8, length_bp))
    truth = torch.randint(0, 2, (8,))
    functional.cross_entropy(network(letters), truth).backward()
    ours = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    outputs = _public(network)(network.embedding(letters).transpose(1, 2))
    functional.cross_entropy(outputs, truth).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(ours[name], parameter.grad, atol=1e-6), name
    assert torch.allclose(network(letters), outputs, atol=1e-5)


def test_layers_have_the_published_sizes() -> None:
    network = Cnn(500, 2)
    assert network.embedding.weight.shape == (6, 100)
    assert [tuple(c.weight.shape) for c in network.convolutions] == [
        (16, 100, 8),
        (8, 16, 8),
        (4, 8, 8),
    ]
    assert network.hidden.weight.shape == (512, 4 * positions_left(500))
    assert positions_left(SHORTEST_BP) == 1 and positions_left(SHORTEST_BP - 1) == 0


def test_letters_are_coded_and_padded() -> None:
    codes = letter_codes([b"ACGTN", b"GX", b""], 6)
    assert codes.tolist() == [[0, 1, 2, 3, 4, PAD], [2, 4, PAD, PAD, PAD, PAD], [PAD] * 6]
    assert len(LETTERS) == PAD


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_every_kind_of_target_is_learnt(kind: TargetKind) -> None:
    task = _task(kind)
    result = CnnTrial(task).run(_cell(), np.arange(240))
    assert result.metrics[f"test/{task.metric}"] > 0.5
    assert result.test_predictions.shape == (60, task.target.num_outputs)
    assert result.test_predictions.dtype == np.float32 and not result.facts["collapsed"]
    if task.target.classifies:
        assert np.allclose(result.test_predictions.sum(axis=1), 1.0, atol=1e-5)
    if kind == "regression":
        assert 700 < result.test_predictions[:, 0].mean() < 730, "in the units of the targets"


def test_a_cell_repeats_itself_whatever_ran_before() -> None:
    task = _task()
    trial = CnnTrial(task)
    first = trial.run(_cell(), np.arange(240))
    torch.manual_seed(99)
    state = torch.get_rng_state()
    trial.run(_cell(seed=5), np.arange(60))
    again = trial.run(_cell(), np.arange(240))
    alone = CnnTrial(task).run(_cell(), np.arange(240))
    assert torch.equal(torch.get_rng_state(), state), "nobody else's draws are touched"
    for other in (again, alone):
        assert np.array_equal(first.test_predictions, other.test_predictions)
        assert first.history == other.history and first.metrics == other.metrics
    different = trial.run(_cell(seed=1), np.arange(240))
    assert not np.array_equal(first.test_predictions, different.test_predictions)


def test_the_best_epoch_is_kept_and_patience_ends_training() -> None:
    learner = LEARNER.model_copy(update={"epochs": 40, "patience": 2})
    result = CnnTrial(_task()).run(_cell(learner), np.arange(240))
    best = int(result.facts["best_epoch"])
    merits = [(point["valid/mcc"], -point["valid/loss"]) for point in result.history]
    assert merits.index(max(merits)) + 1 == best
    assert result.metrics["valid/mcc"] == result.history[best - 1]["valid/mcc"]
    assert len(result.history) == best + 2 < 40
    assert result.facts["steps"] == result.history[-1]["step"] == 15 * len(result.history)


def test_a_network_that_learns_nothing_is_tried_again_and_says_so() -> None:
    learner = LEARNER.model_copy(update={"learning_rate": 1e-30, "epochs": 1, "attempts": 3})
    task = _task()
    constant = task.valid.sequences[0]
    same = replace(task.valid, sequences=(constant,) * 60)
    result = CnnTrial(replace(task, valid=same)).run(_cell(learner), np.arange(240))
    assert result.facts["collapsed"] is True and result.facts["attempts"] == 3


def test_numbers_that_run_away_end_training_as_a_collapse() -> None:
    learner = LEARNER.model_copy(update={"learning_rate": 1e30, "attempts": 2})
    result = CnnTrial(_task("regression")).run(_cell(learner), np.arange(240))
    assert result.facts["collapsed"] is True and result.facts["attempts"] == 2
    assert len(result.history) < 6
    assert all(np.isfinite(value) for point in result.history for value in point.values())
    assert "test/pearson_r" not in result.metrics


def test_one_row_and_short_rows_train() -> None:
    result = CnnTrial(_task()).run(_cell(), np.arange(1))
    assert np.isfinite(result.test_predictions).all()
    tiny = Rows((b"ACG", b"TT"), np.array([[0.0], [1.0]], np.float32), ("", ""), ("", ""))
    task = replace(_task(), train=tiny, valid=tiny, test=tiny)
    assert CnnTrial(task).run(_cell(), np.arange(2)).test_predictions.shape == (2, 2)


def test_unknown_labels_cost_nothing() -> None:
    task = _task("multilabel")
    targets = task.train.targets.copy()
    targets[::2, 1] = np.nan
    partly = replace(task, train=replace(task.train, targets=targets))
    result = CnnTrial(partly).run(_cell(), np.arange(240))
    assert result.metrics["test/auroc"] > 0.5 and not result.facts["collapsed"]


def test_the_preset_in_specs_is_the_default() -> None:
    path = Path(__file__).parents[2] / "specs" / "learners" / "cnn.yaml"
    spec, _ = load_spec(path, {"learner": LearnerSpec})
    assert spec.learner == CnnBaseline(kind="cnn")
