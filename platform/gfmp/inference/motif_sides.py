"""Which output is explained, which rows have it and which have not; needs no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import SpecError
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.task import Target

# Regression has no classes: the rows of its highest and lowest quarter stand against each other.
_QUARTER = 0.25
Rows = NDArray[np.int64]


def output_of(target: Target, name: str, where: str) -> int:
    """Return the place of an output; without a name of the last class, or the first other one.

    Args:
        target: What the model predicts.
        name: Class, label or value; empty for the default.
        where: Where it was asked for.

    Raises:
        SpecError: the model has no such output.
    """
    if not name:
        return len(target.names) - 1 if target.classifies else 0
    if name in target.names:
        return target.names.index(name)
    raise SpecError(
        f"output: the model has no output {name!r}",
        where=where,
        why=f"it predicts {', '.join(target.names)}",
        fix=did_you_mean(name, target.names) or "name one of those, or leave `output` out",
    )


def sides_of(target: Target, output: int, targets: NDArray[np.float32]) -> tuple[Rows, Rows]:
    """Return which rows are positive and which negative, as positions.

    Args:
        target: What the model predicts.
        output: Which of its outputs is explained.
        targets: Labels of the rows, shape (N, 1) or (N, K); an unknown one is on no side.
    """
    if target.classifies:
        own = targets[:, 0] == output
        return np.flatnonzero(own), np.flatnonzero(~own)
    values = targets[:, output]
    if target.kind == "multilabel":
        return np.flatnonzero(values == 1), np.flatnonzero(values == 0)
    known = values[np.isfinite(values)]
    if not len(known):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    low, high = np.quantile(known, (_QUARTER, 1 - _QUARTER))
    return np.flatnonzero(values > high), np.flatnonzero(values < low)


def chosen(rows: Rows, most: int, seed: int) -> Rows:
    """Return at most `most` of these rows, rising; which ones is a function of seed and row."""
    if len(rows) <= most:
        return np.sort(rows)
    draws = np.random.Philox(key=seed).random_raw(int(rows.max()) + 1)
    return np.sort(rows[np.argsort(draws[rows], kind="stable")[:most]])
