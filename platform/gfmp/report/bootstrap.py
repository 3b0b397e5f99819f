"""The hierarchical bootstrap: seeds and test rows resampled, the same draws for every model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gfmp.storage.hashes import fingerprint, sha256_bytes
from gfmp.tasks.metrics import resampled, score

Floats = NDArray[np.float64]

NUM_REPLICATES: Final = 1000
CONFIDENCE: Final = 0.95
# With more undefined replicates than this an interval would describe a chosen part of them.
UNDEFINED_FRACTION: Final = 0.05
# Multiplicities held at once: 2 MB as float64, what a core keeps near it.
_BLOCK_COUNTS: Final = 250_000
_ROW_STREAM, _SEED_STREAM = 0, 1


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: On all test rows, the mean over seeds; NaN when undefined for one of them.
        low: Lower end of the 95 percent percentile interval; NaN when undefined.
        high: Upper end.
        num_seeds: Seeds behind it; with one, only test rows are resampled.
        num_test: Test rows behind it.
        num_undefined: Replicates in which the metric is undefined.
    """

    value: float
    low: float
    high: float
    num_seeds: int
    num_test: int
    num_undefined: int = 0

    @property
    def above_zero(self) -> bool:
        """True when the whole interval is above 0."""
        return bool(self.low > 0.0)

    @property
    def below_zero(self) -> bool:
        """True when the whole interval is below 0."""
        return bool(self.high < 0.0)


@dataclass(frozen=True)
class Replicates:
    """A score and its bootstrap replicates.

    Attributes:
        value: The score itself.
        values: Shape (B,), NaN where undefined; replicate b of every model of a task has the
            same test rows and the same seeds.
        num_seeds: As in `Estimate`.
        num_test: As in `Estimate`.
    """

    value: float
    values: Floats = field(compare=False)
    num_seeds: int
    num_test: int

    def estimate(self) -> Estimate:
        """Return the score with its interval."""
        low, high = interval(self.values)
        undefined = int(np.count_nonzero(~np.isfinite(self.values)))
        return Estimate(self.value, low, high, self.num_seeds, self.num_test, undefined)

    def minus(self, other: Replicates) -> Estimate:
        """Return the paired difference to another model of the same task."""
        return Replicates(
            self.value - other.value,
            self.values - other.values,
            min(self.num_seeds, other.num_seeds),
            self.num_test,
        ).estimate()


def interval(values: Floats) -> tuple[float, float]:
    """Return the 95 percent percentile interval of replicates, shape (B,).

    NaN at both ends when more than `UNDEFINED_FRACTION` of them are undefined.
    """
    defined = values[np.isfinite(values)]
    if len(defined) == 0 or len(defined) < (1.0 - UNDEFINED_FRACTION) * len(values):
        return float("nan"), float("nan")
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(defined, (tail, 1.0 - tail))
    return float(low), float(high)


@dataclass(frozen=True)
class Resampling:
    """The draws of one task: functions of its test labels, never of which cells are there.

    Attributes:
        key: Two 64-bit words from the content of the test labels.
        num_test: Rows N of the test split.
        num_replicates: B.
    """

    key: tuple[int, int]
    num_test: int
    num_replicates: int

    @classmethod
    def of(cls, targets: NDArray[np.float32], num_replicates: int = NUM_REPLICATES) -> Resampling:
        """Key the draws by the test labels, shape (N, 1) or (N, K)."""
        content = sha256_bytes(np.ascontiguousarray(targets, dtype="<f4").tobytes())
        digest = fingerprint({"bootstrap": content, "shape": list(targets.shape)})
        key = (int(digest[:16], 16), int(digest[16:32], 16))
        return cls(key, len(targets), num_replicates)

    def _generator(self, stream: int, place: int) -> np.random.Generator:
        counter = np.array([0, 0, stream, place], dtype=np.uint64)
        key = np.array(self.key, dtype=np.uint64)
        return np.random.Generator(np.random.Philox(counter=counter, key=key))

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Yield replicates and the multiplicities of their rows, shape (block, N)."""
        size = max(1, min(self.num_replicates, _BLOCK_COUNTS // max(1, self.num_test)))
        for start in range(0, self.num_replicates, size):
            stop = min(start + size, self.num_replicates)
            yield (
                slice(start, stop),
                np.stack([self._multiplicities(place) for place in range(start, stop)]),
            )

    def _multiplicities(self, replicate: int) -> Floats:
        if self.num_test == 0:
            return np.zeros(0)
        drawn = self._generator(_ROW_STREAM, replicate).integers(0, self.num_test, self.num_test)
        return np.bincount(drawn, minlength=self.num_test).astype(np.float64)

    def seed_shares(self, num_seeds: int) -> Floats:
        """Return the share of each of S seeds in each replicate, shape (B, S).

        The j-th draw of a replicate does not depend on S, so models with equal seeds are paired.
        """
        shares = np.zeros((self.num_replicates, num_seeds))
        rows = np.arange(self.num_replicates)
        for draw in range(num_seeds):
            uniform = self._generator(_SEED_STREAM, draw).random(self.num_replicates)
            np.add.at(shares, (rows, (uniform * num_seeds).astype(np.int64)), 1.0 / num_seeds)
        return shares


def scores(
    metric: str,
    targets: NDArray[np.float32],
    predictions: Sequence[NDArray[np.float32]],
    resampling: Resampling,
) -> tuple[Floats, Floats]:
    """Score predictions on all rows and on every resample.

    Returns:
        Shapes (P,) and (P, B) for P predictions.
    """
    values = np.array([score(metric, targets, one) for one in predictions])
    replicates = np.full((len(predictions), resampling.num_replicates), np.nan)
    for places, counts in resampling.blocks():
        for row, one in enumerate(predictions):
            replicates[row, places] = resampled(metric, targets, one, counts)
    return values, replicates


def over_seeds(values: Floats, replicates: Floats, resampling: Resampling) -> Replicates:
    """Average seeds: shapes (S,) and (S, B) become one score with its replicates.

    A replicate resamples the seeds and then the test rows, the same rows for each seed. A seed
    whose metric is undefined makes the mean undefined: it is never left out quietly.
    """
    shares = resampling.seed_shares(len(values))
    used = np.where(shares.T > 0, replicates, 0.0)
    averaged = np.einsum("bs,sb->b", shares, used)
    return Replicates(float(np.mean(values)), averaged, len(values), resampling.num_test)
