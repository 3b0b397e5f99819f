"""The Parquet shards of a corpus: one schema, checksummed pages, row groups of 2 to 4 MB.

Every tool that reads Parquet reads them: one row is one piece, its `sequence` is plain text.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gfmp.genome.manifest import RowGroupEntry, ShardEntry
from gfmp.genome.splits import Split
from gfmp.storage.atomic import storage_faults
from gfmp.storage.hashes import sha256_file

SHARD_SCHEMA = pa.schema(
    [
        pa.field("species", pa.string(), nullable=False),
        pa.field("assembly", pa.string(), nullable=False),
        pa.field("contig", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("bases", pa.int32(), nullable=False),
        pa.field("halo", pa.int32(), nullable=False),
        pa.field("sequence", pa.string(), nullable=False),
    ]
)
ROW_GROUP_BP = 2_000_000
SHARD_BP = 128_000_000
_NAMES = ("species", "assembly", "contig", "split")
_TAIL = struct.Struct("<I4s")
_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Row:
    """One row of a shard, fields as in `SHARD_SCHEMA`; `sequence` is core then halo."""

    species: str
    assembly: str
    contig: str
    split: Split
    start: int
    bases: int
    halo: int
    sequence: bytes


def rows_crc32(rows: list[Row]) -> int:
    """Return a CRC-32 over every field of `rows`, so that no damage can pass as data."""
    running = 0
    for row in rows:
        names = (row.species, row.assembly, row.contig, row.split)
        head = "\t".join((*names, str(row.start), str(row.bases), str(row.halo), ""))
        running = zlib.crc32(row.sequence, zlib.crc32(head.encode(), running))
    return running


def footer_crc32(path: Path) -> int:
    """Return the CRC-32 of the Parquet footer (schema, row groups, offsets).

    Raises:
        ValueError: the file does not end like Parquet.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        handle.seek(max(0, size - _TAIL.size))
        tail = handle.read(_TAIL.size)
        length, magic = _TAIL.unpack(tail) if len(tail) == _TAIL.size else (0, b"")
        if magic != _MAGIC or not 0 < length < size - 2 * len(_MAGIC):
            raise ValueError("the file does not end like Parquet")
        handle.seek(size - _TAIL.size - length)
        return zlib.crc32(handle.read(length))


@dataclass(frozen=True)
class ShardSeries:
    """Where one (source, split) writes: `<folder>/<split>-<source>-<part>.parquet`.

    Attributes:
        folder: Existing folder.
        split: The only split in these shards.
        source: Index of the source in the corpus.
        row_group_bp: A row group closes at this many bases of sequence.
        shard_bp: A shard closes at this many bases of sequence.
    """

    folder: Path
    split: Split
    source: int
    row_group_bp: int = ROW_GROUP_BP
    shard_bp: int = SHARD_BP

    def path(self, part: int) -> Path:
        """Path of the `part`-th shard, from 0."""
        return self.folder / f"{self.split}-{self.source:04d}-{part:03d}.parquet"


@dataclass
class ShardWriter:
    """Writes the rows of one series in the order given; holds at most one row group."""

    series: ShardSeries
    _entries: list[ShardEntry] = field(default_factory=list)
    _rows: list[Row] = field(default_factory=list)
    _rows_bp: int = 0
    _groups: list[RowGroupEntry] = field(default_factory=list)
    _writer: pq.ParquetWriter | None = None

    def write(self, row: Row) -> None:
        """Append one row."""
        self._rows.append(row)
        self._rows_bp += len(row.sequence)
        if self._rows_bp >= self.series.row_group_bp:
            self._close_group()
            if sum(group.sequence_bp for group in self._groups) >= self.series.shard_bp:
                self._close_shard()

    def close(self) -> tuple[ShardEntry, ...]:
        """Write what is held and return the entries of all shards, in order."""
        if self._rows:
            self._close_group()
        if self._groups:
            self._close_shard()
        return tuple(self._entries)

    def _close_group(self) -> None:
        path = self.series.path(len(self._entries))
        if self._writer is None:
            self._writer = _open_writer(path)
        with storage_faults(path):
            self._writer.write_table(_table(self._rows), row_group_size=len(self._rows))
        self._groups.append(
            RowGroupEntry(
                rows=len(self._rows),
                bases=sum(row.bases for row in self._rows),
                sequence_bp=self._rows_bp,
                crc32=rows_crc32(self._rows),
            )
        )
        self._rows, self._rows_bp = [], 0

    def _close_shard(self) -> None:
        assert self._writer is not None, "a shard with row groups has a writer"
        path = self.series.path(len(self._entries))
        with storage_faults(path):
            self._writer.close()
        self._entries.append(
            ShardEntry(
                path=f"{path.parent.name}/{path.name}",
                split=self.series.split,
                source=self.series.source,
                bytes=path.stat().st_size,
                rows=sum(group.rows for group in self._groups),
                sha256=sha256_file(path),
                footer_crc32=footer_crc32(path),
                row_groups=tuple(self._groups),
            )
        )
        self._writer, self._groups = None, []


def _open_writer(path: Path) -> pq.ParquetWriter:
    # Min/max of a sequence column would copy whole sequences into page headers and footers.
    with storage_faults(path):
        return pq.ParquetWriter(
            path,
            SHARD_SCHEMA,
            compression="zstd",
            use_dictionary=list(_NAMES),
            write_statistics=[name for name in SHARD_SCHEMA.names if name != "sequence"],
            write_page_checksum=True,
        )


def _table(rows: list[Row]) -> pa.Table:
    columns = {name: [vars(row)[name] for row in rows] for name in SHARD_SCHEMA.names}
    return pa.table(columns, schema=SHARD_SCHEMA)


def read_rows(path: Path, group: int) -> list[Row]:
    """Read one row group, verifying page checksums.

    Raises:
        ValueError: the shard cannot be read, is damaged or has another schema.
    """
    try:
        return _read_rows(path, group)
    except (pa.ArrowException, OSError, OverflowError, MemoryError) as fault:
        raise ValueError((str(fault).splitlines() or [type(fault).__name__])[0]) from fault


def _read_rows(path: Path, group: int) -> list[Row]:
    with pq.ParquetFile(path, page_checksum_verification=True) as shard:
        if not shard.schema_arrow.equals(SHARD_SCHEMA):
            raise ValueError(f"its columns are {shard.schema_arrow.names}")
        table = shard.read_row_group(group, use_threads=False)
    table = table.set_column(
        table.schema.get_field_index("sequence"),
        "sequence",
        table.column("sequence").cast(pa.binary()),
    )
    columns = (table.column(name).to_pylist() for name in SHARD_SCHEMA.names)
    return [Row(*values) for values in zip(*columns, strict=True)]
