"""Linear models with an L2 penalty for every kind of target, on sparse features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from gfmp.tasks.task import Target

MAX_ITERATIONS = 100


class LinearModel(Protocol):
    """A fitted model."""

    def predict(self, features: scipy.sparse.csr_matrix) -> NDArray[np.float32]:
        """Return probabilities or values, float32, shape (N, O)."""
        ...


@dataclass(frozen=True)
class _Classes:
    """Probabilities of classes, one column each; a class nobody showed has probability 0."""

    model: LogisticRegression
    num_classes: int

    def predict(self, features: scipy.sparse.csr_matrix) -> NDArray[np.float32]:
        """Return the probabilities, shape (N, num_classes)."""
        out = np.zeros((features.shape[0], self.num_classes), dtype=np.float32)
        out[:, self.model.classes_.astype(np.int64)] = self.model.predict_proba(features)
        return out


@dataclass(frozen=True)
class _Constant:
    """The same row for every input: what can be learned when only one class is shown."""

    row: NDArray[np.float32]

    def predict(self, features: scipy.sparse.csr_matrix) -> NDArray[np.float32]:
        """Return `row` N times."""
        return np.tile(self.row, (features.shape[0], 1))


@dataclass(frozen=True)
class _Value:
    """One value."""

    model: Ridge

    def predict(self, features: scipy.sparse.csr_matrix) -> NDArray[np.float32]:
        """Return the values, shape (N, 1)."""
        values: NDArray[np.float32] = self.model.predict(features).astype(np.float32)
        return values.reshape(-1, 1)


@dataclass(frozen=True)
class _Columns:
    """One model for each column of the targets; the last output of each is its column."""

    models: Sequence[LinearModel]

    def predict(self, features: scipy.sparse.csr_matrix) -> NDArray[np.float32]:
        """Return the columns side by side, shape (N, O)."""
        return np.hstack([model.predict(features)[:, -1:] for model in self.models])


def fit(
    target: Target,
    features: scipy.sparse.csr_matrix,
    targets: NDArray[np.float32],
    penalty: float,
) -> LinearModel:
    """Fit classes by logistic regression, labels one by one, values by ridge regression.

    Args:
        target: What is predicted.
        features: Features of the labelled rows, shape (N, F).
        targets: Their targets; a NaN leaves a row out of its column.
        penalty: Inverse strength C: C times the summed loss plus half the squared weights, where
            the loss of a value is half its squared error.
    """
    if target.classifies:
        weight = target.positive_weight if target.kind == "binary" else 1.0
        return _classes(features, targets[:, 0], penalty, (target.num_outputs, weight))
    columns: list[LinearModel] = []
    for column in targets.T:
        known = np.flatnonzero(np.isfinite(column))
        if target.kind == "multilabel":
            shape = (2, target.positive_weight)
            columns.append(_classes(features[known], column[known], penalty, shape))
        else:
            columns.append(_value(features[known], column[known], penalty))
    return _Columns(columns)


def _classes(
    features: scipy.sparse.csr_matrix,
    labels: NDArray[np.float32],
    penalty: float,
    shape: tuple[int, float],
) -> LinearModel:
    """Fit class indices; `shape` is the number of classes and the weight of class 1."""
    num_classes, positive_weight = shape
    shown = np.unique(labels).astype(np.int64)
    if len(shown) < 2:
        row = np.full(num_classes, 1.0 / num_classes, dtype=np.float32)
        if len(shown):
            row = np.eye(num_classes, dtype=np.float32)[shown[0]]
        return _Constant(row)
    weights = {int(label): positive_weight if label == 1 else 1.0 for label in shown}
    model = LogisticRegression(C=penalty, max_iter=MAX_ITERATIONS, class_weight=weights)
    with warnings.catch_warnings():
        # A hundred iterations are part of the recipe; the last digits decide nothing.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, labels.astype(np.int64))
    return _Classes(model, num_classes)


def _value(
    features: scipy.sparse.csr_matrix, values: NDArray[np.float32], penalty: float
) -> LinearModel:
    if len(values) == 0:
        return _Constant(np.zeros(1, dtype=np.float32))
    return _Value(Ridge(alpha=1.0 / penalty, solver="sparse_cg").fit(features, values))
