"""Tables as columns of text, each row with the place a person finds it at."""

from __future__ import annotations

import codecs
import contextlib
import csv
import itertools
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.genome.inflate import chunks
from gfmp.genome.looks import looks_like, without_mark
from gfmp.genome.parquet import batch_rows
from gfmp.storage.documents import did_you_mean

LONGEST_LINE_BYTES = 64 << 20
# A column by its position, counted from 1: some public tables have headers nobody describes.
_NUMBERED = re.compile(r"#([1-9]\d{0,5})")
_NOT_TEXT = ("binary", "a PNG image", "a PDF document", "a zip archive", "a Parquet file")


@dataclass(frozen=True)
class Table:
    """Some columns of a table.

    Attributes:
        path: The file.
        columns: Name to the cells of all rows, as text; an empty cell is an empty text.
        places: 1-based line of each row (row number from 1, for Parquet).
    """

    path: Path
    columns: dict[str, list[str]]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def kept(self, rows: NDArray[np.int64]) -> Table:
        """Return the rows at these positions, in this order."""
        places = rows.tolist()
        columns = {name: [cells[i] for i in places] for name, cells in self.columns.items()}
        return Table(self.path, columns, [self.places[i] for i in places])

    def where(self, row: int) -> str:
        """Return `file:line` of a row."""
        return f"{self.path}:{self.places[row]}"


def read_table(path: Path, wanted: Sequence[str], separator: str) -> Table:
    """Read the columns `wanted` of a delimited file with a header line, plain or gzip.

    CRLF, a byte order mark, quoted cells and a missing final newline change nothing. `#2` is the
    second column, unless a column is called so.

    Raises:
        DataError: the file is no such table, is torn, has a ragged row or lacks a column.
    """
    rows = list(table_rows(path, wanted, separator))
    columns = {name: [cells[i] for _, cells in rows] for i, name in enumerate(wanted)}
    return Table(path, columns, [line for line, _ in rows])


