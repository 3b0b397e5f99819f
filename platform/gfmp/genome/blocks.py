"""A stretch of letters on its way from a file, which still knows its line and column."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

# Readers never hold more than a few of these, however long a contig or a line is.
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Block:
    """Consecutive letters of one contig; the blocks of a contig follow one another.

    Attributes:
        contig: Record name, unique in its file.
        raw: The text as it stands in the file.
        ignored: Characters of `raw` that are layout and not letters.
        origin: The file, for messages.
        line: 1-based line of `raw[0]` (row, for Parquet).
        column: 1-based column of `raw[0]`.
        record: Number of its record in the file, from 1; 0 where readers do not count.
    """

    contig: str
    raw: bytes
    ignored: bytes
    origin: str
    line: int
    column: int
    record: int = 0

    @functools.cached_property
    def bases(self) -> bytes:
        """The letters without layout, at most `BLOCK_BYTES` and a line of them."""
        return self.raw.translate(None, self.ignored)

    def locate(self, index: int) -> str:
        """Return `origin:line:column` of the letter at `index` of `bases`."""
        is_letter = ~np.isin(
            np.frombuffer(self.raw, np.uint8), np.frombuffer(self.ignored, np.uint8)
        )
        offset = int(np.flatnonzero(is_letter)[index])
        before = self.raw[:offset]
        newlines = before.count(b"\n")
        column = offset - before.rfind(b"\n") if newlines else self.column + offset
        return f"{self.origin}:{self.line + newlines}:{column}"
