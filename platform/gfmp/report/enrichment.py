"""Is something in more positive rows than chance puts there? Hypergeometric tests, corrected.

Of N rows K are positive and n have a word or motif; chance gives the positives among those n a
hypergeometric distribution (Ji et al., DNABERT-viz, 2021; Ye et al., Genomics-FM). Many are asked
at once, so p-values become q-values by Benjamini and Hochberg (1995).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom

# Below it a p-value is 0 as a float; its logarithm still ranks.
_SMALLEST_LOG10 = -300.0


@dataclass(frozen=True)
class Enrichment:
    """How often something is in positive and in negative rows.

    Attributes:
        positives: Positive rows with it.
        num_positives: Positive rows.
        negatives: Negative rows with it.
        num_negatives: Negative rows.
        log10_p: log10 of the chance of as many positive rows or more.
    """

    positives: int
    num_positives: int
    negatives: int
    num_negatives: int
    log10_p: float

    @classmethod
    def of(cls, positives: NDArray[np.bool_], negatives: NDArray[np.bool_]) -> Enrichment:
        """Test which rows of each side have it."""
        have, others = int(positives.sum()), int(negatives.sum())
        sizes = (len(positives), len(negatives))
        p = log10_tail(np.array([have]), np.array([have + others]), sizes)
        return cls(have, sizes[0], others, sizes[1], float(p[0]))

    @property
    def p(self) -> float:
        """The p-value; 0 where a float ends."""
        return float(10.0 ** max(self.log10_p, _SMALLEST_LOG10 - 23))

    @property
    def fold(self) -> float:
        """Share of positive rows over share of negative rows, half a row added to each count."""
        here = (self.positives + 0.5) / (self.num_positives + 1)
        there = (self.negatives + 0.5) / (self.num_negatives + 1)
        return here / there


def log10_tail(
    positives: NDArray[np.int64], rows: NDArray[np.int64], sizes: tuple[int, int]
) -> NDArray[np.float64]:
    """Return log10 of the chance that as many of `rows` or more are positive; 0 is certain.

    Args:
        positives: Positive rows with each thing, shape (M,).
        rows: Rows with it, shape (M,).
        sizes: Positive and negative rows there are.
    """
    num_positives, num_negatives = sizes
    total = num_positives + num_negatives
    keys, back = np.unique(np.stack([positives, rows]), axis=1, return_inverse=True)
    logs = hypergeom.logsf(keys[0] - 1, total, num_positives, keys[1])
    found: NDArray[np.float64] = np.minimum(logs / np.log(10.0), 0.0)[back.ravel()]
    return found


def q_values(log10_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the false discovery rate at which each test is called, shape (M,)."""
    if not len(log10_p):
        return np.zeros(0)
    p = 10.0 ** np.maximum(log10_p, _SMALLEST_LOG10)
    adjusted: NDArray[np.float64] = np.asarray(false_discovery_control(p, method="bh"))
    return adjusted