def table_rows(
    path: Path, wanted: Sequence[str], separator: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield (1-based line, cells of the columns `wanted`) of every row, in bounded memory.

    Raises:
        DataError: as `read_table`, when the reading comes to it.
    """
    reader = csv.reader(_text_lines(path), delimiter=separator, strict=True)
    try:
        header = next(reader, [])
        picked = [_numbered(header, name, path) for name in wanted]
        for line, row in _checked_rows(reader, lambda: reader.line_num, len(header), path):
            yield line, [row[i] for i in picked]
    except csv.Error as fault:
        raise DataError(
            f"this line is no row of a table: {fault}",
            where=f"{path}:{reader.line_num}",
            why="cells are separated, quoted as in RFC 4180 and at most 131,072 characters",
            fix="correct the line",
        ) from fault


def table_header(path: Path, separator: str) -> tuple[str, ...]:
    """Return the names of the columns of a delimited file with a header line, plain or gzip.

    Raises:
        DataError: the file is no such table.
    """
    try:
        return tuple(next(csv.reader(_text_lines(path), delimiter=separator, strict=True), ()))
    except csv.Error as fault:
        raise DataError(
            f"the first line is no header: {fault}",
            where=f"{path}:1",
            why="the first line names the columns, quoted as in RFC 4180",
            fix="correct the line",
        ) from fault


def separator_of(path: Path) -> str:
    """Return the comma for a name that ends in .csv (.gz), the tab for every other one."""
    return "," if path.name.removesuffix(".gz").endswith(".csv") else "\t"


def read_parquet_table(path: Path, wanted: Sequence[str]) -> Table:
    """Read the columns `wanted` of a Parquet file; numbers become text, null an empty text.

    Raises:
        DataError: the file is not Parquet, is damaged, lacks a column, or a column is nested.
    """
    with _parquet_faults(path), pq.ParquetFile(path, page_checksum_verification=True) as opened:
        for name in wanted:
            _position(opened.schema_arrow.names, name, path)
        table = opened.read(columns=list(dict.fromkeys(wanted)), use_threads=False)
    columns = {name: _as_text(table[name], name, path) for name in wanted}
    return Table(path, columns, range(1, table.num_rows + 1))


def parquet_header(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file.

    Raises:
        DataError: the file is not Parquet.
    """
    with _parquet_faults(path):
        return list(pq.read_schema(path).names)


def parquet_rows(path: Path, wanted: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (1-based row, cells of the columns `wanted` as text), in bounded memory.

    Raises:
        DataError: as `read_parquet_table`, when the reading comes to it.
    """
    row = 0
    with _parquet_faults(path), pq.ParquetFile(path, page_checksum_verification=True) as opened:
        for name in wanted:
            _position(opened.schema_arrow.names, name, path)
        names = list(dict.fromkeys(wanted))
        for batch in opened.iter_batches(batch_rows(opened), columns=names, use_threads=False):
            columns = [_as_text(batch[name], name, path) for name in wanted]
            for cells in zip(*columns, strict=True):
                row += 1
                yield row, list(cells)


@contextlib.contextmanager
def _parquet_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
        raise DataError(
            f"this is not readable Parquet: {str(fault).splitlines()[0]}",
            where=str(path),
            why="the file is declared as Parquet",
            fix="fetch the file again, or name its format",
        ) from fault


def _numbered(header: Sequence[str], name: str, path: Path) -> int:
    number = _NUMBERED.fullmatch(name)
    if number is None or name in header:
        return _position(header, name, path)
    if int(number[1]) > len(header):
        raise DataError(
            f"there is no column {name}",
            where=f"{path}:1",
            why=f"the header has {len(header)} columns",
            fix="name the right columns, or the right format",
        )
    return int(number[1]) - 1


def _position(header: Sequence[str], name: str, path: Path) -> int:
    if name in header:
        return list(header).index(name)
    raise DataError(
        f"there is no column {name!r}",
        where=f"{path}:1",
        why=f"the columns are {', '.join(repr(h[:40]) for h in header[:20]) or 'none'}",
        fix=did_you_mean(name, header) or "name the right columns, or the right format",
    )


def _checked_rows(
    reader: Iterator[list[str]], line_num: Callable[[], int], width: int, path: Path
) -> Iterator[tuple[int, list[str]]]:
    line = line_num() + 1
    for row in reader:
        if len(row) == width:
            yield line, row
        elif row:
            raise DataError(
                f"this row has {len(row)} cells, the header has {width}",
                where=f"{path}:{line}",
                why="every row has one cell for each column",
                fix="correct the row; a cell that holds the separator is quoted",
            )
        line = line_num() + 1


def _text_lines(path: Path) -> Iterator[str]:
    number = 0
    try:
        with path.open("rb") as stream:
            for line in _lines(chunks(stream, str(path)), path):
                number += 1
                yield line.decode("utf-8")
    except (EOFError, zlib.error) as fault:
        raise DataError(
            f"the compressed file is damaged: {fault}",
            where=str(path),
            why=f"its last complete line is {number:,}",
            fix="fetch the file again; nothing was stored",
        ) from fault
    except UnicodeDecodeError as fault:
        raise DataError(
            f"byte 0x{fault.object[fault.start]:02x} is not UTF-8 text",
            where=f"{path}:{number}:{fault.start + 1}",
            why="tables are text in UTF-8",
            fix="convert the file, or name the right one",
        ) from fault


def _lines(content: Iterator[bytes], path: Path) -> Iterator[bytes]:
    first = next(content, b"")
    seen = looks_like(first[:4096])
    if seen in _NOT_TEXT or not first.strip() or first.startswith(codecs.BOM_UTF16_LE):
        raise DataError(
            f"this is no table: it looks like {seen}" if first else "the file is empty",
            where=f"{path}:1",
            why="the source of the task is declared as a table of text, plain or gzip",
            fix="name the right file, or correct source.format",
        )
    rest = b""
    for chunk in itertools.chain((without_mark(first),), content):
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > LONGEST_LINE_BYTES:
            raise DataError(
                f"a line is longer than {LONGEST_LINE_BYTES:,} bytes",
                where=str(path),
                why="lines end with LF or CRLF",
                fix="convert the line ends of the file to LF",
            )
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def _as_text(column: pa.ChunkedArray, name: str, path: Path) -> list[str]:
    try:
        values = column.to_pylist()
    except (pa.ArrowException, UnicodeDecodeError) as fault:
        raise _no_text(name, path, str(fault).splitlines()[0]) from fault
    kinds = pa.types
    if kinds.is_binary(column.type) or kinds.is_large_binary(column.type):
        return [(v or b"").decode("latin-1") for v in values]
    if kinds.is_nested(column.type):
        raise _no_text(name, path, f"it holds {column.type}")
    if kinds.is_floating(column.type):
        return ["" if v is None else str(int(v)) if v.is_integer() else repr(v) for v in values]
    if kinds.is_boolean(column.type):
        return ["" if v is None else str(int(v)) for v in values]
    return ["" if v is None else str(v) for v in values]


def _no_text(name: str, path: Path, why: str) -> DataError:
    return DataError(
        f"column {name!r} cannot be read",
        where=str(path),
        why=why,
        fix="columns hold text or numbers",
    )
