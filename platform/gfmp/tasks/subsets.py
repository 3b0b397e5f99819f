"""Nested label subsets: stratified, seeded, each contained in the next.

No vocabulary and no model enters: the same rows are labelled for everybody.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError, SpecError
from gfmp.tasks.strata import contents_digest, row_hashes, strata
from gfmp.tasks.task import Rows, Target, Task


@dataclass(frozen=True)
class Subset:
    """The labelled part of the training rows.

    Attributes:
        percent: Share of the training rows that was asked for.
        seed: Chooses the rows.
        rows: Positions in `task.train`, int64, shape (N,).
        fingerprint: sha256 of the contents of those rows, in their order.
    """

    percent: float
    seed: int
    rows: NDArray[np.int64] = field(compare=False)
    fingerprint: str


def order(rows: Rows, target: Target, seed: int) -> NDArray[np.int64]:
    """Return a permutation of the rows every prefix of which is stratified.

    Within a stratum rows follow a hash of (seed, content); a row's key is (rank + 0.5) / size
    of its stratum; the strata interleave by that key, ties by the hash. So a prefix holds of
    each stratum its share, rounded, and the order of the input does not matter.

    Returns:
        int64, shape (N,).
    """
    classes, hashes = strata(rows, target), row_hashes(rows, seed)
    # Features beside the sequence only settle ties: the same rows are labelled without them.
    ties = () if rows.contexts is None else (rows.contexts.row_digests(),)
    within = np.lexsort((*ties, hashes, classes))
    sizes = np.bincount(classes)
    starts = np.cumsum(sizes) - sizes
    ranks = np.empty(len(rows), dtype=np.int64)
    ranks[within] = np.arange(len(rows)) - starts[classes[within]]
    keys = (ranks + 0.5) / sizes[classes]
    return np.lexsort((*ties, hashes, keys)).astype(np.int64)


def choose(task: Task, percent: float, seed: int, most_rows: int = 0) -> Subset:
    """Return the first round(percent / 100 * N) training rows in `order`, at least one.

    Args:
        task: The task; only its training rows count.
        percent: Above 0, at most 100; 100 is every row.
        seed: Chooses the rows.
        most_rows: Upper bound on the rows; 0 for none.

    Raises:
        SpecError: `percent` is out of range.
        DataError: the subset lacks a class; says from which percent on it works.
    """
    if not 0 < percent <= 100:
        raise SpecError(
            f"label percent {percent} is not allowed",
            why="it is a share of the training rows: above 0, at most 100",
            fix="give percents such as [1, 10, 100]",
        )
    ordered = order(task.train, task.target, seed)
    num_rows = _num_rows(percent, len(ordered))
    if most_rows:
        num_rows = min(num_rows, most_rows)
    _check_classes(task, ordered, num_rows, percent)
    chosen = ordered[:num_rows]
    return Subset(percent, seed, chosen, contents_digest(task.train.take(chosen)))


def _num_rows(percent: float, num_rows: int) -> int:
    return max(1, round(percent / 100 * num_rows))


def _check_classes(task: Task, ordered: NDArray[np.int64], num_rows: int, percent: float) -> None:
    if not task.target.classifies:
        return
    classes = task.train.targets[ordered, 0].astype(np.int64)
    present, first = np.unique(classes, return_index=True)
    needed = int(first.max()) + 1
    if num_rows >= needed:
        return
    missing = [task.target.names[c] for c, at in zip(present, first, strict=True) if at >= num_rows]
    least = _least_percent(needed, len(ordered))
    capped = num_rows < _num_rows(percent, len(ordered)) and least <= percent
    raise DataError(
        f"{percent:g} % of the labels of {task.name} have no row of class {', '.join(missing)}",
        why=f"{num_rows:,} of {len(ordered):,} training rows are labelled, and every class must be",
        fix=f"allow at least {needed:,} rows" if capped else f"it works from {least:g} % on",
    )


def _least_percent(needed: int, num_rows: int) -> float:
    """Return the smallest percent, with few decimals, that gives `needed` rows."""
    for decimals in range(7):
        scale = 10**decimals
        percent = math.ceil(100 * (needed - 0.5) / num_rows * scale) / scale
        if percent <= 100 and needed <= _num_rows(percent, num_rows) <= max(needed * 1.1, needed):
            return percent
    return 100.0
