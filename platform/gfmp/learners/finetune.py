"""Fine-tuning one cell: AdamW over the labelled rows, the best epoch by validation."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.errors import TrainingError
from gfmp.learners.beside import Scale
from gfmp.learners.collapse import is_collapsed
from gfmp.learners.compute import Compute
from gfmp.learners.head import HeadShape, TaskModel, parameter_groups
from gfmp.learners.initial import Initial
from gfmp.learners.keyed import attempt_seed, kept, row_order
from gfmp.learners.lora import adapt
from gfmp.learners.objective import Objective, objective_of
from gfmp.learners.predict import Predicted, predict
from gfmp.learners.schedule import Steps
from gfmp.learners.scoring import metrics_of
from gfmp.learners.views import TaskViews
from gfmp.learners.watch import Watcher, nobody
from gfmp.spec.learner import Finetuning
from gfmp.tasks.sparse import taken
from gfmp.tasks.task import Split, Task

log = logging.getLogger(__name__)
_CLIP_NORM = 1.0
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Setting:
    """What the cells of a trial share.

    Attributes:
        task: The task.
        views: Its rows in the trial's vocabulary, or in several at once.
        initial: Where the weights start.
        compute: Device and threads.
    """

    task: Task
    views: TaskViews
    initial: Initial
    compute: Compute


@dataclass(frozen=True)
class Checked:
    """A model after an epoch, as validation sees it.

    Attributes:
        epoch: Counted from 1.
        score: The task's metric; -inf where it is undefined.
        loss: Mean validation loss.
        collapsed: Its predictions do not depend on the row.
        predictions: Those of the validation rows, float32, shape (N, O).
        weights: The trained parameters by name.
    """

    epoch: int
    score: float
    loss: float
    collapsed: bool
    predictions: NDArray[np.float32]
    weights: Mapping[str, Tensor]

    @property
    def key(self) -> tuple[float, float]:
        """Larger is better: the score, then the smaller loss."""
        return self.score, -self.loss


@dataclass(frozen=True)
class Attempt:
    """A training from one seed.

    Attributes:
        model: Holds the weights of the best epoch.
        objective: Turns its outputs into predictions.
        best: The best epoch; None when not even the first ended with finite numbers.
        diverged: A loss was not finite.
        steps: Updates taken.
        history: One mapping per validation.
    """

    model: TaskModel
    objective: Objective
    best: Checked | None
    diverged: bool
    steps: int
    history: tuple[Mapping[str, float], ...]

    @property
    def failed(self) -> bool:
        """True when another seed should be tried."""
        return self.diverged or self.best is None or self.best.collapsed


class Training:
    """One attempt in progress.

    Args:
        setting: What the cells share.
        learner: The cell's settings.
        rows: Labelled rows of `task.train`, shape (N,).
        seed: Draws head, adapters, order and dropout; and the encoder when it starts from nothing.
    """

    def __init__(
        self, setting: Setting, learner: Finetuning, rows: NDArray[np.int64], seed: int
    ) -> None:
        target = setting.task.target
        self._setting, self._learner, self._rows, self._seed = setting, learner, rows, seed
        self._targets = setting.task.train.targets
        self._steps = Steps.of(learner, len(rows))
        self._step = 0
        self.objective = objective_of(target, taken(self._targets, rows), learner.class_weights)
        shape = HeadShape(
            target.num_outputs,
            len(setting.views.views),
            learner.join,
            len(setting.task.train.feature_names),
        )
        model = TaskModel(setting.initial.encoder(seed), shape, setting.compute)
        if model.beside is not None:
            model.beside.fit(Scale.of(setting.task.train, rows))
        model.draw_head(seed)
        if learner.method == "lora":
            adapt(model, learner.lora_rank, learner.lora_alpha, seed)
        self.model = model.to(setting.compute.device)
        self._optimiser = torch.optim.AdamW(
            parameter_groups(self.model, learner.weight_decay),
            lr=learner.learning_rate,
            betas=_BETAS,
            eps=_EPSILON,
            fused=True,
        )

    def run(self, watcher: Watcher = nobody) -> Attempt:
        """Train until the last epoch, until patience ends, or until a number is not finite.

        Args:
            watcher: Asked before every epoch but the first.
        """
        best: Checked | None = None
        history: list[Mapping[str, float]] = []
        diverged = False
        for epoch in range(1, self._learner.epochs + 1):
            if history:
                watcher(epoch - 1, history[-1].get(f"valid/{self._setting.task.metric}", -math.inf))
            loss = self._epoch(epoch)
            diverged = not math.isfinite(loss)
            if diverged:
                break
            checked, point = self._check(epoch)
            history.append({**point, "epoch": epoch, "step": self._step, "loss": loss})
            diverged = not math.isfinite(checked.loss)
            if not diverged and (best is None or checked.key > best.key):
                best = checked
            elif diverged or (best is not None and epoch - best.epoch >= self._learner.patience):
                break
        if best is not None:
            self.model.load_state_dict(dict(best.weights), strict=False)
        return Attempt(self.model, self.objective, best, diverged, self._step, tuple(history))

    def _epoch(self, epoch: int) -> float:
        """Take the updates of an epoch; return the mean loss of its rows."""
        order = self._rows[row_order(self._seed, epoch, len(self._rows))]
        total = 0.0
        for first in range(0, len(order), self._learner.batch_rows):
            total += self._update(order[first : first + self._learner.batch_rows])
            if not math.isfinite(total):
                break
        return total / len(order)

    def _update(self, batch: NDArray[np.int64]) -> float:
        """Take one optimiser update over a batch of rows; return the sum of their losses."""
        self._step += 1
        device = self._setting.compute.device
        dropped = self._learner.head_dropout
        shape = (len(batch), self.model.pooled_width)
        factors = (
            torch.from_numpy(kept(self._seed, self._step, shape, dropped)) if dropped else None
        )
        total = torch.zeros((), device=device)
        views = self._setting.views.split("train")
        for part in views.chunks(batch, self._setting.compute.micro_tokens):
            mine = None if factors is None else factors[part].to(device)
            beside = torch.from_numpy(self._setting.task.train.features(batch[part])).to(device)
            outputs = self.model(views.pack(batch[part], device), beside, mine)
            wanted = torch.from_numpy(self._targets[batch[part]]).to(device)
            loss = self.objective.loss_sum(outputs, wanted)
            (loss / len(batch)).backward()
            total += loss.detach()
        self._descend()
        return float(total)

    def _descend(self) -> None:
        rate = self._steps.rate(self._step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP_NORM)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)

    def _check(self, epoch: int) -> tuple[Checked, dict[str, float]]:
        """Score the validation rows; return it with what history keeps."""
        task = self._setting.task
        found = predicted(self._setting, self.model, self.objective, "valid")
        metrics, _ = metrics_of(task, "valid", found.predictions)
        decisive = f"valid/{task.metric}"
        weights = {
            name: parameter.detach().clone()
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad
        }
        collapsed = is_collapsed(task.target, task.valid.matrix, found.predictions)
        score = metrics.get(decisive, -math.inf)
        point = {name: value for name, value in metrics.items() if name == decisive}
        if math.isfinite(found.loss):
            point["valid/loss"] = found.loss
        checked = Checked(epoch, score, found.loss, collapsed, found.predictions, weights)
        return checked, point


def predicted(setting: Setting, model: TaskModel, objective: Objective, split: Split) -> Predicted:
    """Predict a split of the setting's task."""
    return predict(
        model, objective, setting.views.split(split), setting.task.rows(split), setting.compute
    )


