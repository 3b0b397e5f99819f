"""The contigs of a corpus: one Parquet table beside its manifest, for two contigs or two million.

Each source writes a part while it is read; the parts are joined in the order of the sources and
then removed. Nothing here holds more than one batch of entries, or the columns asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gfmp.errors import CorruptArtefactError
from gfmp.genome.frozen_json import OPTIONAL
from gfmp.storage.atomic import storage_faults
from gfmp.storage.hashes import sha256_file

CONTIGS_NAME = "contigs.parquet"
_PARTS = "contigs"
_BATCH_ROWS = 65_536
_COUNTS = (
    "length_bp",
    "train_bp",
    "valid_bp",
    "excluded_bp",
    "gap_bp",
    "short_bp",
    "num_pieces",
    "outside_bp",
)
_DIGESTS = ("letters_sha256", "pieces_sha256")
_SCHEMA = pa.schema(
    [
        pa.field("source", pa.int32(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in _COUNTS),
        *(pa.field(name, pa.binary(), nullable=False) for name in _DIGESTS),
    ]
)


@dataclass(frozen=True)
class ContigEntry:
    """Where the bases of one contig went: its `_bp` parts add up to `length_bp`.

    Attributes:
        name: Record name in the source file.
        length_bp: Letters in the file.
        train_bp: Bases in cores of the train split.
        valid_bp: Bases in cores of the valid split.
        excluded_bp: Bases in excluded regions.
        gap_bp: N in runs long enough to end a piece.
        short_bp: Bases in pieces that were too short to keep.
        num_pieces: Rows it gave.
        letters_sha256: Digest of all its letters in upper case.
        pieces_sha256: Digest of its piece records, in order.
        outside_bp: Bases outside the regions that the source is restricted to.
    """

    name: str
    length_bp: int
    train_bp: int
    valid_bp: int
    excluded_bp: int
    gap_bp: int
    short_bp: int
    num_pieces: int
    letters_sha256: str
    pieces_sha256: str
    outside_bp: int = field(default=0, metadata=OPTIONAL)


@dataclass(frozen=True)
class ContigSums:
    """The contigs of one source added up; fields as in `ContigEntry`, `number` counts contigs."""

    number: int = 0
    length_bp: int = 0
    train_bp: int = 0
    valid_bp: int = 0
    excluded_bp: int = 0
    gap_bp: int = 0
    short_bp: int = 0
    num_pieces: int = 0
    outside_bp: int = field(default=0, metadata=OPTIONAL)

    @classmethod
    def of(cls, entries: Iterable[ContigEntry]) -> ContigSums:
        """Add up entries."""
        sums = dict.fromkeys(vars(cls()), 0)
        for entry in entries:
            sums["number"] += 1
            for name in _COUNTS:
                sums[name] += vars(entry)[name]
        return cls(**sums)


@dataclass(frozen=True)
class ContigsEntry:
    """The file with the contigs of all sources: path in the corpus, size, rows, digest."""

    path: str
    bytes: int
    rows: int
    sha256: str


class ContigWriter:
    """Writes the contigs of one source in the order given; holds at most one batch.

    Attributes:
        sums: What was added so far.
    """

    def __init__(self, staging: Path, source: int) -> None:
        self._path = _part(staging, source)
        self._source = source
        self._held: list[ContigEntry] = []
        self._sums: list[ContigSums] = []
        with storage_faults(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _open_writer(self._path)

    def add(self, entry: ContigEntry) -> None:
        """Append one contig."""
        self._held.append(entry)
        if len(self._held) == _BATCH_ROWS:
            self._flush()

    def close(self) -> ContigSums:
        """Write what is held; return the sums of all."""
        self._flush()
        with storage_faults(self._path):
            self._writer.close()
        return ContigSums(*(sum(column) for column in zip(*map(astuple, self._sums), strict=True)))

    def _flush(self) -> None:
        with storage_faults(self._path):
            self._writer.write_table(_table(self._source, self._held))
        self._sums.append(ContigSums.of(self._held))
        self._held = []


def _batches(part: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(part, page_checksum_verification=True) as opened:
        yield from opened.iter_batches(_BATCH_ROWS, use_threads=False)


def join_contigs(staging: Path, num_sources: int) -> ContigsEntry:
    """Join the parts of all sources into one table, in their order, and remove the parts."""
    path = staging / CONTIGS_NAME
    rows = 0
    with storage_faults(path), _open_writer(path) as writer:
        for source in range(num_sources):
            part = _part(staging, source)
            for batch in _batches(part):
                writer.write_batch(batch)
                rows += batch.num_rows
            part.unlink()
        (staging / _PARTS).rmdir()
    return ContigsEntry(path.name, path.stat().st_size, rows, sha256_file(path))


@dataclass(frozen=True)
class ContigTable:
    """The contigs of a corpus, or of one that is being built.

    Attributes:
        path: The joined table.
    """

    path: Path

    def entries(self) -> Iterator[tuple[int, ContigEntry]]:
        """Yield source index and entry of every contig, in the order of the sources.

        Raises:
            CorruptArtefactError: the table is damaged.
        """
        names = [f.name for f in fields(ContigEntry)]
        with _reading(self.path) as opened:
            for batch in opened.iter_batches(_BATCH_ROWS, use_threads=False):
                for row in batch.to_pylist():
                    row |= {name: row[name].hex() for name in _DIGESTS}
                    yield row["source"], ContigEntry(*(row[name] for name in names))

    def columns(self, *names: str) -> pa.Table:
        """Return some columns of all contigs, in the order of the sources.

        Raises:
            CorruptArtefactError: the table is damaged.
        """
        with _reading(self.path) as opened:
            return opened.read(columns=list(names), use_threads=False)

    def names(self, sources: Sequence[int]) -> list[str]:
        """Return the names of the contigs of some sources, in order."""
        table = self.columns("source", "name")
        mine = pc.is_in(table.column("source"), value_set=pa.array(sources, pa.int32()))
        found: list[str] = table.filter(mine).column("name").to_pylist()
        return found


def repeated(table: pa.Table, *keys: str) -> pa.Table:
    """Return the rows of `table` whose `keys` occur more than once, in their order."""
    table = table.append_column("row", pa.array(np.arange(table.num_rows)))
    counted = table.group_by(list(keys)).aggregate([([], "count_all")])
    several = counted.filter(pc.greater(counted.column("count_all"), 1)).select(list(keys))
    if not several.num_rows:
        return table.slice(0, 0)
    return table.join(several, list(keys), join_type="left semi").sort_by("row")


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as opened:
            yield opened
    except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
        raise CorruptArtefactError(
            f"the contigs cannot be read: {(str(fault).splitlines() or ['damaged'])[0]}",
            where=str(path),
            why="a published corpus never changes, so something else touched it",
            fix="restore the corpus from a copy, or remove its folder and build it again",
        ) from fault


def _part(staging: Path, source: int) -> Path:
    return staging / _PARTS / f"{source:04d}.parquet"


def _open_writer(path: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        _SCHEMA,
        compression="zstd",
        use_dictionary=["source"],
        write_statistics=False,
        write_page_checksum=True,
    )


def _table(source: int, entries: Sequence[ContigEntry]) -> pa.Table:
    columns: dict[str, list[object]] = {
        name: [vars(entry)[name] for entry in entries] for name in ("name", *_COUNTS)
    }
    for name in _DIGESTS:
        columns[name] = [bytes.fromhex(vars(entry)[name]) for entry in entries]
    return pa.table({"source": [source] * len(entries), **columns}, schema=_SCHEMA)
