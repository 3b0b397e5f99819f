"""Leaks: rows that occur in another split or twice in one, on either strand, or nearly do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import Problem
from gfmp.tasks.near import Words, are_near, found_in, sample_of, words_of
from gfmp.tasks.sparse import SparseLabels
from gfmp.tasks.strands import other_strand
from gfmp.tasks.task import SPLITS, Rows, Split, Task

# Shares of the test rows above which scores are not believed. Genomes repeat themselves, so rows
# of other contigs share stretches too; whole rows hardly ever do.
MOST_IDENTICAL_FRACTION = 0.005
MOST_NEAR_FRACTION = 0.1
_MOST_EXAMPLES = 2
_Labels = Mapping[bytes, frozenset[bytes]]


@dataclass(frozen=True)
class Example:
    """A row that leaks.

    Attributes:
        later: Origin of the row.
        earlier: Origin of a row it repeats.
        how: `exact`, `reverse complement` or `near`.
    """

    later: str
    earlier: str
    how: str


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
        near: Other rows that share a stretch of sequence with `earlier`, on either strand; see
            `near.NEAR_BP`.
        examples: A few of them, the surest first.
    """

    earlier: Split
    later: Split
    rows: int
    exact: int
    reverse_complement: int
    conflicting: int
    near: int = 0
    examples: tuple[Example, ...] = field(default=(), compare=False)

    @property
    def leaks(self) -> int:
        """Rows of `later` that occur in `earlier` on either strand."""
        return self.exact + self.reverse_complement

    @property
    def refused(self) -> bool:
        """Whether the test split repeats so much of an earlier one that scores mean nothing."""
        return self.later == "test" and (
            self.leaks > MOST_IDENTICAL_FRACTION * self.rows
            or self.leaks + self.near > MOST_NEAR_FRACTION * self.rows
        )


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

    def problems(self, where: str, name: str) -> tuple[Problem, ...]:
        """Say what makes scores on the test split meaningless; nothing when they can be believed.

        Args:
            where: Where the task comes from.
            name: What specs call it.
        """
        return tuple(_problem(found, where, name) for found in self.overlaps if found.refused)


def audit(task: Task) -> Audit:
    """Compare all rows of a task with each other: whole sequences, and the words they share."""
    labels = {split: _labels(task.rows(split)) for split in SPLITS}
    sample = sample_of(sum(len(s) for split in SPLITS for s in task.rows(split).sequences))
    words = {split: words_of(task.rows(split).sequences, sample) for split in SPLITS}
    pairs = [(a, b) for j, b in enumerate(SPLITS) for a in SPLITS[:j]]
    return Audit(
        tuple(
            _overlap(
                _Side(a, task.rows(a), labels[a], words[a]),
                _Side(b, task.rows(b), labels[b], words[b]),
                sample,
            )
            for a, b in pairs
        ),
        tuple(_repeats(split, task.rows(split), labels[split]) for split in SPLITS),
    )


def across(learned: Task, scored: Task) -> Overlap:
    """Compare what models of one task learn from with the test rows of another."""
    train, test = learned.train, scored.test
    sample = sample_of(sum(len(s) for rows in (train, test) for s in rows.sequences))
    return _overlap(
        _Side("train", train, _labels(train), words_of(train.sequences, sample)),
        _Side("test", test, _labels(test), words_of(test.sequences, sample)),
        sample,
    )


def problems_across(found: Overlap, where: str, learned: str, scored: str) -> tuple[Problem, ...]:
    """Say what makes the scores of one task's models on another meaningless; often nothing.

    Args:
        found: What `across` found.
        where: Where the scored task comes from.
        learned: Name of the task that is learned from.
        scored: Name of the task whose test rows are scored.
    """
    if not found.refused:
        return ()
    told = _problem(found, where, scored)
    message = f"{scored} scored by models of {learned}: {told.message}"
    return (Problem(message, told.where, told.why, told.fix),)


