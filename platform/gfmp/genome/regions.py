"""The intervals of one source that its selection takes, found before any piece is cut.

A source with a selection is read twice: once for the lengths of its contigs (and the case of its
letters), once to be cut. Held in between are 16 bytes per interval of its own contigs. Intervals
and splits are said of the reference; a haplotype of other lengths gets them lifted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from gfmp.errors import DataError
from gfmp.genome.annotation_genbank import read_genbank_features
from gfmp.genome.annotation_gff import read_gff
from gfmp.genome.bed import read_bed
from gfmp.genome.blocks import Block
from gfmp.genome.lifts import Lift, LiftedSplits, read_lifts
from gfmp.genome.locations import Location, describe, open_location
from gfmp.genome.manifest import RegionsEntry
from gfmp.genome.selection import Selection
from gfmp.genome.sources import Source, checked_digest, open_source
from gfmp.genome.spans import SpanBook, Spans, num_bases
from gfmp.genome.splits import RestrictedSplits, SplitMap, Splits


@dataclass(frozen=True)
class SourceRegions:
    """What a source is restricted to.

    Attributes:
        entry: One entry for the manifest; none when the source is taken whole.
        contigs: Intervals to take, by contig: ascending, neither overlapping nor touching; in
            coordinates of the reference.
        lifts: Where the bases of contigs went whose haplotype has changes of another length.
    """

    entry: tuple[RegionsEntry, ...] = ()
    contigs: Mapping[str, Spans] = field(default_factory=dict)
    lifts: Mapping[str, Lift] = field(default_factory=dict)

    def restrict(self, contig: str, splits: SplitMap) -> Splits:
        """Return the splits of `contig` with everything outside its intervals left out.

        Args:
            contig: Record name.
            splits: Its splits in coordinates of the reference; those returned are the haplotype's.
        """
        restricted: Splits = splits
        if self.entry:
            restricted = RestrictedSplits.of(splits, self.contigs[contig])
        lift = self.lifts.get(contig)
        return LiftedSplits(restricted, lift) if lift else restricted


def read_regions(source: Source) -> SourceRegions:
    """Find the intervals of `source`, reading its letters once, and where its variants move them.

    Raises:
        DataError: a file is damaged or not of its format, differs from its pin, or has an
            interval beyond the end of its contig; a record of its variants is unusable.
        MissingInputError: a file does not exist.
    """
    selection = source.selection
    lifts = read_lifts(source.variants)
    if selection is None:
        return SourceRegions(lifts=lifts)
    digests = tuple(checked_digest(file.location, file.sha256) for file in selection.files)
    found = _Found(source, selection)
    found.read_letters()
    found.read_files()
    contigs = {name: found.taken(name) for name in found.lengths}
    entry = RegionsEntry(
        rule=str(selection),
        files=tuple(describe(file.location) for file in selection.files),
        sha256=digests,
        types=tuple(sorted(found.types)),
        elsewhere=tuple(sorted(found.elsewhere)),
        num_found=sum(len(found.book.spans(name)) for name in found.lengths),
        num_taken=sum(len(spans) for spans in contigs.values()),
        taken_bp=sum(num_bases(spans) for spans in contigs.values()),
    )
    return SourceRegions((entry,), contigs, lifts)


class _Found:
    """What was read about one source: lengths, intervals, and names that lead nowhere."""

    def __init__(self, source: Source, selection: Selection) -> None:
        self.lengths: dict[str, int] = {}
        self.book = SpanBook()
        self.types: set[str] = set()
        self.elsewhere: set[str] = set()
        self._source = source
        self._selection = selection

    def read_letters(self) -> None:
        """Measure the contigs and, where their case decides, find the lower-case runs."""
        # Intervals are said of the reference, whose letters have the same case.
        for block in open_source(replace(self._source, variants=None)):
            length = self.lengths.get(block.contig, 0)
            if self._selection.kind == "soft_masked":
                self.book.extend(block.contig, _lower_case(block) + length)
            self.lengths[block.contig] = length + len(block.bases)

    def read_files(self) -> None:
        """Read the intervals of the annotation or the BED that lie on the source's contigs."""
        if self._selection.kind == "soft_masked":
            return
        for location in self._places():
            read = self._features if self._selection.kind == "features" else self._bed
            for contig, start, end in read(location):
                if contig in self.lengths:
                    self._check(location, contig, start, end)
                    self.book.add(contig, start, end)
                else:
                    self.elsewhere.add(contig)

    def taken(self, contig: str) -> Spans:
        """Apply the selection to the intervals of one contig."""
        return self._selection.applied(self.book.spans(contig), self.lengths[contig])

    def _places(self) -> tuple[Location, ...]:
        files = tuple(file.location for file in self._selection.files)
        return files or (self._source.location,)

    def _features(self, location: Location) -> Iterator[tuple[str, int, int]]:
        # Annotation beside the letters is GFF3; a GenBank file carries its own.
        read = read_gff if self._selection.files else read_genbank_features
        with open_location(location) as stream:
            for feature in read(stream, describe(location)):
                self.types.add(feature.type)
                if feature.type in self._selection.features:
                    yield from ((feature.contig, start, end) for start, end in feature.parts)

    def _bed(self, location: Location) -> Iterator[tuple[str, int, int]]:
        with open_location(location) as stream:
            yield from read_bed(stream, describe(location))

    def _check(self, location: Location, contig: str, start: int, end: int) -> None:
        if end > self.lengths[contig]:
            raise DataError(
                f"the interval {contig}:{start}-{end} reaches beyond the end of its contig",
                where=describe(location),
                why=f"{contig} has {self.lengths[contig]:,} bases in {self._source.origin}",
                fix="name sequence and intervals of the same assembly",
            )


def _lower_case(block: Block) -> Spans:
    """Return the runs of lower-case letters of a block, from its first letter on."""
    letters = np.frombuffer(block.bases, np.uint8)
    is_lower = (letters >= ord("a")) & (letters <= ord("z"))
    borders = np.flatnonzero(np.diff(is_lower, prepend=False, append=False))
    return borders.reshape(-1, 2).astype(np.int64)
