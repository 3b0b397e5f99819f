"""Linear models on fixed features: logistic regression for classes and labels, ridge for values.

Features are standardised by the training rows. A penalty is an inverse strength C, as in
scikit-learn: the loss of the rows times C, plus half the squared weights.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from gfmp.tasks.task import Target

MOST_ITERATIONS = 300
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

    def fit(self, penalty: float) -> Fitted:
        """Fit with an inverse strength C of the L2 penalty, and predict."""
        if self.target.classifies:
            return self._classes(penalty)
        column = self._label if self.target.kind == "multilabel" else self._value
        fitted = [column(k, penalty) for k in range(self.targets.shape[1])]
        joined = tuple(
            np.concatenate([each.predictions[i] for each in fitted], axis=1)
            for i in range(len(self.others))
        )
        return Fitted(joined, sum(each.unconverged for each in fitted))

    def _classes(self, penalty: float) -> Fitted:
        weight = self.target.positive_weight if self.target.kind == "binary" else 1.0
        classes = self.targets[:, 0].astype(np.int64)
        rows = np.ones(len(classes), dtype=np.bool_)
        return self._logistic(rows, classes, self.target.num_outputs, (penalty, weight))

    def _label(self, column: int, penalty: float) -> Fitted:
        known = np.isfinite(self.targets[:, column])
        classes = (self.targets[known, column] > 0).astype(np.int64)
        both = self._logistic(known, classes, 2, (penalty, self.target.positive_weight))
        return Fitted(tuple(part[:, 1:] for part in both.predictions), both.unconverged)

    def _logistic(
        self,
        rows: NDArray[np.bool_],
        classes: NDArray[np.int64],
        num_classes: int,
        settings: tuple[float, float],
    ) -> Fitted:
        """Fit one logistic regression; a class that no row has gets probability 0."""
        penalty, positive_weight = settings
        present = np.unique(classes)
        if len(present) < 2:
            return Fitted(tuple(_certain(len(x), present, num_classes) for x in self.others), 0)
        weights = {
            c: positive_weight if num_classes == 2 and c == 1 else 1.0 for c in range(num_classes)
        }
        model = LogisticRegression(C=penalty, max_iter=MOST_ITERATIONS, class_weight=weights)
        with warnings.catch_warnings():
            # Counted instead; a separable problem has no finite optimum without the penalty.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(self.features[rows], classes)
        found = []
        for features in self.others:
            probabilities = np.zeros((len(features), num_classes), dtype=np.float32)
            probabilities[:, present] = model.predict_proba(features)
            found.append(probabilities)
        return Fitted(tuple(found), int((model.n_iter_ >= MOST_ITERATIONS).any()))

    def _value(self, column: int, penalty: float) -> Fitted:
        known = np.isfinite(self.targets[:, column])
        if not known.any():
            return Fitted(tuple(np.zeros((len(x), 1), dtype=np.float32) for x in self.others), 0)
        model = Ridge(alpha=1.0 / penalty, solver="cholesky")
        model.fit(self.features[known], self.targets[known, column].astype(np.float64))
        found = (model.predict(x)[:, None].astype(np.float32) for x in self.others)
        return Fitted(tuple(found), 0)


def _certain(num_rows: int, present: NDArray[np.int64], num_classes: int) -> NDArray[np.float32]:
    """Return what one class alone teaches: that class; no rows at all teach nothing."""
    probabilities = np.zeros((num_rows, num_classes), dtype=np.float32)
    probabilities[:, present] = 1.0
    return probabilities if len(present) else probabilities + 1.0 / num_classes
