"""Leaks: rows that occur in another split or twice in one, on either strand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gfmp.tasks.strands import other_strand
from gfmp.tasks.task import SPLITS, Rows, Split, Task

_Labels = Mapping[bytes, frozenset[bytes]]


@dataclass(frozen=True)
class Overlap:
    """Rows of one split whose sequence occurs in an earlier one.

    Attributes:
        earlier: The split that is looked into (train before valid before test).
        later: The split whose rows are counted.
        rows: Rows of `later`.
        exact: Of them, rows whose sequence stands in `earlier`.
        reverse_complement: Rows whose sequence does not, but its reverse complement does.
        conflicting: Exact or reverse-complement rows whose labels none of those rows has.
    """

    earlier: Split
    later: Split
    rows: int
    exact: int
    reverse_complement: int
    conflicting: int

    @property
    def leaks(self) -> int:
        """Rows of `later` that occur in `earlier` on either strand."""
        return self.exact + self.reverse_complement


@dataclass(frozen=True)
class Repeats:
    """Rows that occur more than once in a split.

    Attributes:
        split: The split.
        rows: Its rows.
        distinct: Its distinct sequences.
        reverse_complement: Distinct sequences whose reverse complement is another one of them.
        conflicting: Distinct sequences that carry several labels.
    """

    split: Split
    rows: int
    distinct: int
    reverse_complement: int
    conflicting: int


@dataclass(frozen=True)
class Audit:
    """What was found in a task.

    Attributes:
        overlaps: valid in train, test in train, test in valid.
        repeats: One entry for each split.
    """

    overlaps: tuple[Overlap, ...]
    repeats: tuple[Repeats, ...]

    @property
    def leaks(self) -> int:
        """Rows of valid and test that occur in an earlier split, summed over pairs of splits."""
        return sum(overlap.leaks for overlap in self.overlaps)


def audit(task: Task) -> Audit:
    """Compare all rows of a task with each other by their whole sequences."""
    labels = {split: _labels(task.rows(split)) for split in SPLITS}
    pairs = [(a, b) for j, b in enumerate(SPLITS) for a in SPLITS[:j]]
    return Audit(
        tuple(_overlap(a, b, labels[a], task.rows(b)) for a, b in pairs),
        tuple(_repeats(split, task.rows(split), labels[split]) for split in SPLITS),
    )


def _row_labels(rows: Rows) -> list[bytes]:
    # Adding 0 makes one zero of both; NaN (an unknown label) has one bit pattern already.
    return [bytes(row) for row in np.asarray(rows.targets + np.float32(0), dtype="<f4")]


def _labels(rows: Rows) -> _Labels:
    found: dict[bytes, set[bytes]] = {}
    for sequence, label in zip(rows.sequences, _row_labels(rows), strict=True):
        found.setdefault(sequence, set()).add(label)
    return {sequence: frozenset(labels) for sequence, labels in found.items()}


def _overlap(earlier: Split, later: Split, known: _Labels, rows: Rows) -> Overlap:
    exact = reverse = conflicting = 0
    for sequence, label in zip(rows.sequences, _row_labels(rows), strict=True):
        if sequence in known:
            exact += 1
            conflicting += label not in known[sequence]
            continue
        other = other_strand(sequence)
        if other in known:
            reverse += 1
            conflicting += label not in known[other]
    return Overlap(earlier, later, len(rows), exact, reverse, conflicting)


def _repeats(split: Split, rows: Rows, labels: _Labels) -> Repeats:
    return Repeats(
        split=split,
        rows=len(rows),
        distinct=len(labels),
        reverse_complement=_on_both_strands(labels),
        conflicting=sum(len(found) > 1 for found in labels.values()),
    )


def _on_both_strands(labels: Iterable[bytes]) -> int:
    known = set(labels)
    return sum((other := other_strand(s)) != s and other in known for s in known)
