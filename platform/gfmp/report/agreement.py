"""How scores of variants agree with measured effects, element by element.

Source: Ye et al., Genomics-FM, Tables S1-S5: Pearson correlation for each element. A distance has
no sign, so it is compared with the size of an effect; the correlation with the effect itself stands
beside it. The paper does not say which of the two it took.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.report.paper_elements import kind_of
from gfmp.tasks.metrics import pearson_r

# Fisher's z of fewer pairs has no variance.
FEWEST_PAIRS = 4
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Agreement:
    """How one score agrees with the measured effects of one element.

    Attributes:
        column: The score.
        group: The element; empty for the mean over elements.
        pairs: Variants that were compared, or for the mean, elements.
        signed: Pearson correlation with the effect; NaN where it is undefined.
        absolute: Pearson correlation with the effect's size, whatever its sign.
        low: Lower end of the 95 % interval of `headline` (Fisher's z); NaN for the mean.
        high: Its upper end.
    """

    column: str
    group: str
    pairs: int
    signed: float
    absolute: float
    low: float
    high: float

    @property
    def headline(self) -> float:
        """The correlation a score is judged by: signed where the score has a sign."""
        return self.signed if has_sign(self.column) else self.absolute

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON values; undefined numbers are None."""
        return {k: _finite(v) if isinstance(v, float) else v for k, v in vars(self).items()}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Agreement:
        """Rebuild one written by `to_json`."""
        numbers = {k: math.nan if v is None else v for k, v in value.items()}
        return cls(**numbers)  # type: ignore[arg-type]  # written by this class, under a seal


def has_sign(column: str) -> bool:
    """Tell whether a score says in which direction an effect goes; a distance does not."""
    return kind_of(column) in ("", "head")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def agreements(
    columns: Mapping[str, NDArray[np.float64]],
    effects: NDArray[np.float64],
    groups: Sequence[str],
) -> Iterator[Agreement]:
    """Yield the agreement of every score on every element, then its mean over elements.

    Args:
        columns: Scores by name, shape (N,) each; NaN where a variant has none.
        effects: Measured effects, finite, shape (N,).
        groups: Element of each variant.
    """
    labels = np.array(groups, dtype=object)
    for column, values in columns.items():
        found = [
            agreement(column, str(group), values[labels == group], effects[labels == group])
            for group in sorted(set(groups))
        ]
        yield from found
        defined = [one for one in found if math.isfinite(one.absolute)]
        if defined:
            signed = float(np.mean([one.signed for one in defined]))
            absolute = float(np.mean([one.absolute for one in defined]))
            yield Agreement(column, "", len(defined), signed, absolute, math.nan, math.nan)


def agreement(
    column: str, group: str, values: NDArray[np.float64], effects: NDArray[np.float64]
) -> Agreement:
    """Return how scores agree with effects, both of shape (N,); pairs with a NaN are left out."""
    known = np.isfinite(values) & np.isfinite(effects)
    values, effects = values[known], effects[known]
    signed, absolute = _pearson(effects, values), _pearson(np.abs(effects), values)
    low = high = math.nan
    judged = signed if has_sign(column) else absolute
    if len(values) >= FEWEST_PAIRS and math.isfinite(judged):
        middle = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, judged)))
        half = _Z95 / math.sqrt(len(values) - 3)
        low, high = math.tanh(middle - half), math.tanh(middle + half)
    return Agreement(column, group, len(values), signed, absolute, low, high)


def _pearson(truth: NDArray[np.float64], guess: NDArray[np.float64]) -> float:
    if len(truth) < FEWEST_PAIRS:
        return math.nan
    return float(pearson_r(truth, guess, np.ones((1, len(truth))))[0])
