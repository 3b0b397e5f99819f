"""All rows of a source before they are split, and how parts of it become one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.alphabet import AlphabetCounts
from gfmp.tasks.letters import normalised
from gfmp.tasks.sparse import stacked
from gfmp.tasks.task import Rows


@dataclass(frozen=True)
class Pool:
    """All rows of a source.

    Attributes:
        rows: The rows, in the order of the files.
        contigs: Contig of each row; empty text where it is not known.
        given: Split the source gives each row; empty text where it gives none.
        counts: What the letters were before they became A, C, G, T, N.
        left_out: What was not taken from the source and why, for people.
        notes: What else people should know of how it was read.
        contexts: Tissue or cell type of each row; empty where rows do not say it.
        labels: Names of the labels, where the source finds them; empty where the target names them.
    """

    rows: Rows
    contigs: tuple[str, ...]
    given: tuple[str, ...]
    counts: AlphabetCounts = field(default_factory=AlphabetCounts)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def take(self, places: NDArray[np.int64]) -> Pool:
        """Return the rows at these positions, in this order."""
        return replace(
            self,
            rows=self.rows.take(places),
            contigs=tuple(self.contigs[i] for i in places.tolist()),
            given=tuple(self.given[i] for i in places.tolist()),
            contexts=tuple(self.contexts[i] for i in places.tolist()) if self.contexts else (),
        )


def joined(parts: Sequence[Pool]) -> Pool:
    """Return the rows of all parts, one part after the other."""

    def chained(pick: Callable[[Pool], tuple[str, ...]]) -> tuple[str, ...]:
        """Return one column of all parts."""
        return tuple(itertools.chain.from_iterable(pick(part) for part in parts))

    rows = Rows(
        tuple(itertools.chain.from_iterable(part.rows.sequences for part in parts)),
        stacked([part.rows.targets for part in parts]),
        chained(lambda part: part.rows.origins),
        chained(lambda part: part.rows.groups),
    )
    return Pool(
        rows,
        chained(lambda part: part.contigs),
        chained(lambda part: part.given),
        sum((part.counts for part in parts), AlphabetCounts()),
        chained(lambda part: part.left_out),
        tuple(dict.fromkeys(chained(lambda part: part.notes))),
        chained(lambda part: part.contexts),
    )


def by_context(pool: Pool, columns: Sequence[str]) -> Pool:
    """Return one row for each row and target of it; the column of a target is its context.

    The rows of one sequence stay next to each other.
    """
    width = len(columns)
    rows = pool.take(np.repeat(np.arange(len(pool.rows), dtype=np.int64), width))
    values = pool.rows.matrix.reshape(-1, 1)
    assert len(values) == len(rows.rows), "every column of the target was read"
    contexts = tuple(columns) * len(pool.rows)
    return replace(rows, rows=replace(rows.rows, targets=values), contexts=contexts)


def with_sequences(
    labels: Pool, cells: Sequence[str], column: str, where: Callable[[int], str]
) -> Pool:
    """Return a pool whose rows had none with the sequences of these cells.

    Args:
        labels: Rows that lack only their sequences.
        cells: The sequences as they stand in a file.
        column: Name of their column, for messages.
        where: Tells the place of a row.

    Raises:
        DataError: a sequence is empty or holds anything but nucleotide letters.
    """
    sequences, counts = normalised(cells, column, where)
    return replace(labels, rows=replace(labels.rows, sequences=sequences), counts=counts)
