"""From outputs of the head to a loss and to predictions, by the kind of target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gfmp.tasks.sparse import SparseLabels, Targets, known_counts, positive_counts
from gfmp.tasks.task import Target

ClassWeights = Literal["none", "balanced"]


class Objective(Protocol):
    """What training minimises and what is predicted; O outputs per row."""

    def loss_sum(self, outputs_BO: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sum of the rows' losses; unknown (NaN) targets cost nothing."""
        ...

    def predictions(self, outputs_BO: Tensor) -> NDArray[np.float32]:
        """Return probabilities or values, float32, shape (B, O)."""
        ...


@dataclass(frozen=True)
class Classes:
    """Cross-entropy over classes.

    Attributes:
        weights: Weight of each class, shape (O,).
    """

    weights: Tensor

    def loss_sum(self, outputs_BO: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the weighted sum of nats."""
        weights = self.weights.to(outputs_BO.device)
        classes = targets_BK[:, 0].long()
        return functional.cross_entropy(outputs_BO, classes, weights, reduction="sum")

    def predictions(self, outputs_BO: Tensor) -> NDArray[np.float32]:
        """Return the probability of each class."""
        return outputs_BO.double().softmax(dim=1).float().cpu().numpy()


@dataclass(frozen=True)
class Labels:
    """Binary cross-entropy of each label, mean over labels.

    Attributes:
        positive_weights: Weight of the positive rows of each label, shape (O,).
    """

    positive_weights: Tensor

    def loss_sum(self, outputs_BO: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sum over rows of the mean over labels of weighted nats."""
        known = ~targets_BK.isnan()
        nats = functional.binary_cross_entropy_with_logits(
            outputs_BO,
            targets_BK.nan_to_num(),
            pos_weight=self.positive_weights.to(outputs_BO.device),
            reduction="none",
        )
        return (nats * known).sum() / outputs_BO.shape[1]

    def predictions(self, outputs_BO: Tensor) -> NDArray[np.float32]:
        """Return the probability of each label."""
        return outputs_BO.double().sigmoid().float().cpu().numpy()


@dataclass(frozen=True)
class Values:
    """Squared error of targets standardised by the training rows.

    Attributes:
        mean: Mean of each value, shape (O,).
        deviation: Standard deviation of each value, 1 where it is constant; shape (O,).
    """

    mean: Tensor
    deviation: Tensor

    def loss_sum(self, outputs_BO: Tensor, targets_BK: Tensor) -> Tensor:
        """Return the sum over rows of the mean over values of squared errors."""
        device = outputs_BO.device
        wanted = (targets_BK - self.mean.to(device)) / self.deviation.to(device)
        errors = (outputs_BO - wanted.nan_to_num()).square() * ~targets_BK.isnan()
        return errors.sum() / outputs_BO.shape[1]

    def predictions(self, outputs_BO: Tensor) -> NDArray[np.float32]:
        """Return values in the units of the targets."""
        return (outputs_BO.cpu() * self.deviation + self.mean).float().numpy()


def objective_of(target: Target, targets: Targets, class_weights: ClassWeights) -> Objective:
    """Choose the objective of a kind of target.

    `balanced` weighs a class by the inverse of its share, so that the mean weight of a row is
    1; a label's positive rows by negatives / positives. The target's positive weight multiplies
    either.

    Args:
        target: What is predicted.
        targets: Those of the training rows, shape (N, 1) or (N, K); wide labels may be sparse.
        class_weights: Whether classes are balanced.
    """
    if target.kind == "multilabel":
        positives, num_known = positive_counts(targets), known_counts(targets)
        balance = (num_known - positives) / np.maximum(positives, 1)
        weights = balance if class_weights == "balanced" else np.ones(target.num_outputs)
        return Labels(_tensor(weights * target.positive_weight))
    assert not isinstance(targets, SparseLabels), "only labels are sparse"
    if target.classifies:
        return Classes(_class_weights(target, targets, class_weights))
    known = np.isfinite(targets)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, targets, 0.0).sum(axis=0, dtype=np.float64) / counts
    squares = np.where(known, targets - mean, 0.0) ** 2
    deviation = np.sqrt(squares.sum(axis=0) / counts)
    return Values(_tensor(mean), _tensor(np.where(deviation > 0, deviation, 1.0)))


def _class_weights(
    target: Target, targets: NDArray[np.float32], class_weights: ClassWeights
) -> Tensor:
    weights = np.ones(target.num_outputs)
    if class_weights == "balanced":
        counts = np.bincount(targets[:, 0].astype(np.int64), minlength=target.num_outputs)
        weights = len(targets) / (target.num_outputs * np.maximum(counts, 1))
    if target.kind == "binary":
        weights = weights * np.array([1.0, target.positive_weight])
    return _tensor(weights)


def _tensor(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
