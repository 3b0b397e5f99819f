"""Logistic regression over a path of L2 penalties that share their work.

The features of one cell are fitted with several penalties on one or a few cores, where a general
solver pays for thousands of passes over the matrix. Here the Gram matrix is computed once; its
Cholesky factor with a penalty, at the curvature of the last solution, makes the problem nearly
round; each penalty starts where the stronger one ended; and with fewer rows than features the
problem is solved in as many dimensions as there are rows. L-BFGS (scipy) then needs some ten
passes instead of some hundred.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize

Matrix = NDArray[np.float64]

MOST_ITERATIONS = 300
# A fit ends when a step lowers the loss by less than this share of the loss of zero weights.
SMALLEST_GAIN = 1e-9
# Added to the diagonal of a Gram matrix of rows, which is singular when features are centred.
_JITTER = 1e-6
_LEAST_CURVATURE = 1e-3


@dataclass(frozen=True)
class Logits:
    """A fitted linear map from features to logits.

    Attributes:
        weights: Shape (F, K); K is 1 for two classes, where class 0 has the logit 0.
        bias: Shape (K,).
        converged: False if the limit of iterations ended the fit.
    """

    weights: Matrix
    bias: Matrix
    converged: bool

    def probabilities(self, features: Matrix) -> Matrix:
        """Return the probabilities of the classes, shape (N, classes)."""
        return _softmax(_with_reference(features @ self.weights + self.bias))[0]


@dataclass(frozen=True)
class LabelledRows:
    """Rows with classes.

    Attributes:
        features: Standardised features, float64, shape (N, F).
        classes: Class indices from 0, every one of them present, shape (N,).
        weights: Weight of each row in the loss, shape (N,).
    """

    features: Matrix
    classes: NDArray[np.int64]
    weights: Matrix

    def path(self, penalties: Sequence[float]) -> dict[float, Logits]:
        """Fit every penalty.

        The loss is C times the weighted cross entropies of the rows plus half the squared
        weights; the bias has no penalty. That is scikit-learn's `LogisticRegression`.

        Args:
            penalties: Inverse strengths C.
        """
        basis, to_features = _basis(self.features)
        problem = _Problem(basis, self.classes, self.weights)
        fitted = {}
        for penalty in sorted(penalties):
            weights, bias, converged = problem.advance(penalty)
            fitted[penalty] = Logits(to_features(weights), bias, converged)
        return fitted


def _basis(features: Matrix) -> tuple[Matrix, Callable[[Matrix], Matrix]]:
    """Return features in at most N dimensions, and how weights come back from them."""
    num_rows, num_features = features.shape
    if num_rows >= num_features:
        return features, lambda weights: weights
    # Rows span at most N dimensions: X = L Q with orthonormal rows of Q = L^-1 X.
    gram = features @ features.T
    np.fill_diagonal(gram, gram.diagonal() + _JITTER * max(gram.trace() / num_rows, _JITTER))
    lower = cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
    return (
        lower,
        lambda weights: (
            features.T @ solve_triangular(lower, weights, lower=True, trans=1, check_finite=False)
        ),
    )


@dataclass(frozen=True)
class _Coordinates:
    """Points are upper @ weights beside bias / stretch, in one row."""

    upper: Matrix
    stretch: float

    def to_weights(self, point: Matrix, shape: tuple[int, ...]) -> tuple[Matrix, Matrix]:
        """Return weights and bias of a point."""
        split = math.prod(shape)
        inner = point[:split].reshape(shape)
        weights = solve_triangular(self.upper, inner, check_finite=False)
        return weights, point[split:] * self.stretch

    def of_weights(self, weights: Matrix, bias: Matrix) -> Matrix:
        """Return the point of weights and bias."""
        return np.concatenate([(self.upper @ weights).ravel(), bias / self.stretch])

    def gradient(self, slope: Matrix, bias_slope: Matrix) -> Matrix:
        """Return the gradient along the coordinates."""
        inner = solve_triangular(self.upper, slope, trans=1, check_finite=False)
        return np.concatenate([inner.ravel(), bias_slope * self.stretch])


class _Problem:
    """The loss of rows, minimised for one penalty after the other."""

    def __init__(self, features: Matrix, classes: NDArray[np.int64], weights: Matrix) -> None:
        num_classes = int(classes.max()) + 1
        self._features, self._row_weights = features, weights[:, None]
        self._truth = np.eye(num_classes)[classes]
        self._gram = features.T @ features
        columns = 1 if num_classes == 2 else num_classes
        self._weights = np.zeros((features.shape[1], columns))
        self._bias = np.zeros(columns)
        self._scale = float(weights.sum()) * math.log(num_classes)

    def advance(self, penalty: float) -> tuple[Matrix, Matrix, bool]:
        """Minimise from the last solution; return weights, bias and whether that converged."""
        shape, place = self._weights.shape, self._coordinates(penalty)

        def loss(point: Matrix) -> tuple[float, Matrix]:
            """Return the loss and its gradient, in shares of the loss of zero weights."""
            weights, bias = place.to_weights(point, shape)
            value, slope, error = self._loss(weights, bias, penalty)
            scale = penalty * self._scale
            return value / scale, place.gradient(slope, error) / scale

        start = place.of_weights(self._weights, self._bias)
        options = {"maxiter": MOST_ITERATIONS, "ftol": SMALLEST_GAIN, "gtol": 0.0}
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
        self._weights, self._bias = place.to_weights(found.x, shape)
        return self._weights, self._bias, bool(found.nit < MOST_ITERATIONS)

    def _coordinates(self, penalty: float) -> _Coordinates:
        """Return coordinates in which the loss is nearly round at the last solution."""
        probabilities, _ = self._forward(self._weights, self._bias)
        spread = self._row_weights * probabilities * (1.0 - probabilities)
        curvature = penalty * max(float(spread.mean()), _LEAST_CURVATURE)
        hessian = curvature * self._gram
        np.fill_diagonal(hessian, hessian.diagonal() + 1.0)
        upper = cholesky(hessian, overwrite_a=True, check_finite=False)
        # Centred features leave the bias alone: its own curvature is all it needs.
        return _Coordinates(upper, 1.0 / math.sqrt(curvature * len(self._features)))

    def _loss(self, weights: Matrix, bias: Matrix, penalty: float) -> tuple[float, Matrix, Matrix]:
        """Return the loss, its slope along the weights and that along the bias."""
        probabilities, logs = self._forward(weights, bias)
        error = penalty * self._row_weights * (probabilities - self._truth)
        error = error[:, -weights.shape[1] :]
        value = -penalty * float((self._row_weights * self._truth * logs).sum())
        value += 0.5 * float((weights**2).sum())
        return value, self._features.T @ error + weights, error.sum(axis=0)

    def _forward(self, weights: Matrix, bias: Matrix) -> tuple[Matrix, Matrix]:
        return _softmax(_with_reference(self._features @ weights + bias))


def _with_reference(logits: Matrix) -> Matrix:
    """Return one column per class: with two classes, class 0 has the logit 0."""
    if logits.shape[1] > 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)


def _softmax(logits: Matrix) -> tuple[Matrix, Matrix]:
    """Return probabilities and their logarithms, shape (N, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    sums = powers.sum(axis=1, keepdims=True)
    return powers / sums, shifted - np.log(sums)
