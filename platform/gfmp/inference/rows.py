"""The rows a model is asked about, cut out of records that stream by; memory does not grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gfmp.errors import DataError
from gfmp.genome.annotation import Strand
from gfmp.tasks.strands import other_strand


@dataclass(frozen=True)
class Row:
    """One sequence as a model reads it.

    Attributes:
        name: Of the record it was cut from.
        start: First base in that record, 0-based.
        end: One past its last base.
        strand: The strand that is read.
        sequence: Upper-case A, C, G, T, N, on that strand.
        where: Place of the record in its file.
    """

    name: str
    start: int
    end: int
    strand: Strand
    sequence: bytes
    where: str


@dataclass(frozen=True)
class Record:
    """One sequence of a file on its way from it.

    Attributes:
        name: Its name.
        where: Its place in the file.
        blocks: Its upper-case letters, piece by piece, on the + strand.
        start: Where the letters begin in what `name` names, 0-based.
        strand: The strand that is asked for.
    """

    name: str
    where: str
    blocks: Iterable[bytes]
    start: int = 0
    strand: Strand = "+"


@dataclass(frozen=True)
class Cut:
    """How records become rows.

    Attributes:
        window_bp: Bases of a window; 0 takes records whole.
        step_bp: Bases from the start of a window to that of the next, at most `window_bp`.
        shortest_bp: Rows of fewer bases cannot be read.
        longest_bp: Rows of more bases are refused.
    """

    window_bp: int
    step_bp: int
    shortest_bp: int
    longest_bp: int

    def rows(self, record: Record) -> Iterator[Row]:
        """Yield the rows of a record, from its start to its end.

        Windows cover every base: the last one ends with the record and is as long as the others
        where the record is.

        Raises:
            DataError: a row is too short or too long.
        """
        for start, letters in self._windows(record):
            if len(letters) < self.shortest_bp:
                raise self._fault(record, f"has {len(letters):,} bases", self._short())
            read = letters if record.strand != "-" else other_strand(letters)
            span = (record.start + start, record.start + start + len(letters))
            yield Row(record.name, *span, record.strand, read, record.where)

    def _windows(self, record: Record) -> Iterator[tuple[int, bytes]]:
        """Yield start in the record and letters of each window."""
        held, first, start, covered = bytearray(), 0, 0, 0
        size = self.window_bp or self.longest_bp
        for block in record.blocks:
            held += block
            if not self.window_bp and len(held) > size:
                raise self._fault(record, f"has more than {size:,} bases", self._long())
            while self.window_bp and start + size <= first + len(held):
                yield start, bytes(held[start - first : start - first + size])
                start, covered = start + self.step_bp, start + size
            # What the next window needs, or the last one if the record ends here.
            unneeded = min(start, first + len(held) - size) - first
            if unneeded > 0:
                del held[:unneeded]
                first += unneeded
        total = first + len(held)
        if covered < total or not total:
            start = max(0, total - size)
            yield start, bytes(held[start - first :])

    def _short(self) -> tuple[str, str]:
        why = f"the vocabulary of the model encodes at least {self.shortest_bp} bases"
        return why, "remove such sequences, or name a model with shorter words"

    def _long(self) -> tuple[str, str]:
        why = "the memory of attention grows with the square of the length"
        return why, "cut windows with --window-bp 512, or raise --longest-bp"

    def _fault(self, record: Record, what: str, rule: tuple[str, str]) -> DataError:
        why, fix = rule
        return DataError(
            f"the sequence {record.name[:80]!r} {what}", where=record.where, why=why, fix=fix
        )


@dataclass(frozen=True)
class Stretch:
    """Rows that are answered and committed together.

    Attributes:
        number: Counted from 0.
        first: Number of its first row in the file.
        rows: Its rows, never none.
    """

    number: int
    first: int
    rows: Sequence[Row]

    @property
    def end(self) -> int:
        """One past the number of its last row."""
        return self.first + len(self.rows)


@dataclass(frozen=True)
class StretchSize:
    """Where a stretch ends: with the row that reaches one of these.

    Attributes:
        rows: Rows.
        bases: Bases of all its rows.
    """

    rows: int
    bases: int


def stretches(rows: Iterable[Row], size: StretchSize) -> Iterator[Stretch]:
    """Yield rows in stretches, a function of the rows alone: a second reading cuts the same."""
    held: list[Row] = []
    number = first = bases = 0
    for row in rows:
        held.append(row)
        bases += len(row.sequence)
        if len(held) >= size.rows or bases >= size.bases:
            yield Stretch(number, first, held)
            number, first, bases, held = number + 1, first + len(held), 0, []
    if held:
        yield Stretch(number, first, held)
