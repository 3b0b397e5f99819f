"""What every scorer of variants is: columns, and numbers for a batch of alleles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gfmp.inference.texts import Batch


@dataclass(frozen=True)
class Scores:
    """What a scorer says about N alleles.

    Attributes:
        values: One column for each score, NaN where there is none; float64, shape (N, C).
        features: Difference of features, alternate less reference, averaged over strands; float32,
            shape (N, F). No features: F is 0.
    """

    values: NDArray[np.float64]
    features: NDArray[np.float32]

    @classmethod
    def without_features(cls, values: NDArray[np.float64]) -> Scores:
        """Return scores alone."""
        return cls(values, np.zeros((len(values), 0), dtype=np.float32))


class Scorer(Protocol):
    """Scores alleles; reads weights only, so batches do not depend on each other."""

    def score(self, batch: Batch) -> Scores:
        """Return the scores of a batch."""
        ...
