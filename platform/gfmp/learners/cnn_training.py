"""Training the CNN: Adam at a constant rate, the best epoch on validation kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.learners.cnn_network import Cnn
from gfmp.learners.keyed import row_order
from gfmp.learners.objective import Objective, objective_of
from gfmp.learners.watch import Watcher, nobody
from gfmp.spec.learner import CnnBaseline
from gfmp.tasks.metrics import score
from gfmp.tasks.task import Target

_ROWS_READ_AT_ONCE = 512


@dataclass(frozen=True)
class Examples:
    """Labelled rows.

    Attributes:
        letters: Letter codes, uint8, shape (N, L).
        targets: As in `Rows`, float32, shape (N, K).
        beside: Standardised features beside the sequence, float32, shape (N, F); F may be 0.
    """

    letters: Tensor
    targets: Tensor
    beside: Tensor

    def take(self, rows: Tensor) -> Examples:
        """Return the rows at these positions, in this order."""
        return Examples(self.letters[rows], self.targets[rows], self.beside[rows])


@dataclass(frozen=True)
class Lesson:
    """What one network learns from.

    Attributes:
        target: What is predicted.
        metric: What chooses the epoch.
        train: The labelled rows.
        valid: The rows that choose.
    """

    target: Target
    metric: str
    train: Examples
    valid: Examples

    @property
    def rows(self) -> int:
        """Number of labelled rows."""
        return len(self.train.targets)


@dataclass(frozen=True)
class Fitted:
    """A trained network at its best epoch.

    Attributes:
        network: The network, in evaluation mode.
        objective: What its outputs mean.
        steps: Optimiser steps of all epochs.
        best_epoch: The epoch the weights are from, counted from 1.
        history: One point per epoch: epoch, step, loss, valid/loss, and valid/<metric> where it
            is defined.
    """

    network: Cnn
    objective: Objective
    steps: int
    best_epoch: int
    history: tuple[Mapping[str, float], ...]

    def predict(self, rows: Examples) -> NDArray[np.float32]:
        """Return predictions of rows, float32, shape (N, O)."""
        return self.objective.predictions(_outputs(self.network, rows))


def train(learner: CnnBaseline, lesson: Lesson, seed: int, watcher: Watcher = nobody) -> Fitted:
    """Train a new network; it ends early when `patience` epochs bring nothing better.

    Better is a higher metric on validation, or the same at a lower loss: with few labels the
    metric of the first epochs is often 0 while the loss already falls.

    Args:
        learner: The settings.
        lesson: What to learn from.
        seed: Decides the first weights and the order of rows.
        watcher: Asked before every epoch but the first.
    """
    objective = objective_of(lesson.target, lesson.train.targets.numpy(), "none")
    network = _new_network(lesson, seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=learner.learning_rate)
    history: list[dict[str, float]] = []
    best, best_epoch, steps = network.state_dict(), 0, 0
    for epoch in range(1, learner.epochs + 1):
        if history:
            watcher(epoch - 1, _merit(history[-1], lesson)[0])
        batches = _batches(lesson.train, learner.batch_rows, row_order(seed, epoch, lesson.rows))
        loss = _pass(network, optimiser, objective, batches)
        steps += len(batches)
        judged = _judge(network, objective, lesson)
        history.append({"epoch": epoch, "step": steps, "loss": loss, **judged})
        if not best_epoch or _merit(judged, lesson) > _merit(history[best_epoch - 1], lesson):
            best, best_epoch = copy.deepcopy(network.state_dict()), epoch
        if epoch - best_epoch >= learner.patience or not math.isfinite(loss):
            break
    network.load_state_dict(best)
    finite = tuple({k: v for k, v in p.items() if math.isfinite(v)} for p in history)
    return Fitted(network, objective, steps, best_epoch, finite)


def _new_network(lesson: Lesson, seed: int) -> Cnn:
    # torch fills layers from its global generator; nobody else's numbers may depend on it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        train = lesson.train
        return Cnn(train.letters.shape[1], lesson.target.num_outputs, train.beside.shape[1])


def _batches(examples: Examples, size: int, order: NDArray[np.int64]) -> list[Examples]:
    places = torch.from_numpy(order).split(size)
    return [examples.take(rows) for rows in places]


def _pass(
    network: Cnn,
    optimiser: torch.optim.Optimizer,
    objective: Objective,
    batches: Sequence[Examples],
) -> float:
    """Take one step per batch; return the mean loss of a row."""
    network.train()
    total, rows = torch.zeros(()), 0
    for batch in batches:
        loss = objective.loss_sum(network(batch.letters.long(), batch.beside), batch.targets)
        optimiser.zero_grad()
        (loss / len(batch.targets)).backward()
        optimiser.step()
        total += loss.detach()
        rows += len(batch.targets)
    return float(total) / rows


def _judge(network: Cnn, objective: Objective, lesson: Lesson) -> dict[str, float]:
    outputs = _outputs(network, lesson.valid)
    loss = float(objective.loss_sum(outputs, lesson.valid.targets)) / len(outputs)
    truth = lesson.valid.targets.numpy()
    value = score(lesson.metric, truth, objective.predictions(outputs))
    return {"valid/loss": loss, f"valid/{lesson.metric}": value}


def _merit(judged: Mapping[str, float], lesson: Lesson) -> tuple[float, float]:
    value, loss = judged[f"valid/{lesson.metric}"], judged["valid/loss"]
    return (
        value if math.isfinite(value) else -math.inf,
        -loss if math.isfinite(loss) else -math.inf,
    )


def _outputs(network: Cnn, rows: Examples) -> Tensor:
    network.eval()
    size = _ROWS_READ_AT_ONCE
    chunks = zip(rows.letters.split(size), rows.beside.split(size), strict=True)
    with torch.inference_mode():
        parts = [network(letters.long(), beside) for letters, beside in chunks]
    return torch.cat(parts)