@dataclass(frozen=True)
class _Side:
    """One of the two splits that are compared."""

    split: Split
    rows: Rows
    labels: _Labels
    words: Words


def _row_labels(rows: Rows) -> list[bytes]:
    # Adding 0 makes one zero of both; NaN (an unknown label) has one bit pattern already.
    if isinstance(rows.targets, SparseLabels):
        return [rows.targets.row_bytes(row) for row in range(len(rows))]
    return [bytes(row) for row in np.asarray(rows.targets + np.float32(0), dtype="<f4")]


def _labels(rows: Rows) -> _Labels:
    found: dict[bytes, set[bytes]] = {}
    for sequence, label in zip(rows.sequences, _row_labels(rows), strict=True):
        found.setdefault(sequence, set()).add(label)
    return {sequence: frozenset(labels) for sequence, labels in found.items()}


def _overlap(earlier: _Side, later: _Side, sample: int) -> Overlap:
    exact = reverse = conflicting = 0
    same: dict[int, tuple[bytes, str]] = {}
    pairs = zip(later.rows.sequences, _row_labels(later.rows), strict=True)
    for index, (sequence, label) in enumerate(pairs):
        other = other_strand(sequence)
        if sequence in earlier.labels:
            exact += 1
            same[index] = (sequence, "exact")
        elif other in earlier.labels:
            reverse += 1
            same[index] = (other, "reverse complement")
        else:
            continue
        conflicting += label not in earlier.labels[same[index][0]]
    shared = found_in(later.words.hashes, np.unique(earlier.words.hashes))
    near = are_near(later.words, shared, sample)
    near[list(same)] = False
    examples = (*_same_examples(earlier, later, same), *_near_examples(earlier, later, near))
    return Overlap(
        earlier=earlier.split,
        later=later.split,
        rows=len(later.rows),
        exact=exact,
        reverse_complement=reverse,
        conflicting=conflicting,
        near=int(near.sum()),
        examples=examples[:_MOST_EXAMPLES],
    )


def _same_examples(
    earlier: _Side, later: _Side, same: Mapping[int, tuple[bytes, str]]
) -> list[Example]:
    shown = list(same.items())[:_MOST_EXAMPLES]
    return [
        Example(
            later.rows.origins[index],
            earlier.rows.origins[earlier.rows.sequences.index(sequence)],
            how,
        )
        for index, (sequence, how) in shown
    ]


def _near_examples(earlier: _Side, later: _Side, near: NDArray[np.bool_]) -> list[Example]:
    found = []
    for index in np.flatnonzero(near)[:_MOST_EXAMPLES].tolist():
        own = later.words.hashes[later.words.rows == index]
        # The earlier row that has most of its words.
        rows = earlier.words.rows[np.isin(earlier.words.hashes, own)]
        other = int(np.bincount(rows).argmax())
        found.append(Example(later.rows.origins[index], earlier.rows.origins[other], "near"))
    return found


def _problem(found: Overlap, where: str, name: str) -> Problem:
    count = found.leaks + found.near
    shown = "; ".join(f"{e.later} is in {e.earlier} ({e.how})" for e in found.examples)
    return Problem(
        f"{count:,} of {found.rows:,} test rows ({count / found.rows:.1%}) are {found.earlier} "
        f"rows: {found.exact:,} exactly, {found.reverse_complement:,} on the other strand, "
        f"{found.near:,} share a stretch of sequence; such as {shown}",
        where,
        f"a model is scored on what it learned by heart; at most {MOST_IDENTICAL_FRACTION:.1%} "
        f"may be the same and {MOST_NEAR_FRACTION:.0%} alike",
        "split before cutting windows: `split: {by: contig, test: [...]}` or `{by: group}` in "
        f"the task, then `gfmp tasks check {name}`; or accept it with `allow_leaks: [{name}]` "
        "in the sweep, and its report says so",
    )


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
