"""Streaming FASTA: records in bounded blocks, whatever the length of a contig or a line.

Memory: one chunk of 1 MiB, the block cut from it and at most 64 KiB of an unfinished header.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from gfmp.errors import DataError
from gfmp.genome.blocks import Block
from gfmp.genome.inflate import chunks, damage_reported
from gfmp.genome.looks import without_mark, wrong_format
from gfmp.genome.record_names import RecordNames

LONGEST_HEADER_BYTES = 1 << 16
_LAYOUT = b"\r\n \t"


def read_fasta(stream: IO[bytes], origin: str, *, unique: bool = True) -> Iterator[Block]:
    """Yield the letters of every record of a plain or gzip FASTA file, in file order.

    CRLF, a byte order mark, blank lines and a missing final newline change nothing.

    Args:
        stream: Binary, read once from its position to its end.
        origin: Name of the file for messages.
        unique: Refuse a record name twice. Reads may share names, and a hundred million of them
            should not be kept; `Block.record` tells them apart.

    Raises:
        DataError: the file is not FASTA (names what it looks like), is damaged, has an empty
            record, a record name twice or an unusable record name.
    """
    names = RecordNames(origin, unique=unique)
    with damage_reported(origin, lambda: names.last_complete):
        for part in _parts(stream, origin):
            if part.is_header:
                words = part.raw[1:].split(maxsplit=1)
                names.begin(words[0] if words else b"", part.line)
                continue
            place = (origin, part.line, part.column)
            block = Block(names.current, part.raw, _LAYOUT, *place, record=names.count)
            if block.bases:
                names.saw(len(block.bases))
                yield block
        names.end()


@dataclass(frozen=True)
class _Part:
    raw: bytes
    is_header: bool
    line: int
    column: int


class _Cutter:
    """Cuts chunks into header lines and sequence text, and counts lines."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._line = 1
        self._column = 1
        self.rest = b""

    def cut(self, data: bytes, *, is_last: bool) -> Iterator[_Part]:
        """Yield the parts of `data`; an unfinished header stays in `rest`."""
        self.rest = b""
        position = 0
        while position < len(data):
            is_header = self._column == 1 and data.startswith(b">", position)
            end = data.find(b"\n" if is_header else b"\n>", position) + 1
            if is_header and not end and not is_last:
                self._keep(data[position:])
                return
            raw = data[position : end or len(data)]
            yield _Part(raw, is_header, self._line, self._column)
            self._advance(raw)
            position += len(raw)

    def _keep(self, header: bytes) -> None:
        if len(header) > LONGEST_HEADER_BYTES:
            raise DataError(
                f"a header line is longer than {LONGEST_HEADER_BYTES:,} bytes",
                where=f"{self._origin}:{self._line}",
                why="lines end with LF or CRLF; a lone CR does not end a line",
                fix="convert the line ends of the file to LF",
            )
        self.rest = header

    def _advance(self, raw: bytes) -> None:
        newlines = raw.count(b"\n")
        self._line += newlines
        self._column = len(raw) - raw.rfind(b"\n") if newlines else self._column + len(raw)


def _parts(stream: IO[bytes], origin: str) -> Iterator[_Part]:
    cutter = _Cutter(origin)
    content = chunks(stream, origin)
    first = next(content, b"")
    if not without_mark(first).lstrip().startswith(b">"):
        raise wrong_format(first, "FASTA", origin)
    yield from cutter.cut(without_mark(first), is_last=False)
    for chunk in content:
        yield from cutter.cut(cutter.rest + chunk, is_last=False)
    yield from cutter.cut(cutter.rest, is_last=True)
