"""How sure a fine-tuned model may be, from the validation rows of its task.

Classes and labels: one temperature divides the outputs before they become probabilities (Guo et
al., "On Calibration of Modern Neural Networks", 2017, section 4.2), fitted by the mean negative
log-likelihood. Values: an interval that holds 90 % of the residuals (split conformal prediction,
Lei et al., 2018). The validation rows also chose the epoch of the model, so both are a little too
sure; rows from elsewhere than the task's can differ by any amount.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax

from gfmp.errors import DataError
from gfmp.tasks.task import Target

FORMAT_VERSION = 1
COVERAGE = 0.9
_MOST = math.log(20.0)
_BINS = 15
_FEWEST_ROWS = 9


@dataclass(frozen=True)
class Calibration:
    """What validation says about the confidence of a model.

    Attributes:
        temperature: Outputs are divided by it; above 1 the model was too sure. 1 for values.
        half_width: For values, half of the interval of each in units of the target; else empty.
        num_rows: Validation rows it was fitted on.
        loss: Mean negative log-likelihood of those rows in nats, as the model says it.
        calibrated_loss: The same with the temperature.
        error: Expected calibration error in 15 bins, as the model says it; 0 for values.
        calibrated_error: The same with the temperature.
    """

    temperature: float
    half_width: tuple[float, ...]
    num_rows: int
    loss: float = 0.0
    calibrated_loss: float = 0.0
    error: float = 0.0
    calibrated_error: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        widths = list(self.half_width)
        return {"format_version": FORMAT_VERSION, **asdict(self), "half_width": widths}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Calibration:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is of another format.
        """
        body = {key: inner for key, inner in value.items() if key != "format_version"}
        if value.get("format_version") != FORMAT_VERSION:
            raise ValueError("it is of another format")
        return TypeAdapter(cls).validate_python(body)


def fit(
    outputs: NDArray[np.float32], targets: NDArray[np.float32], target: Target, where: str = ""
) -> Calibration:
    """Fit a calibration.

    Args:
        outputs: What the head says of N rows: logits, or values in units of the target; (N, O).
        targets: Their targets, shape (N, 1) for classes, (N, O) else; NaN where unknown.
        target: What is predicted.
        where: Of the rows, for messages.

    Raises:
        DataError: there are fewer than 9 rows.
    """
    if len(outputs) < _FEWEST_ROWS:
        raise _too_few(f"the task has {len(outputs)} validation rows", where)
    if target.kind == "regression":
        widths = tuple(
            _half_width(np.abs(outputs[:, i] - targets[:, i]), name, where)
            for i, name in enumerate(target.names)
        )
        return Calibration(1.0, widths, len(outputs))
    found = minimize_scalar(
        lambda log_t: _loss(outputs / math.exp(log_t), targets, target),
        bounds=(-_MOST, _MOST),
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = round(math.exp(float(found.x)), 6)
    return Calibration(
        temperature=temperature,
        half_width=(),
        num_rows=len(outputs),
        loss=_loss(outputs, targets, target),
        calibrated_loss=_loss(outputs / temperature, targets, target),
        error=_error(outputs, targets, target),
        calibrated_error=_error(outputs / temperature, targets, target),
    )


def _loss(outputs: NDArray[np.floating], targets: NDArray[np.float32], target: Target) -> float:
    logits = outputs.astype(np.float64)
    if target.classifies:
        classes = targets[:, 0].astype(np.int64)
        return float(-log_softmax(logits, axis=1)[np.arange(len(classes)), classes].mean())
    known = np.isfinite(targets)
    nats = -np.where(targets > 0, log_expit(logits), log_expit(-logits))
    return float(nats[known].mean()) if known.any() else 0.0


def _error(outputs: NDArray[np.floating], targets: NDArray[np.float32], target: Target) -> float:
    logits = outputs.astype(np.float64)
    if target.classifies:
        chosen = logits.argmax(axis=1)
        sure = np.exp(log_softmax(logits, axis=1))[np.arange(len(chosen)), chosen]
        return calibration_error(sure, chosen == targets[:, 0])
    known = np.isfinite(targets)
    return calibration_error(expit(logits)[known], targets[known] > 0)


def calibration_error(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the mean gap between confidence and share of right answers over 15 equal bins.

    Args:
        sure: Confidence of each answer, shape (N,).
        right: Whether it was right, shape (N,).

    Source: expected calibration error, Guo et al. (2017), equation 3.
    """
    bins = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, weights=sure - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / max(len(sure), 1))


def _half_width(residuals: NDArray[np.floating], name: str, where: str) -> float:
    """Return the residual that `COVERAGE` of the rows stay below."""
    known = np.sort(residuals[np.isfinite(residuals)])
    if len(known) < _FEWEST_ROWS:
        raise _too_few(f"{len(known)} validation rows know the value {name!r}", where)
    # One more row than there are: the one that is predicted (Lei et al., 2018).
    return float(known[math.ceil((len(known) + 1) * COVERAGE) - 1])


def _too_few(what: str, where: str) -> DataError:
    return DataError(
        what,
        where=where,
        why=f"calibration needs at least {_FEWEST_ROWS}",
        fix="leave it out: --no-calibration, or predict(..., calibrated=False)",
    )
