"""Streaming GenBank flat files: the ORIGIN sequence of every record, in bounded blocks.

A record is named by its VERSION, else its ACCESSION, else its LOCUS name. The length that the
LOCUS line states is compared with the letters found.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import IO

from gfmp.errors import DataError
from gfmp.genome.blocks import Block
from gfmp.genome.inflate import chunks, damage_reported
from gfmp.genome.looks import without_mark, wrong_format
from gfmp.genome.record_names import RecordNames

LONGEST_LINE_BYTES = 1 << 16
_LAYOUT = b"0123456789\r\n \t"
_KEYWORD = re.compile(rb"^(LOCUS|ACCESSION|VERSION|ORIGIN|//)(?:[ \t]+([^\r\n]*))?", re.MULTILINE)
_NAMING = (b"VERSION", b"ACCESSION", b"LOCUS")
_LENGTH = re.compile(rb"\s(\d+)\s+(bp|aa)\b")


def read_genbank(stream: IO[bytes], origin: str) -> Iterator[Block]:
    """Yield the letters of every record of a plain or gzip GenBank file, in file order.

    Args:
        stream: Binary, read once from its position to its end.
        origin: Name of the file for messages.

    Raises:
        DataError: the file is not GenBank, is damaged or cut, holds proteins, or has an empty
            record or a record name twice.
    """
    reader = _Reader(origin)
    with damage_reported(origin, lambda: reader.names.last_complete):
        for lines in _whole_lines(stream, origin):
            yield from reader.read(lines)
        reader.finish()


class _Reader:
    """Follows the keywords of a flat file; only text between ORIGIN and // is sequence."""

    def __init__(self, origin: str) -> None:
        self.names = RecordNames(origin)
        self._origin = origin
        self._line = 1
        self._record_line = 1
        self._in_sequence = False
        self._num_letters = 0
        self._head: dict[bytes, bytes] = {}

    def read(self, lines: bytes) -> Iterator[Block]:
        """Yield the letters in `lines`, which hold whole lines only."""
        position = 0
        for match in _KEYWORD.finditer(lines):
            yield from self._pass(lines[position : match.start()])
            position = match.start()
            self._keyword(match[1], match[2] or b"")
            end_of_line = lines.find(b"\n", position) + 1 or len(lines)
            self._line += lines.count(b"\n", position, end_of_line)
            position = end_of_line
        yield from self._pass(lines[position:])

    def finish(self) -> None:
        """End the file.

        Raises:
            DataError: the last record lacks its `//`, or there is none.
        """
        if self._head:
            raise self._fault("the last record does not end with //", "the file was cut")
        if not self.names.last_complete:
            raise self._fault("the file holds no record", "LOCUS stands in the first column")

    def _pass(self, text: bytes) -> Iterator[Block]:
        if self._in_sequence and text:
            block = Block(self.names.current, text, _LAYOUT, self._origin, self._line, 1)
            self._num_letters += len(block.bases)
            if block.bases:
                yield block
        self._line += text.count(b"\n")

    def _keyword(self, keyword: bytes, value: bytes) -> None:
        if keyword == b"//":
            self._end_record()
        elif self._in_sequence:
            raise self._fault(
                f"the sequence of {self.names.current!r} does not end with //",
                f"line {self._line} is {keyword.decode()}",
            )
        elif keyword == b"ORIGIN":
            self._begin_sequence()
        else:
            self._record_line = self._line if keyword == b"LOCUS" else self._record_line
            self._head.setdefault(keyword, value)

    def _begin_sequence(self) -> None:
        words = next((self._head[k].split() for k in _NAMING if self._head.get(k)), [b""])
        self.names.begin(words[0], self._record_line)
        length = _LENGTH.search(self._head.get(b"LOCUS", b""))
        if length and length[2] == b"aa":
            raise self._fault("the record is a protein", "a corpus holds DNA")
        self._in_sequence, self._num_letters = True, 0

    def _end_record(self) -> None:
        if not self._in_sequence:
            raise self._fault(
                "the record has no ORIGIN sequence",
                "a record with only a CONTIG line refers to sequence stored elsewhere",
            )
        self.names.saw(self._num_letters)
        length = _LENGTH.search(self._head.get(b"LOCUS", b""))
        if length and int(length[1]) != self._num_letters:
            raise self._fault(
                f"record {self.names.current!r} holds {self._num_letters:,} letters",
                f"its LOCUS line promises {int(length[1]):,}",
            )
        self.names.end()
        self._head, self._in_sequence = {}, False

    def _fault(self, message: str, why: str) -> DataError:
        return DataError(
            message,
            where=f"{self._origin}:{self._record_line}",
            why=why,
            fix="fetch the file again, with sequence (NCBI: format 'GenBank (full)')",
        )


def _whole_lines(stream: IO[bytes], origin: str) -> Iterator[bytes]:
    content = chunks(stream, origin)
    first = without_mark(next(content, b""))
    if not first.lstrip().startswith(b"LOCUS"):
        raise wrong_format(first, "GenBank", origin)
    rest = b""
    for chunk in itertools.chain([first], content):
        data = rest + chunk
        end = data.rfind(b"\n") + 1
        yield data[:end]
        rest = _unfinished(data[end:], origin)
    yield rest


def _unfinished(line: bytes, origin: str) -> bytes:
    if len(line) > LONGEST_LINE_BYTES:
        raise DataError(
            f"a line is longer than {LONGEST_LINE_BYTES:,} bytes",
            where=origin,
            why="GenBank lines hold 80 characters, ended by LF or CRLF",
            fix="convert the line ends of the file to LF",
        )
    return line
