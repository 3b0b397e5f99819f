"""Where the bases of a haplotype lie in its reference, once indels have moved them.

A lift is the list of the changes of another length, in both coordinates; everywhere else haplotype
and reference differ by a constant. All coordinates are 0-based and half-open.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.changes import Changes
from gfmp.genome.locations import checked_digest, describe, open_location
from gfmp.genome.spans import SpanBook, Spans
from gfmp.genome.splits import Interval, Splits
from gfmp.genome.variants import VariantCounts, Variants
from gfmp.genome.vcf import VcfFile


@dataclass(frozen=True, eq=False)
class Lift:
    """One contig; without a change, both coordinates are one.

    Attributes:
        reference: Letters of the reference that each change replaced; shape (C, 2), ascending,
            not overlapping. Both ends are the same for an insertion, which stands before them.
        haplotype: Letters of the haplotype in their place; both ends are the same for a deletion.
    """

    reference: Spans
    haplotype: Spans

    @classmethod
    def of(cls, reference: Spans, lengths: NDArray[np.int64]) -> Lift:
        """Place the changes in the haplotype.

        Args:
            reference: What is replaced, in any order; shape (C, 2).
            lengths: How many letters replace each; shape (C,).
        """
        order = np.lexsort((reference[:, 1], reference[:, 0]))
        reference, lengths = reference[order], lengths[order]
        moves = lengths - (reference[:, 1] - reference[:, 0])
        starts = reference[:, 0] + np.cumsum(moves) - moves
        return cls(reference, np.stack([starts, starts + lengths], axis=1))

    @classmethod
    def none(cls) -> Lift:
        """Return the lift of a contig whose positions did not move."""
        empty = np.empty((0, 2), np.int64)
        return cls(empty, empty)

    @property
    def moved_bp(self) -> int:
        """How much longer than its reference the haplotype is; negative for shorter."""
        return _moved(self.reference, self.haplotype, len(self.reference))

    def to_reference(self, start: int, end: int) -> tuple[int, int]:
        """Return the stretch of the reference that [start, end) of the haplotype stands for.

        It holds every base of the reference that is in the stretch, and those deleted between two
        of them. A stretch that begins or ends within inserted or replacing letters stands for all
        that they replaced, which may be nothing: then both ends are the same.
        """
        assert start < end, "a stretch holds a base"
        before = int(np.searchsorted(self.haplotype[:, 1], start, "right"))
        first = start - _moved(self.reference, self.haplotype, before)
        if before < len(self.haplotype) and self.haplotype[before, 0] <= start:
            first = int(self.reference[before, 0])
        begun = int(np.searchsorted(self.haplotype[:, 0], end, "left"))
        last = end - _moved(self.reference, self.haplotype, begun)
        if begun and self.haplotype[begun - 1, 1] >= end:
            last = int(self.reference[begun - 1, 1])
        return first, last

    def border(self, position: int) -> int:
        """Return where the border before base `position` of the reference lies in the haplotype.

        What was inserted or replaced belongs to the base of the reference it begins at.
        """
        begun = int(np.searchsorted(self.reference[:, 0], position, "left"))
        if begun and self.reference[begun - 1, 1] > position:
            return int(self.haplotype[begun - 1, 1])
        return position + _moved(self.reference, self.haplotype, begun)


def _moved(reference: Spans, haplotype: Spans, num_changes: int) -> int:
    """Return by how much the first changes move what follows them."""
    if not num_changes:
        return 0
    return int(haplotype[num_changes - 1, 1] - reference[num_changes - 1, 1])


@dataclass(frozen=True)
class LiftedSplits:
    """The splits of a contig, said of its haplotype: a base has the split it has in the reference.

    Attributes:
        whole: Splits in coordinates of the reference.
        lift: Where its bases went.
    """

    whole: Splits
    lift: Lift

    def at(self, position: int) -> Interval:
        """Return the interval that holds `position`."""
        here = self.whole.at(self.lift.to_reference(position, position + 1)[0])
        return Interval(self.lift.border(here.start), self.lift.border(here.end), here.split)


def read_lifts(variants: Variants | None) -> Mapping[str, Lift]:
    """Find the lift of every contig on which a haplotype has changes of another length.

    The VCF is read once, without the sequence; 32 bytes are held for each such change.

    Raises:
        DataError: the VCF is damaged or unsorted, or a record is unusable or meets another one.
        MissingInputError: there is no such VCF.
    """
    if variants is None or variants.indels == "refuse":
        return {}
    checked_digest(variants.file.location, variants.file.sha256)
    spans = SpanBook()
    lengths: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
    with open_location(variants.file.location) as stream:
        vcf = VcfFile(stream, describe(variants.file.location), variants.sample)
        changes = Changes(vcf, variants, VariantCounts())
        while changes.next is not None:
            change = changes.take()
            if change.moves:
                spans.add(change.contig, change.start, change.end)
                lengths[change.contig].append(len(change.alt))
    return {name: Lift.of(spans.spans(name), np.array(lengths[name], np.int64)) for name in spans}
