"""Frozen probe: a linear model on pooled states, its penalty chosen on validation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.learners.linear import Fitted, LinearProblem, Standard
from gfmp.learners.scoring import metrics_of
from gfmp.tasks.task import Task

# Probabilities are kept away from 0 and 1 when two penalties are compared by their losses.
_LEAST = 1e-7


@dataclass(frozen=True)
class Features:
    """Features of the rows of a cell, float32, shape (N, F) each.

    Attributes:
        train: Of the labelled rows.
        valid: Of every validation row.
        test: Of every test row.
        others: Of the test rows of other tasks.
    """

    train: NDArray[np.float32]
    valid: NDArray[np.float32]
    test: NDArray[np.float32]
    others: tuple[NDArray[np.float32], ...] = ()


@dataclass(frozen=True)
class Chosen:
    """The linear model that validation prefers.

    Attributes:
        penalty: Its inverse strength of the L2 penalty.
        valid: Predictions of the validation rows, shape (N, O).
        test: Predictions of the test rows.
        unconverged: Fits of all penalties that ended at the limit of iterations.
        others: Predictions of the test rows of other tasks.
    """

    penalty: float
    valid: NDArray[np.float32]
    test: NDArray[np.float32]
    unconverged: int
    others: tuple[NDArray[np.float32], ...] = ()


def probe(
    task: Task, features: Features, targets: NDArray[np.float32], penalties: tuple[float, ...]
) -> Chosen:
    """Fit every penalty and keep the one with the best validation metric.

    Ties, and metrics that are undefined, are settled by the smaller validation loss, then by
    the stronger penalty.

    Args:
        task: Its metric decides on its validation rows.
        features: Of the cell's rows.
        targets: Of the labelled rows, shape (N, 1) or (N, K).
        penalties: Inverse strengths.
    """
    standard = Standard.of(features.train)
    read = (features.valid, features.test, *features.others)
    others = tuple(standard.applied(one) for one in read)
    problem = LinearProblem(task.target, standard.applied(features.train), targets, others)
    fits = problem.path(sorted(penalties))
    penalty = max(fits, key=lambda penalty: _key(task, fits[penalty]))
    best = fits[penalty]
    missed = sum(fitted.unconverged for fitted in fits.values())
    valid, test, *rest = best.predictions
    return Chosen(penalty, valid, test, missed, tuple(rest))


def _key(task: Task, fitted: Fitted) -> tuple[float, float]:
    valid = fitted.predictions[0]
    metrics, _ = metrics_of(task, "valid", valid)
    return metrics.get(f"valid/{task.metric}", -math.inf), -_loss(task, valid)


def _loss(task: Task, predictions: NDArray[np.float32]) -> float:
    """Return the mean log loss, or the mean squared error of values."""
    targets, kind = task.valid.matrix, task.target.kind
    likely = np.clip(predictions.astype(np.float64), _LEAST, 1.0 - _LEAST)
    if task.target.classifies:
        own = np.take_along_axis(likely, targets.astype(np.int64), axis=1)
        return float(-np.log(own).mean())
    if kind == "multilabel":
        each = -np.where(targets > 0, np.log(likely), np.log1p(-likely))
    else:
        each = (predictions - targets.astype(np.float64)) ** 2
    known = np.isfinite(targets)
    return float(each[known].mean()) if known.any() else 0.0
