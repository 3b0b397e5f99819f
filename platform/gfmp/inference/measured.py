"""Measured effects, as a VCF carries them in INFO."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gfmp.genome.alleles import Allele
from gfmp.genome.vcf_info import values_of
from gfmp.spec.variant_effect import Measured


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
