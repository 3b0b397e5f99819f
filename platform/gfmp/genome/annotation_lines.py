"""Lines of a plain or gzip annotation file, numbered, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from gfmp.errors import DataError
from gfmp.genome.inflate import chunks, damage_reported
from gfmp.genome.looks import looks_like, without_mark

LONGEST_LINE_BYTES = 1 << 20


def numbered_lines(stream: IO[bytes], origin: str) -> Iterator[tuple[int, str]]:
    """Yield (1-based number, text without line end) of every line.

    Raises:
        DataError: the compressed stream is damaged, a line is not UTF-8 or absurdly long.
    """
    number = 0
    rest = b""
    with damage_reported(origin, lambda: f"line {number}" if number else ""):
        for chunk in chunks(stream, origin):
            *whole, rest = (rest + (chunk if number or rest else without_mark(chunk))).split(b"\n")
            for line in whole:
                number += 1
                yield number, _text(line, origin, number)
            if len(rest) > LONGEST_LINE_BYTES:
                raise _fault(
                    f"a line is longer than {LONGEST_LINE_BYTES:,} bytes", origin, number + 1
                )
        if rest:
            yield number + 1, _text(rest, origin, number + 1)


def not_this_format(line: str, wanted: str, origin: str) -> DataError:
    """Build the error for an annotation file whose first line is not that of `wanted`."""
    return DataError(
        f"this is not {wanted}: it looks like {looks_like(line.encode())}",
        where=f"{origin}:1",
        why="GFF3 begins with ##gff-version 3, GenBank with LOCUS",
        fix="name the right file in the task spec",
    )


def _text(line: bytes, origin: str, number: int) -> str:
    try:
        return line.rstrip(b"\r").decode()
    except UnicodeDecodeError as fault:
        raise _fault(f"a line is not UTF-8 text: {fault.reason}", origin, number) from fault


def _fault(message: str, origin: str, number: int) -> DataError:
    return DataError(
        message,
        where=f"{origin}:{number}",
        why="annotation is UTF-8 text in lines ended by LF or CRLF",
        fix="fetch the file again, or convert it",
    )
