"""One source on its way to shards: every letter counted, every base accounted for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gfmp.genome.alphabet import AlphabetCounts, byte_histogram, translate
from gfmp.genome.blocks import Block
from gfmp.genome.contigs import ContigEntry, ContigSums, ContigWriter
from gfmp.genome.manifest import Composition, ShardEntry, SplitTotal
from gfmp.genome.pieces import ContigCutter, CutPiece, CutRule
from gfmp.genome.refused import refused_letter
from gfmp.genome.regions import SourceRegions
from gfmp.genome.shards import Row, ShardSeries, ShardWriter
from gfmp.genome.sources import IngestSettings, Source
from gfmp.genome.splits import Split, split_contig
from gfmp.storage.hashes import sha256_bytes

SHARDS_FOLDER = "shards"


@dataclass(frozen=True)
class Booked:
    """What one source gave: classes of its letters, sums of its contigs, shards, split sums."""

    alphabet: AlphabetCounts
    contigs: ContigSums
    shards: tuple[ShardEntry, ...]
    totals: tuple[SplitTotal, ...]


class SourceBook:
    """Takes the blocks of one source and writes its rows.

    The folder that is being filled holds the table of its contigs and `shards/`.
    """

    def __init__(
        self,
        source: Source,
        index: int,
        plan: IngestSettings,
        staging: Path,
        regions: SourceRegions,
    ) -> None:
        self._letters = np.zeros(256, np.int64)
        self._contigs = ContigWriter(staging, index)
        self._source = source
        self._regions = regions
        self._index = index
        self._plan = plan
        self._folder = staging / SHARDS_FOLDER
        self._open: _OpenContig | None = None
        self._splits: dict[Split, _SplitBook] = {}

    def add(self, block: Block) -> None:
        """Take the next block of the source.

        Raises:
            DataError: the block holds a letter that the policy refuses.
        """
        if self._open is None or self._open.name != block.contig:
            self._end_contig()
            self._open = self._begin_contig(block.contig)
        translated = translate(block.bases, self._plan.policy)
        if translated.refused < len(block.bases):
            raise refused_letter(block, translated.refused, self._plan.policy)
        self._letters += translated.histogram
        self._open.letters.update(translated.bases.upper())
        self._keep(self._open, self._open.cutter.feed(translated.bases))

    def end(self) -> Booked:
        """End the last contig, close the files; return what was written."""
        self._end_contig()
        books = [self._splits[split] for split in sorted(self._splits)]
        shards = tuple(entry for book in books for entry in book.writer.close())
        return Booked(
            AlphabetCounts.of_histogram(self._letters),
            self._contigs.close(),
            shards,
            tuple(book.total() for book in books),
        )

    def _begin_contig(self, name: str) -> _OpenContig:
        plan = self._plan
        rule = CutRule(plan.piece_bp, plan.halo_bp, plan.shortest_bp, plan.policy.split_n_run_bp)
        splits = split_contig(name, self._source.valid, self._source.exclude)
        return _OpenContig(name, ContigCutter(self._regions.restrict(name, splits), rule))

    def _end_contig(self) -> None:
        if self._open is not None:
            self._keep(self._open, self._open.cutter.finish())
            self._contigs.add(self._open.entry())
            self._open = None

    def _keep(self, contig: _OpenContig, pieces: Iterable[CutPiece]) -> None:
        for piece in pieces:
            contig.record(piece)
            book = self._split_book(piece.split)
            book.add(contig.name, piece)
            book.writer.write(
                Row(
                    self._source.species,
                    self._source.assembly,
                    contig.name,
                    piece.split,
                    piece.start,
                    piece.bases,
                    piece.halo,
                    piece.sequence,
                )
            )

    def _split_book(self, split: Split) -> _SplitBook:
        if split not in self._splits:
            writer = ShardWriter(ShardSeries(self._folder, split, self._index))
            self._splits[split] = _SplitBook(split, writer)
        return self._splits[split]


class _SplitBook:
    """The rows of one split of one source; contigs arrive one after the other."""

    def __init__(self, split: Split, writer: ShardWriter) -> None:
        self.writer = writer
        self._split: Split = split
        self._newest_contig = ""
        self._rows = self._bases = self._contigs = 0
        self._letters = np.zeros(256, np.int64)

    def add(self, contig: str, piece: CutPiece) -> None:
        """Count a piece of `contig`."""
        self._contigs += contig != self._newest_contig
        self._newest_contig = contig
        self._rows += 1
        self._bases += piece.bases
        self._letters += byte_histogram(memoryview(piece.sequence)[: piece.bases])

    def total(self) -> SplitTotal:
        """Return the sums of all pieces so far."""
        letters = Composition(*(int(self._letters[c] + self._letters[c + 32]) for c in b"ACGTN"))
        return SplitTotal(self._split, self._rows, self._bases, self._contigs, letters)


class _OpenContig:
    """The contig being read: its cutter and its two running digests."""

    def __init__(self, name: str, cutter: ContigCutter) -> None:
        self.name = name
        self.cutter = cutter
        self.letters = hashlib.sha256()
        self._pieces = hashlib.sha256()
        self._num_pieces = 0

    def record(self, piece: CutPiece) -> None:
        """Add a piece to the digest of the contig's pieces."""
        digest = sha256_bytes(piece.sequence)
        line = f"{piece.split}\t{piece.start}\t{piece.bases}\t{piece.halo}\t{digest}\n"
        self._pieces.update(line.encode())
        self._num_pieces += 1

    def entry(self) -> ContigEntry:
        """Close the books of this contig."""
        tally = self.cutter.tally
        return ContigEntry(
            name=self.name,
            length_bp=tally.length,
            train_bp=tally.counts["train"],
            valid_bp=tally.counts["valid"],
            excluded_bp=tally.counts["excluded"],
            gap_bp=tally.counts["gap"],
            short_bp=tally.counts["short"],
            num_pieces=self._num_pieces,
            letters_sha256=self.letters.hexdigest(),
            pieces_sha256=self._pieces.hexdigest(),
            outside_bp=tally.counts["outside"],
        )
