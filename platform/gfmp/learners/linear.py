"""Linear models on fixed features: logistic regression for classes and labels, ridge for values.

Features are standardised by the training rows. A penalty is an inverse strength C, as in
scikit-learn: the loss of the rows times C, plus half the squared weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from gfmp.learners.logistic import LabelledRows, Logits
from gfmp.tasks.task import Target

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Standard:
    """Shift and scale of features, taken from the training rows.

    Attributes:
        mean: Mean of each feature, shape (F,).
        deviation: Standard deviation, 1 where a feature is constant; shape (F,).
    """

    mean: Matrix
    deviation: Matrix

    @classmethod
    def of(cls, features: NDArray[np.float32]) -> Standard:
        """Measure features of shape (N, F)."""
        deviation = features.std(axis=0, dtype=np.float64)
        floor = 1e-6 * float(deviation.max(initial=0.0))
        return cls(
            features.mean(axis=0, dtype=np.float64),
            np.where(deviation > floor, deviation, 1.0),
        )

    def applied(self, features: NDArray[np.float32]) -> Matrix:
        """Return the standardised features, float64."""
        return (features - self.mean) / self.deviation


@dataclass(frozen=True)
class Fitted:
    """Predictions of a linear model for several matrices of features.

    Attributes:
        predictions: float32, shape (N, O) each.
        unconverged: Fits that ended at the limit of iterations.
    """

    predictions: tuple[NDArray[np.float32], ...]
    unconverged: int


@dataclass(frozen=True)
class LinearProblem:
    """Rows to learn from and rows to predict.

    Attributes:
        target: What is predicted.
        features: Standardised features of the training rows, shape (N, F).
        targets: Their targets, shape (N, 1) or (N, K).
        others: Standardised features of rows to predict.
    """

    target: Target
    features: Matrix
    targets: NDArray[np.float32]
    others: tuple[Matrix, ...]

    def path(self, penalties: Sequence[float]) -> dict[float, Fitted]:
        """Fit with every inverse strength C of the L2 penalty, and predict."""
        if self.target.classifies:
            return self._classes(penalties)
        column = self._label if self.target.kind == "multilabel" else self._value
        columns = [column(k, penalties) for k in range(self.targets.shape[1])]
        return {
            penalty: _side_by_side([each[penalty] for each in columns]) for penalty in penalties
        }

    def _classes(self, penalties: Sequence[float]) -> dict[float, Fitted]:
        weight = self.target.positive_weight if self.target.kind == "binary" else 1.0
        classes = self.targets[:, 0].astype(np.int64)
        rows = np.ones(len(classes), dtype=np.bool_)
        return self._logistic(rows, classes, (self.target.num_outputs, weight), penalties)

    def _label(self, column: int, penalties: Sequence[float]) -> dict[float, Fitted]:
        known = np.isfinite(self.targets[:, column])
        classes = (self.targets[known, column] > 0).astype(np.int64)
        both = self._logistic(known, classes, (2, self.target.positive_weight), penalties)
        return {
            penalty: Fitted(tuple(part[:, 1:] for part in each.predictions), each.unconverged)
            for penalty, each in both.items()
        }

    def _logistic(
        self,
        rows: NDArray[np.bool_],
        classes: NDArray[np.int64],
        shape: tuple[int, float],
        penalties: Sequence[float],
    ) -> dict[float, Fitted]:
        """Fit logistic regressions; a class that no row has gets probability 0."""
        num_classes, positive_weight = shape
        present, places = np.unique(classes, return_inverse=True)
        if len(present) < 2:
            known = Fitted(tuple(_certain(len(x), present, num_classes) for x in self.others), 0)
            return dict.fromkeys(penalties, known)
        heavy = (classes == 1) & (num_classes == 2)
        weights = np.where(heavy, positive_weight, 1.0)
        path = LabelledRows(self.features[rows], places, weights).path(penalties)
        return {
            penalty: self._predicted(each, present, num_classes) for penalty, each in path.items()
        }

    def _predicted(self, logits: Logits, present: NDArray[np.int64], num_classes: int) -> Fitted:
        found = []
        for features in self.others:
            probabilities = np.zeros((len(features), num_classes), dtype=np.float32)
            probabilities[:, present] = logits.probabilities(features)
            found.append(probabilities)
        return Fitted(tuple(found), int(not logits.converged))

    def _value(self, column: int, penalties: Sequence[float]) -> dict[float, Fitted]:
        known = np.isfinite(self.targets[:, column])
        if not known.any():
            nothing = (np.zeros((len(x), 1), dtype=np.float32) for x in self.others)
            return dict.fromkeys(penalties, Fitted(tuple(nothing), 0))
        values = self.targets[known, column].astype(np.float64)
        found = {}
        for penalty in penalties:
            model = Ridge(alpha=1.0 / penalty, solver="cholesky").fit(self.features[known], values)
            each = (model.predict(x)[:, None].astype(np.float32) for x in self.others)
            found[penalty] = Fitted(tuple(each), 0)
        return found


def _side_by_side(columns: Sequence[Fitted]) -> Fitted:
    parts = zip(*(each.predictions for each in columns), strict=True)
    joined = tuple(np.concatenate(part, axis=1) for part in parts)
    return Fitted(joined, sum(each.unconverged for each in columns))


def _certain(num_rows: int, present: NDArray[np.int64], num_classes: int) -> NDArray[np.float32]:
    """Return what one class alone teaches: that class; no rows at all teach nothing."""
    probabilities = np.zeros((num_rows, num_classes), dtype=np.float32)
    probabilities[:, present] = 1.0
    return probabilities if len(present) else probabilities + 1.0 / num_classes