def best_attempt(
    setting: Setting,
    learner: Finetuning,
    rows: NDArray[np.int64],
    seed: int,
    watcher: Watcher = nobody,
) -> tuple[Attempt, int]:
    """Train, again with another seed while training collapses; return the attempt and how many.

    When every attempt collapsed the best of them is returned, still `failed`. Only the first is
    watched.

    Raises:
        TrainingError: no attempt had a finite loss over its first epoch.
    """
    tried: list[Attempt] = []
    for number in range(learner.attempts):
        training = Training(setting, learner, rows, attempt_seed(seed, number))
        attempt = training.run(nobody if number else watcher)
        if not attempt.failed:
            return attempt, number + 1
        log.warning("attempt %d of %d collapsed", number + 1, learner.attempts)
        tried = [_better(attempt, *tried)]
    if tried[0].best is None:
        raise TrainingError(
            f"the loss was not finite in any of {learner.attempts} attempts",
            where=f"task {setting.task.name!r}",
            why=f"learning_rate {learner.learning_rate} on {len(rows):,} rows",
            fix="lower learning_rate or lengthen warmup_fraction",
        )
    return tried[0], learner.attempts


def _better(*attempts: Attempt) -> Attempt:
    """Return the one whose best epoch is best; the earlier one on a tie."""
    return max(reversed(attempts), key=lambda a: (-math.inf, 0.0) if a.best is None else a.best.key)
