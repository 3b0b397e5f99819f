"""An existing Parquet data set as a source of sequences: one row is one contig."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gfmp.errors import DataError, Problem
from gfmp.genome.blocks import BLOCK_BYTES, Block
from gfmp.genome.record_names import RecordNames

_LARGEST_BATCH_ROWS = 8192


@dataclass(frozen=True)
class Columns:
    """The columns to read.

    Attributes:
        sequence: Name of the column with the letters.
        contig: Name of the column with record names; empty names rows `file:row` from 0.
    """

    sequence: str
    contig: str = ""


def read_parquet(path: Path, columns: Columns) -> Iterator[Block]:
    """Yield the letters of every row of a Parquet file, or of all of a folder in name order.

    Raises:
        DataError: a file is not Parquet or damaged, lacks a column, or holds an empty cell or
            a name twice; a symbolic link lies in the folder.
    """
    is_folder = path.is_dir()
    files = _files(path) if is_folder else [path]
    names = RecordNames(str(path))
    for file in files:
        label = file.relative_to(path).as_posix() if is_folder else file.name
        try:
            yield from _read_file(file, label, columns, names)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
            raise _fault(
                f"this is not readable Parquet: {str(fault).splitlines()[0]}",
                str(file),
                "the source is declared as Parquet",
            ) from fault


def _files(folder: Path) -> list[Path]:
    """List the Parquet files of a folder; a link in it could give rows twice, or rows of others."""
    if links := [p for p in sorted(folder.rglob("*")) if p.is_symlink()]:
        raise DataError.of([_link(link) for link in links])
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise _fault("the folder holds no *.parquet file", str(folder), "a data set has files")
    return files


def _link(link: Path) -> Problem:
    return Problem(
        f"a symbolic link to {link.readlink()} lies in a folder that is a source",
        where=str(link),
        why="its rows would count twice, or come from outside the folder",
        fix="remove the link, or name the file itself as a source of its own",
    )


def _read_file(file: Path, label: str, columns: Columns, names: RecordNames) -> Iterator[Block]:
    # Pages are checked where the writer of the file gave them checksums.
    opened = pq.ParquetFile(file, page_checksum_verification=True)
    wanted = [columns.sequence, *([columns.contig] if columns.contig else [])]
    for column in wanted:
        _check_column(opened.schema_arrow, column, str(file))
    row = 0
    for batch in opened.iter_batches(batch_rows(opened), columns=wanted, use_threads=False):
        letters = batch.column(0).cast(pa.large_binary())
        labels = batch.column(1).cast(pa.large_binary()) if columns.contig else None
        for i in range(batch.num_rows):
            name = labels[i].as_py() if labels is not None else f"{label}:{row}".encode()
            names.begin(name or b"", row + 1)
            yield from _row_blocks(
                Block(names.current, letters[i].as_py() or b"", b"", str(file), row + 1, 1), names
            )
            row += 1
    names.end()


def _row_blocks(whole: Block, names: RecordNames) -> Iterator[Block]:
    names.saw(len(whole.raw))
    for start in range(0, len(whole.raw), BLOCK_BYTES):
        raw = whole.raw[start : start + BLOCK_BYTES]
        yield Block(whole.contig, raw, b"", whole.origin, whole.line, start + 1)


def batch_rows(opened: pq.ParquetFile) -> int:
    """Return rows per batch so that a batch stays near 8 blocks, whatever a row weighs."""
    rows = max(1, opened.metadata.num_rows)
    total = sum(opened.metadata.row_group(i).total_byte_size for i in range(opened.num_row_groups))
    return max(1, min(_LARGEST_BATCH_ROWS, 8 * BLOCK_BYTES * rows // max(1, total)))


def _check_column(schema: pa.Schema, column: str, origin: str) -> None:
    if column not in schema.names:
        raise _fault(
            f"there is no column {column!r}",
            origin,
            f"the columns are {', '.join(schema.names) or 'none'}",
        )
    kind = schema.field(column).type
    if kind not in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary()):
        raise _fault(f"column {column!r} holds {kind}", origin, "sequences and names are text")


def _fault(message: str, origin: str, why: str) -> DataError:
    return DataError(
        message,
        where=origin,
        why=why,
        fix="name the right file and columns (sequence_column, contig_column) in the corpus spec",
    )
