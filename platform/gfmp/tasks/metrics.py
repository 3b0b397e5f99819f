"""Metrics of predictions, each named for what it is, on all rows or on bootstrap resamples.

Every metric is computed from row multiplicities, so that a score and its thousand resamples are
one piece of code: B multiplicities of N rows are a matrix (B, N), a plain score is B = 1 of ones.
Predictions are probabilities of classes (targets are class indices, one column), probabilities of
labels, or values (targets have as many columns). Larger is better for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Below this share of the largest squared deviation a variance is rounding, not spread.
_ROUNDING: Final = 1e-14
# Shares of 0 and 1 have no log odds; RNABenchmark clips them to this far from either.
_LEAST_SHARE: Final = 1e-7


def score(metric: str, targets: NDArray[np.float32], predictions: NDArray[np.float32]) -> float:
    """Return a metric over all rows; NaN where it is undefined.

    Args:
        metric: A name of `METRICS`.
        targets: Shape (N, 1) for class indices, (N, K) for labels (NaN: unknown) and values.
        predictions: Shape (N, O): probabilities of O >= 2 classes, or K labels or values.
    """
    ones = np.ones((1, len(targets)))
    return float(resampled(metric, targets, predictions, ones)[0])


def resampled(
    metric: str,
    targets: NDArray[np.float32],
    predictions: NDArray[np.float32],
    counts: NDArray[np.int64] | Floats,
) -> Floats:
    """Return a metric on each resample; NaN where it is undefined there.

    Args:
        metric: A name of `METRICS`.
        targets: As in `score`.
        predictions: As in `score`.
        counts: Shape (B, N): how often a resample holds each row; whole numbers.

    Returns:
        Shape (B,); the mean over label or value columns (one-against-rest classes for AUROC and
        AUPRC) where the metric is defined.
    """
    rule = METRICS[metric]
    assert len(targets) == len(predictions) == counts.shape[1], "one prediction for each row"
    weights = np.asarray(counts, dtype=np.float64)
    if not np.isfinite(predictions).all():
        return np.full(len(weights), np.nan)
    truth = np.asarray(targets, dtype=np.float64)
    guess = np.asarray(predictions, dtype=np.float64)
    if truth.shape[1] == 1 and guess.shape[1] > 1:
        return rule.of_classes(truth[:, 0].astype(np.int64), guess, weights)
    columns = [
        _known_rows(rule.of_column, truth[:, k], guess[:, k], weights)
        for k in range(truth.shape[1])
    ]
    return _mean_where_defined(np.stack(columns))


def _known_rows(
    of_column: Callable[[Floats, Floats, Floats], Floats],
    truth: Floats,
    guess: Floats,
    weights: Floats,
) -> Floats:
    known = np.isfinite(truth)
    if known.all():
        return of_column(truth, guess, weights)
    return of_column(truth[known], guess[known], weights[:, known])


def _mean_where_defined(values: Floats) -> Floats:
    """Return the mean over the first axis of what is not NaN; NaN where nothing is."""
    defined = np.isfinite(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0))


def _ratio(above: Floats, below: NDArray[np.float64] | NDArray[np.int64]) -> Floats:
    """Divide; NaN where the denominator is not positive."""
    below = np.asarray(below, dtype=np.float64)
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


# -- decisions: from confusion matrices -------------------------------------------------------


def confusion(truth: Integers, guess: Integers, weights: Floats, num_classes: int) -> Floats:
    """Return confusion matrices, shape (B, true class, predicted class), by one product."""
    pairs, place = np.unique(truth * num_classes + guess, return_inverse=True)
    indicator = np.zeros((len(truth), len(pairs)))
    indicator[np.arange(len(truth)), place] = 1.0
    matrices = np.zeros((len(weights), num_classes * num_classes))
    matrices[:, pairs] = weights @ indicator
    return matrices.reshape(-1, num_classes, num_classes)


def mcc(matrices: Floats) -> Floats:
    """Return Matthews' correlation of K classes (Gorodkin's R_K).

    (c s - sum t_k p_k) / sqrt((s^2 - sum p_k^2)(s^2 - sum t_k^2)) with c right rows, s rows, t_k
    true and p_k predicted rows of class k. 0 for a constant prediction, as in scikit-learn; NaN
    when the rows have only one class, where nothing can be correlated.
    """
    rows = matrices.sum(axis=(1, 2))
    right = np.trace(matrices, axis1=1, axis2=2)
    true, said = matrices.sum(axis=2), matrices.sum(axis=1)
    spread_true = rows**2 - (true**2).sum(axis=1)
    spread_said = rows**2 - (said**2).sum(axis=1)
    above = right * rows - (true * said).sum(axis=1)
    value = _ratio(above, np.sqrt(spread_true) * np.sqrt(spread_said))
    return np.where((spread_true > 0) & (spread_said <= 0), 0.0, value)


def accuracy(matrices: Floats) -> Floats:
    """Return the share of rows whose most probable class is theirs; NaN without rows."""
    return _ratio(np.trace(matrices, axis1=1, axis2=2), matrices.sum(axis=(1, 2)))


def _f1(matrices: Floats) -> Floats:
    """Return 2 TP / (2 TP + FP + FN), shape (B, class); NaN for a class nobody has or says."""
    right = np.diagonal(matrices, axis1=1, axis2=2)
    return _ratio(2.0 * right, matrices.sum(axis=1) + matrices.sum(axis=2))


def macro_f1(matrices: Floats) -> Floats:
    """Return the unweighted mean of F1 over the classes that occur as truth or prediction."""
    return _mean_where_defined(_f1(matrices).T)


def positive_f1(matrices: Floats) -> Floats:
    """Return F1 of the positive class of one label; NaN where it neither occurs nor is said.

    scikit-learn counts such a label as 0 in its mean; here it is left out of the mean.
    """
    return _f1(matrices)[:, 1]


# -- rankings: one sort, then weighted cumulative sums -----------------------------------------


def auroc(truth: Floats, guess: Floats, weights: Floats) -> Floats:
    """Return the area under the ROC curve: P(positive above negative) + P(tie) / 2.

    NaN without a positive or without a negative row (Mann-Whitney U over its largest value).
    """
    positive = truth > 0.5
    order = np.argsort(guess[~positive], kind="stable")
    below = guess[~positive][order]
    cumulative = np.zeros((len(weights), len(below) + 1))
    np.cumsum(weights[:, ~positive][:, order], axis=1, out=cumulative[:, 1:])
    mine, theirs = weights[:, positive], cumulative[:, -1]
    lower = cumulative[:, np.searchsorted(below, guess[positive], side="left")]
    lower += cumulative[:, np.searchsorted(below, guess[positive], side="right")]
    return _ratio(0.5 * np.einsum("bn,bn->b", mine, lower), mine.sum(axis=1) * theirs)


def auprc(truth: Floats, guess: Floats, weights: Floats) -> Floats:
    """Return average precision: sum over thresholds of (recall gained) x precision.

    The step-wise sum, not the trapezoid (scikit-learn's `average_precision_score`); NaN without
    a positive row.
    """
    order = np.argsort(-guess, kind="stable")
    ends = np.flatnonzero(np.diff(guess[order], append=np.nan) != 0)
    ordered = weights[:, order]
    above = np.cumsum(ordered, axis=1)[:, ends]
    right = np.cumsum(ordered * (truth[order] > 0.5), axis=1)[:, ends]
    gained = np.diff(right, axis=1, prepend=0.0)
    precision = np.divide(right, above, out=np.zeros_like(above), where=above > 0)
    return _ratio(np.einsum("bn,bn->b", gained, precision), weights @ (truth > 0.5))


# -- values: weighted moments -------------------------------------------------------------------


def pearson_r(truth: Floats, guess: Floats, weights: Floats) -> Floats:
    """Return Pearson's correlation; NaN where either side is constant."""
    x, y = _scaled(truth), _scaled(guess)
    moments = weights @ np.stack([x, y, x * x, y * y, x * y], axis=1)
    return _correlation(weights.sum(axis=1), moments)


def _correlation(rows: Floats, moments: Floats) -> Floats:
    """Correlate from weighted sums of x, y, x^2, y^2, xy, shape (B, 5)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y, xx, yy, xy = (moments / rows[:, None]).T
        spread_x, spread_y = xx - x * x, yy - y * y
        value = (xy - x * y) / np.sqrt(spread_x * spread_y)
    spread = (spread_x > _ROUNDING) & (spread_y > _ROUNDING)
    return np.where(spread, np.clip(value, -1.0, 1.0), np.nan)


def _scaled(values: Floats) -> Floats:
    """Centre on the mean and divide by the largest deviation: sums then cancel no digits."""
    if values.size == 0 or np.ptp(values) == 0:
        return np.zeros_like(values)
    centred = values - values.mean()
    return centred / np.abs(centred).max()


def spearman_r(truth: Floats, guess: Floats, weights: Floats) -> Floats:
    """Return Spearman's correlation: Pearson's of mid-ranks within the resample."""
    rows = weights.sum(axis=1)
    x = _mid_ranks(truth, weights)
    y = _mid_ranks(guess, weights)
    weighted_x, weighted_y = weights * x, weights * y
    pairs = ((weighted_x, x), (weighted_y, y), (weighted_x, y))
    squares = [np.einsum("bn,bn->b", one, other) for one, other in pairs]
    sums = [weighted_x.sum(axis=1), weighted_y.sum(axis=1), *squares]
    return _correlation(rows, np.stack(sums, axis=1))


def _mid_ranks(values: Floats, weights: Floats) -> Floats:
    """Return mid-ranks in each resample, centred and divided by its rows, shape (B, N)."""
    if len(values) == 0:
        return np.zeros_like(weights)
    unique, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(unique)))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    rows = weights.sum(axis=1, keepdims=True)
    middle = np.cumsum(tied, axis=1) - tied / 2.0 - rows / 2.0
    return (middle / np.maximum(rows, 1.0))[:, place]


def r2_determination(truth: Floats, guess: Floats, weights: Floats) -> Floats:
    """Return the coefficient of determination, 1 - SSE / SST; NaN where the truth is constant.

    Negative where the mean of the truth predicts better; not the square of a correlation.
    """
    if truth.size == 0 or np.ptp(truth) == 0:
        return np.full(len(weights), np.nan)
    centre = truth.mean()
    scale = np.abs(truth - centre).max()
    x, error = (truth - centre) / scale, (truth - guess) / scale
    rows = weights.sum(axis=1)
    total, squares, wrong = (weights @ np.stack([x, x * x, error * error], axis=1)).T
    spread = squares - _ratio(total**2, rows)
    return np.where(spread > _ROUNDING * rows, 1.0 - _ratio(wrong, spread), np.nan)


def r2_pearson(truth: Floats, guess: Floats, weights: Floats) -> Floats:
    """Return the square of Pearson's correlation; blind to scale, offset and sign."""
    squared: Floats = pearson_r(truth, guess, weights) ** 2
    return squared


def r2_logit(truth: Floats, guess: Floats, weights: Floats) -> Floats:
    """Return 1 - SSE / SST of the log odds of shares, clipped to 1e-7 .. 1 - 1e-7.

    How RNABenchmark scores isoform usage (BEACON; Ren et al. 2024) and Ye et al., Table S19.
    """
    return r2_determination(_log_odds(truth), _log_odds(guess), weights)


def r2_pearson_logit(truth: Floats, guess: Floats, weights: Floats) -> Floats:
    """Return the square of Pearson's correlation of the log odds of clipped shares."""
    return r2_pearson(_log_odds(truth), _log_odds(guess), weights)


def _log_odds(shares: Floats) -> Floats:
    clipped = np.clip(shares, _LEAST_SHARE, 1.0 - _LEAST_SHARE)
    odds: Floats = np.log(clipped / (1.0 - clipped))
    return odds


@dataclass(frozen=True)
class Metric:
    """How one metric reads the shapes of predictions.

    Attributes:
        title: What axes and tables call it.
        definition: One sentence for a report.
        of_classes: From class indices (N,), probabilities (N, O), multiplicities (B, N).
        of_column: From one column of labels or values (N,), predictions (N,), and (B, N).
    """

    title: str
    definition: str
    of_classes: Callable[[Integers, Floats, Floats], Floats]
    of_column: Callable[[Floats, Floats, Floats], Floats]


def _decided(
    title: str,
    definition: str,
    of_classes: Callable[[Floats], Floats],
    of_label: Callable[[Floats], Floats],
) -> Metric:
    """Build a metric of decisions: the most probable class, or a label from 0.5 on."""

    def classes(truth: Integers, guess: Floats, weights: Floats) -> Floats:
        """Score the most probable class."""
        num_classes = int(max(guess.shape[1], truth.max(initial=0) + 1))
        return of_classes(confusion(truth, guess.argmax(axis=1), weights, num_classes))

    def column(truth: Floats, guess: Floats, weights: Floats) -> Floats:
        """Score one label."""
        said = (guess >= 0.5).astype(np.int64)
        return of_label(confusion((truth > 0.5).astype(np.int64), said, weights, 2))

    return Metric(title, definition, classes, column)


def _ranked(
    title: str, definition: str, of_column: Callable[[Floats, Floats, Floats], Floats]
) -> Metric:
    """Build a metric of one column; of more than two classes the mean over one against rest."""

    def classes(truth: Integers, guess: Floats, weights: Floats) -> Floats:
        """Score the second of two classes, or each class against the rest."""
        chosen = [1] if guess.shape[1] == 2 else range(guess.shape[1])
        parts = [of_column((truth == k).astype(np.float64), guess[:, k], weights) for k in chosen]
        return _mean_where_defined(np.stack(parts))

    return Metric(title, definition, classes, of_column)


METRICS: Final[Mapping[str, Metric]] = {
    "mcc": _decided(
        "MCC",
        "Matthews correlation of the most probable class (Gorodkin's R_K for more than two"
        " classes); 0 for a constant prediction.",
        mcc,
        mcc,
    ),
    "accuracy": _decided(
        "Accuracy", "Share of rows whose most probable class is theirs.", accuracy, accuracy
    ),
    "macro_f1": _decided(
        "Macro F1",
        "Unweighted mean over classes of 2 TP / (2 TP + FP + FN); of the positive class for"
        " labels.",
        macro_f1,
        positive_f1,
    ),
    "auroc": _ranked(
        "AUROC",
        "Area under the ROC curve; mean over one class against the rest, or over labels.",
        auroc,
    ),
    "auprc": _ranked(
        "AUPRC", "Average precision (step-wise); mean over classes against rest or labels.", auprc
    ),
    "pearson_r": _ranked("Pearson r", "Pearson correlation; mean over outputs.", pearson_r),
    "spearman_r": _ranked("Spearman r", "Pearson correlation of mid-ranks.", spearman_r),
    "r2_determination": _ranked(
        "R2 (1 - SSE/SST)",
        "Coefficient of determination 1 - SSE/SST; mean over outputs.",
        r2_determination,
    ),
    "r2_pearson": _ranked("R2 (r^2)", "Square of the Pearson correlation.", r2_pearson),
    "r2_logit": _ranked(
        "R2 of log odds (1 - SSE/SST)",
        "1 - SSE/SST of log odds of shares clipped to 1e-7 .. 1 - 1e-7.",
        r2_logit,
    ),
    "r2_pearson_logit": _ranked(
        "R2 of log odds (r^2)",
        "Square of the Pearson correlation of log odds of shares clipped to 1e-7 .. 1 - 1e-7.",
        r2_pearson_logit,
    ),
}
