"""The final report: the model beside its baselines, with intervals and checks.

Differences are model minus baseline, so lower is better. Their 95 % intervals come from a paired
bootstrap over windows: model and baseline are scored on the same targets and bases of each drawn
window, and neighbouring targets of a window never pretend to be independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.training.scores import (
    BITS,
    CORRECT,
    HIDDEN,
    NATS,
    ORDER0,
    ORDER5,
    TARGETS,
    UNIGRAM,
)

REPLICATES = 2000
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Difference:
    """Model minus baseline per target or base, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Check:
    """One thing a trained model must have learned.

    Attributes:
        name: What is compared.
        value: The model's number.
        baseline: The number it has to stay below.
        low: Lower end of the interval of value - baseline.
        high: Upper end; the check passes below 0.
        passed: The verdict.
    """

    name: str
    value: float
    baseline: float
    low: float
    high: float
    passed: bool


@dataclass(frozen=True)
class VocabularyReport:
    """Held-out results of one vocabulary.

    Attributes:
        name: The vocabulary.
        overlapping: Its tokens share bases, so bits per base are marginals.
        loss: Nats per target.
        accuracy: Share of targets whose likeliest word is the true one.
        unigram_loss: Nats per target of the training token frequencies.
        bits_per_base: Bits per hidden base.
        order0_bits: The same of base composition.
        order5_bits: The same of a Markov model of order 5.
        loss_minus_unigram: Difference per target.
        bits_minus_order0: Difference per base.
        bits_minus_order5: Difference per base.
        windows: Windows scored.
        targets: Targets in them.
        hidden_bases: Hidden bases in them.
    """

    name: str
    overlapping: bool
    loss: float
    accuracy: float
    unigram_loss: float
    bits_per_base: float
    order0_bits: float
    order5_bits: float
    loss_minus_unigram: Difference
    bits_minus_order0: Difference
    bits_minus_order5: Difference
    windows: int
    targets: int
    hidden_bases: int

    @classmethod
    def of(
        cls, name: str, overlapping: bool, table: NDArray[np.float64], seed: int
    ) -> VocabularyReport:
        """Summarise a table of windows (see `gfmp.training.scores`)."""
        total = table.sum(axis=0)
        targets, bases = total[TARGETS], total[HIDDEN]
        drawn = resampled(table, seed)

        def _difference(model: int, baseline: int, per: int) -> Difference:
            value = (total[model] - total[baseline]) / total[per]
            replicates = (drawn[:, model] - drawn[:, baseline]) / drawn[:, per]
            low, high = np.percentile(replicates, _INTERVAL)
            return Difference(float(value), float(low), float(high))

        return cls(
            name=name,
            overlapping=overlapping,
            loss=float(total[NATS] / targets),
            accuracy=float(total[CORRECT] / targets),
            unigram_loss=float(total[UNIGRAM] / targets),
            bits_per_base=float(total[BITS] / bases),
            order0_bits=float(total[ORDER0] / bases),
            order5_bits=float(total[ORDER5] / bases),
            loss_minus_unigram=_difference(NATS, UNIGRAM, TARGETS),
            bits_minus_order0=_difference(BITS, ORDER0, HIDDEN),
            bits_minus_order5=_difference(BITS, ORDER5, HIDDEN),
            windows=len(table),
            targets=int(targets),
            hidden_bases=int(bases),
        )

    def fields(self) -> dict[str, float]:
        """Return the numbers as flat event fields, `report/<vocabulary>/<number>`."""
        flat: dict[str, float] = {}
        for key, value in asdict(self).items():
            if isinstance(value, Mapping):
                suffixed = {"": value["value"], "/low": value["low"], "/high": value["high"]}
                flat |= {f"report/{self.name}/{key}{s}": v for s, v in suffixed.items()}
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                flat[f"report/{self.name}/{key}"] = value
        return flat


def resampled(table: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return column sums of windows drawn with replacement, shape (REPLICATES, columns)."""
    num = len(table)
    times = np.random.default_rng(seed).multinomial(num, np.full(num, 1.0 / num), REPLICATES)
    return times @ table


def checks(reports: Sequence[VocabularyReport]) -> tuple[Check, ...]:
    """Return what every vocabulary has to pass.

    Loss below the unigram's, always. Bits per base below base composition where tokens do not
    overlap; the marginals of overlapping tokens are only reported beside the Markov models,
    because the visible neighbours of a short span already give most of the base away.
    """
    found: list[Check] = []
    for report in reports:
        gap = report.loss_minus_unigram
        found.append(_check(f"{report.name} loss < unigram", report.loss, report.unigram_loss, gap))
        if not report.overlapping:
            name = f"{report.name} bits per base < order 0"
            gap = report.bits_minus_order0
            found.append(_check(name, report.bits_per_base, report.order0_bits, gap))
    return tuple(found)


def _check(name: str, value: float, baseline: float, gap: Difference) -> Check:
    return Check(name, value, baseline, gap.low, gap.high, passed=gap.high < 0.0)
