"""Annotation reduction: how many times fewer labels one model needs to reach another's score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gfmp.report.analysis import Analysis, Model
from gfmp.report.bootstrap import CONFIDENCE, UNDEFINED_FRACTION

Floats = NDArray[np.float64]

# A factor of a curve that never reaches the reference: fewer than any number of labels saved.
NOT_REACHED: Final = 0.0


@dataclass(frozen=True)
class Curve:
    """A label-efficiency curve with its replicates.

    Attributes:
        percents: Shape (P,), rising.
        values: Mean scores, shape (P,).
        replicates: Shape (B, P).
    """

    percents: Floats
    values: Floats
    replicates: Floats


@dataclass(frozen=True)
class Reduction:
    """How a model compares with a reference at the reference's largest share of labels.

    Attributes:
        factor: Reference's percent over the percent at which the model's curve first reaches
            its score; 0 when it never does; NaN when a score is undefined.
        low: Lower end of the 95 percent interval, coded alike; NaN when undefined.
        high: Upper end.
        ceiling: Largest factor that can be seen: reference's percent over the model's smallest;
            a factor equal to it reads "at least".
        not_reached_fraction: Share of the defined replicates in which it is not reached.
        reference_percent: The reference's largest share of labels.
        model_percents: Smallest and largest share of labels of the model.
    """

    factor: float
    low: float
    high: float
    ceiling: float
    not_reached_fraction: float
    reference_percent: float
    model_percents: tuple[float, float]

    def words(self, factor: float) -> str:
        """Say one of the factors as a person reads it."""
        if np.isnan(factor):
            return "undefined"
        if factor == NOT_REACHED:
            return "not reached"
        if factor >= self.ceiling:
            return f">= {self.ceiling:.3g}"
        return f"{factor:.3g}"


def first_reached(percents: Floats, values: Floats, wanted: Floats) -> Floats:
    """Return the percent at which each curve first reaches a score.

    Linear in log percent between measured points; the smallest percent where the curve starts
    at or above the score; infinity where it never gets there; NaN where a score is undefined.

    Args:
        percents: Shape (P,), rising.
        values: Shape (B, P).
        wanted: Shape (B,).
    """
    logs = np.log(percents)
    reached = values >= wanted[:, None]
    at = reached.argmax(axis=1)
    rows = np.arange(len(values))
    before = np.maximum(at - 1, 0)
    low, high = values[rows, before], values[rows, at]
    rise = high - low
    share = np.divide(wanted - low, rise, out=np.ones_like(rise), where=rise > 0)
    between = np.exp(logs[before] + share * (logs[at] - logs[before]))
    where = np.where((at == 0) | (share >= 1.0), percents[at], between)
    found = np.where(reached.any(axis=1), where, np.inf)
    undefined = ~np.isfinite(values).all(axis=1) | ~np.isfinite(wanted)
    return np.where(undefined, np.nan, found)


def reduction(model: Curve, reference: Curve) -> Reduction:
    """Return the annotation-reduction factor of a model against a reference."""
    largest = float(reference.percents[-1])
    factor = _factors(model, model.values[None, :], reference.values[-1:], largest)
    replicates = _factors(model, model.replicates, reference.replicates[:, -1], largest)
    defined = replicates[np.isfinite(replicates)]
    low, high = _order_interval(defined, len(replicates))
    missed = float(np.mean(defined == NOT_REACHED)) if len(defined) else float("nan")
    return Reduction(
        factor=float(factor[0]),
        low=low,
        high=high,
        ceiling=largest / float(model.percents[0]),
        not_reached_fraction=missed,
        reference_percent=largest,
        model_percents=(float(model.percents[0]), float(model.percents[-1])),
    )


def _factors(model: Curve, values: Floats, wanted: Floats, largest: float) -> Floats:
    found = first_reached(model.percents, values, wanted)
    return np.where(np.isinf(found), NOT_REACHED, largest / found)


def _order_interval(defined: Floats, total: int) -> tuple[float, float]:
    """Return the interval as replicates that occurred: "not reached" has no mean with a number."""
    if len(defined) == 0 or len(defined) < (1.0 - UNDEFINED_FRACTION) * total:
        return float("nan"), float("nan")
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(defined, (tail, 1.0 - tail), method="inverted_cdf")
    return float(low), float(high)


@dataclass(frozen=True)
class Compared:
    """A reduction with its names."""

    task: str
    model: Model
    reference: Model
    reduction: Reduction


def reductions(analysis: Analysis) -> tuple[Compared, ...]:
    """Compare every model of ours with every baseline and every other initial model, by task."""
    found = []
    for task in analysis.tasks:
        curves = [(model, _curve(analysis, task, model)) for model, _ in analysis.curves(task)]
        found += [
            Compared(task, model, reference, reduction(mine, theirs))
            for model, mine in curves
            for reference, theirs in curves
            if model.family != "baseline" and model != reference
        ]
    return tuple(found)


def _curve(analysis: Analysis, task: str, model: Model) -> Curve:
    points = analysis.curve(task, model)
    main = [analysis.main(point) for point in points]
    return Curve(
        np.array([point.percent for point in points]),
        np.array([replicates.value for replicates in main]),
        np.stack([replicates.values for replicates in main], axis=1),
    )
