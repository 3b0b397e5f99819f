"""Bytes of a plain or gzip stream in bounded chunks; gzip is told by its magic, not its name."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from gfmp.errors import DataError
from gfmp.genome.blocks import BLOCK_BYTES

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW_BITS = 31
# DNA letters deflate about 4-fold and deflate cannot exceed 1,032-fold. The longest run of N in a
# vertebrate assembly is 30 Mbp, so the ratio is only judged beyond twice that.
RATIO_CAP = 100
RATIO_FREE_BYTES = 64 << 20
# zlib hands back a copy of what follows a member, so a file of many tiny members costs the
# square of this.
_INPUT_BYTES = 1 << 14


def chunks(stream: IO[bytes], origin: str) -> Iterator[bytes]:
    """Yield the content of `stream`, at most `BLOCK_BYTES` at a time.

    Raises:
        EOFError: a gzip stream ends early; the message holds the compressed offset.
        zlib.error: a gzip stream is damaged.
        DataError: a gzip stream inflates more than `RATIO_CAP`-fold, or has a foreign tail.
    """
    first = stream.read(min(_INPUT_BYTES, BLOCK_BYTES))
    if first.startswith(_GZIP_MAGIC):
        yield from _Inflater(stream, origin, first).chunks()
        return
    block = first + stream.read(BLOCK_BYTES - len(first))
    while block:
        yield block
        block = stream.read(BLOCK_BYTES)


def check_ratio(num_compressed: int, num_written: int, origin: str) -> None:
    """Refuse a bomb.

    Raises:
        DataError: `num_compressed` bytes inflate to `num_written`, which no sequence does.
    """
    if num_written > max(RATIO_FREE_BYTES, RATIO_CAP * num_compressed):
        raise DataError(
            f"{num_compressed:,} compressed bytes inflate to more than {num_written:,}",
            where=origin,
            why=f"DNA deflates about 4-fold; more than {RATIO_CAP}-fold is a compression bomb",
            fix="if the file is genuine, decompress it and name the plain file",
        )


class _Inflater:
    """Concatenated gzip members, inflated with bounded output per step."""

    def __init__(self, stream: IO[bytes], origin: str, first: bytes) -> None:
        self._stream = stream
        self._origin = origin
        self._input = first
        self._num_read = len(first)
        self._num_written = 0
        self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)

    def chunks(self) -> Iterator[bytes]:
        """Yield the inflated bytes; raises as the module's `chunks` says."""
        while True:
            if self._member.eof and not self._next_member():
                return
            if not self._input:
                self._refill()
            at_end = not self._input
            output = self._member.decompress(self._input, BLOCK_BYTES)
            self._input = self._member.unused_data or self._member.unconsumed_tail
            if output:
                self._num_written += len(output)
                self._check_ratio()
                yield output
            elif at_end and not self._member.eof:
                raise EOFError(f"the gzip stream ends early, after {self._num_read:,} bytes")

    def _refill(self) -> None:
        self._input = self._stream.read(_INPUT_BYTES)
        self._num_read += len(self._input)

    def _next_member(self) -> bool:
        self._input = self._input.lstrip(b"\0")
        while len(self._input) < len(_GZIP_MAGIC):
            more = self._stream.read(_INPUT_BYTES)
            self._num_read += len(more)
            self._input = (self._input + more).lstrip(b"\0")
            if not more:
                break
        if not self._input:
            return False
        if not self._input.startswith(_GZIP_MAGIC):
            raise DataError(
                f"{len(self._input):,} or more bytes that are not gzip follow the gzip stream",
                where=self._origin,
                why="only gzip members and zero padding may follow one another",
                fix="compress the file again",
            )
        self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        return True

    def _check_ratio(self) -> None:
        check_ratio(self._num_read - len(self._input), self._num_written, self._origin)


@contextlib.contextmanager
def damage_reported(origin: str, last_complete: Callable[[], str]) -> Iterator[None]:
    """Turn damage of a compressed stream into an error that names the last complete record.

    Raises:
        DataError: the block met an early end, a broken gzip stream or a broken zip member.
    """
    try:
        yield
    except (EOFError, zlib.error, zipfile.BadZipFile) as fault:
        record = last_complete()
        raise DataError(
            f"the compressed file is damaged: {fault}",
            where=origin,
            why=f"the last complete record is {record!r}" if record else "no record is complete",
            fix="fetch the file again; nothing was published",
        ) from fault
