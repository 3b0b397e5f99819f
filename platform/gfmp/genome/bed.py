"""Streaming BED: contig, start and end of every line, 0-based and half-open as they stand there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from gfmp.errors import DataError
from gfmp.genome.annotation import Strand
from gfmp.genome.annotation_lines import numbered_lines
from gfmp.genome.looks import looks_like

_NOT_INTERVALS = ("#", "track", "browser")
_NUM_COLUMNS = 3
_NAME_COLUMN, _STRAND_COLUMN = 3, 5
_STRANDS: dict[str, Strand] = {"+": "+", "-": "-", ".": "+"}
# The tenth column of narrowPeak: bases from start to the summit, -1 where none was called.
_SUMMIT_COLUMN = 9


def read_bed(stream: IO[bytes], origin: str) -> Iterator[tuple[str, int, int]]:
    """Yield (contig, start, end) of every interval of a plain or gzip BED file, in file order.

    Columns beyond the third, comments, `track` and `browser` lines are passed over.

    Raises:
        DataError: the file is not BED or is damaged; the message names `file:line`.
    """
    for number, line in numbered_lines(stream, origin):
        if line.strip() and not line.startswith(_NOT_INTERVALS):
            yield _interval(line, f"{origin}:{number}")


@dataclass(frozen=True)
class Peak:
    """One interval of BED or narrowPeak; coordinates are 0-based and half-open.

    Attributes:
        contig: Name of the record it lies on.
        start: First base.
        end: One past the last base.
        summit: Base of the highest signal; the middle where the file calls none.
    """

    contig: str
    start: int
    end: int
    summit: int


def read_peaks(stream: IO[bytes], origin: str) -> Iterator[Peak]:
    """Yield every peak of a plain or gzip BED or narrowPeak file, in file order.

    Raises:
        DataError: as `read_bed`, or the summit of a narrowPeak line lies outside the peak.
    """
    for number, line in numbered_lines(stream, origin):
        if line.strip() and not line.startswith(_NOT_INTERVALS):
            where = f"{origin}:{number}"
            contig, start, end = _interval(line, where)
            yield Peak(contig, start, end, start + _summit(line, end - start, where))


@dataclass(frozen=True)
class Interval:
    """One line of BED with its name and strand; coordinates are 0-based and half-open.

    Attributes:
        contig: Name of the record it lies on.
        start: First base.
        end: One past the last base.
        name: The fourth column; empty where there is none.
        strand: The sixth column, + or -; + where there is none.
        where: `file:line`.
    """

    contig: str
    start: int
    end: int
    name: str
    strand: Strand
    where: str


def read_intervals(stream: IO[bytes], origin: str) -> Iterator[Interval]:
    """Yield every interval of a plain or gzip BED file with name and strand, in file order.

    Raises:
        DataError: as `read_bed`, or the strand is not +, - or a dot.
    """
    for number, line in numbered_lines(stream, origin):
        if line.strip() and not line.startswith(_NOT_INTERVALS):
            where = f"{origin}:{number}"
            columns = line.split("\t") if "\t" in line else line.split()
            name = columns[_NAME_COLUMN] if len(columns) > _NAME_COLUMN else ""
            strand = columns[_STRAND_COLUMN] if len(columns) > _STRAND_COLUMN else "."
            if strand not in _STRANDS:
                raise _fault(f"the strand is {strand!r}; it is +, - or a dot", where)
            yield Interval(*_interval(line, where), name, _STRANDS[strand], where)


def _summit(line: str, length: int, where: str) -> int:
    columns = line.split("\t") if "\t" in line else line.split()
    if len(columns) != _SUMMIT_COLUMN + 1 or columns[_SUMMIT_COLUMN] == "-1":
        return length // 2
    text = columns[_SUMMIT_COLUMN]
    if not text.isdecimal() or int(text) >= length:
        raise _fault(f"the summit is {text!r}, and the peak has {length:,} bases", where)
    return int(text)


def _interval(line: str, where: str) -> tuple[str, int, int]:
    columns = line.split("\t") if "\t" in line else line.split()
    if len(columns) < _NUM_COLUMNS:
        seen = looks_like(line.encode())
        raise _fault(f"a line has {len(columns)} columns and looks like {seen}", where)
    contig, start, end = columns[:_NUM_COLUMNS]
    if not (start.isdecimal() and end.isdecimal()):
        if contig.isdecimal() and end.isdecimal():
            raise _fault(
                f"start is {start!r}, and the first column is a number", where, _WITHOUT_BIN
            )
        raise _fault(f"start {start!r} or end {end!r} is no number", where)
    if int(start) >= int(end):
        raise _fault(f"start {start} and end {end} hold no base", where)
    return contig, int(start), int(end)


# Tables of the UCSC genome browser (phastConsElements and others) carry a bin before the contig.
_WITHOUT_BIN = "a table of the UCSC browser begins with a bin: cut -f2- makes it BED"


def _fault(message: str, where: str, fix: str = "") -> DataError:
    return DataError(
        message,
        where=where,
        why="BED is contig, start, end, parted by tabs, 0-based and half-open: 0 <= start < end",
        fix=fix or "correct the line, or name a BED file",
    )
