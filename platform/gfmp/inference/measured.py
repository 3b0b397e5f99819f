"""Measured effects in a VCF, and how scores agree with them element by element."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.alleles import Allele
from gfmp.genome.vcf_info import values_of
from gfmp.spec.variant_effect import Measured
from gfmp.tasks.metrics import pearson_r

# Fisher's z of fewer pairs has no variance.
FEWEST_PAIRS = 4
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Effect:
    """What was measured of one alternate.

    Attributes:
        value: The effect; NaN where none was measured.
        group: The element it belongs to.
        counts: Whether it is compared: measured, and every field of `at_least` large enough.
    """

    value: float
    group: str
    counts: bool


def effect_of(allele: Allele, measured: Measured) -> Effect:
    """Read the measured effect of an alternate from its record.

    Raises:
        DataError: a field is no number, or has another number of values than there are alternates.
    """
    value = _number(allele, measured.field)
    grouped = measured.group_by != "contig"
    names = values_of(allele.record, measured.group_by) if grouped else (allele.record.contig,)
    enough = (_number(allele, key) >= least for key, least in measured.at_least.items())
    return Effect(value, names[0] if names else "", math.isfinite(value) and all(enough))


def _number(allele: Allele, key: str) -> float:
    values = values_of(allele.record, key)
    if not values:
        return math.nan
    if len(values) not in (1, len(allele.record.alts)):
        raise allele.record.fault(
            f"INFO/{key}",
            f"{len(values)} values for {len(allele.record.alts)} alternates",
            "a measured field has one value for all alternates or one for each",
            "correct the line, or split alternates: bcftools norm -m -any FILE",
        )
    text = values[allele.number - 1] if len(values) > 1 else values[0]
    if text == ".":
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise allele.record.fault(
            f"INFO/{key}",
            f"{text[:30]!r} is no number",
            "measured effects and their limits are numbers",
            "name the field that holds the effect as measured.field",
        ) from None


@dataclass(frozen=True)
class Agreement:
    """How one score agrees with the measured effects of one element.

    Attributes:
        column: The score.
        group: The element; empty for the mean over elements.
        pairs: Variants that were compared, or for the mean, elements.
        signed: Pearson correlation with the effect; NaN where it is undefined.
        absolute: Pearson correlation with the effect's size, whatever its sign.
        low: Lower end of the 95 % interval of `absolute` (Fisher's z); NaN for the mean.
        high: Its upper end.
    """

    column: str
    group: str
    pairs: int
    signed: float
    absolute: float
    low: float
    high: float

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON values; undefined numbers are None."""
        return {k: _finite(v) if isinstance(v, float) else v for k, v in vars(self).items()}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Agreement:
        """Rebuild one written by `to_json`."""
        numbers = {k: math.nan if v is None else v for k, v in value.items()}
        return cls(**numbers)  # type: ignore[arg-type]  # written by this class, under a seal


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
    if len(values) >= FEWEST_PAIRS and math.isfinite(absolute):
        middle = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, absolute)))
        half = _Z95 / math.sqrt(len(values) - 3)
        low, high = math.tanh(middle - half), math.tanh(middle + half)
    return Agreement(column, group, len(values), signed, absolute, low, high)


def _pearson(truth: NDArray[np.float64], guess: NDArray[np.float64]) -> float:
    if len(truth) < FEWEST_PAIRS:
        return math.nan
    return float(pearson_r(truth, guess, np.ones((1, len(truth))))[0])
