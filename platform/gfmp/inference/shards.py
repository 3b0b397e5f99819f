"""Scored alternates on disk, shard by shard: what was committed is never computed again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gfmp.errors import CorruptArtefactError
from gfmp.genome.vcf_info import name_of
from gfmp.inference.measured import Effect
from gfmp.inference.survey import Entry
from gfmp.storage.atomic import atomic_write

FEATURES = "features"
_PLAN, _FIRST, _END = b"gfmp.plan", b"gfmp.first", b"gfmp.end"
_FIXED = (
    ("record", pa.int64()),
    ("number", pa.int32()),
    ("contig", pa.string()),
    ("position", pa.int64()),
    ("id", pa.string()),
    ("ref", pa.string()),
    ("alt", pa.string()),
    ("kind", pa.string()),
    ("start", pa.int64()),
    ("skipped", pa.string()),
    ("group", pa.string()),
    ("effect", pa.float64()),
    ("compared", pa.bool_()),
)


@dataclass(frozen=True)
class Scored:
    """The N alternates of a stretch of records.

    Attributes:
        entries: The alternates, in file order.
        effects: What was measured of each.
        values: Scores, NaN where there is none; shape (N, C).
        features: Differences of features for a head, shape (N, F); F is 0 without one.
    """

    entries: Sequence[Entry]
    effects: Sequence[Effect]
    values: NDArray[np.float64]
    features: NDArray[np.float32]


class Shards:
    """The shards of one job.

    Args:
        folder: Where they lie.
        plan: Fingerprint of what is computed; shards of another are not taken.
        columns: Names of the scores.
        shard_records: Records of a shard.
    """

    def __init__(self, folder: Path, plan: str, columns: Sequence[str], shard_records: int) -> None:
        self._folder, self._plan = folder, plan
        self.columns, self.shard_records = tuple(columns), shard_records

    def committed(self, number: int) -> bool:
        """Return True when shard `number` is there, whole and of this job."""
        path = self._path(number)
        if not path.is_file():
            return False
        try:
            found = pq.read_schema(path)
        except (pa.ArrowException, OSError):
            return False
        first = number * self.shard_records
        stamp = found.metadata or {}
        named = stamp.get(_PLAN) == self._plan.encode(), stamp.get(_FIRST) == b"%d" % first
        return all(named) and set(self.columns) <= set(found.names)

    def commit(self, number: int, scored: Scored, end: int) -> int:
        """Write a shard; return its bytes.

        Args:
            number: Its number.
            scored: Its alternates.
            end: One past its last record.

        Raises:
            StorageError: the disk refused.
        """
        table = _table(scored, self.columns).replace_schema_metadata(
            {
                _PLAN: self._plan.encode(),
                _FIRST: b"%d" % (number * self.shard_records),
                _END: b"%d" % end,
            }
        )
        out = io.BytesIO()
        pq.write_table(table, out, compression="zstd", write_page_checksum=True)
        atomic_write(self._path(number), out.getvalue())
        return out.tell()

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the shards in order, some columns or all.

        Raises:
            CorruptArtefactError: a shard cannot be read any more.
        """
        for path in sorted(self._folder.glob("[0-9]*.parquet")):
            try:
                with pq.ParquetFile(path, page_checksum_verification=True) as opened:
                    names = list(columns) if columns is not None else None
                    yield opened.read(columns=names)
            except (pa.ArrowException, OSError) as fault:
                raise CorruptArtefactError(
                    f"a shard of scores cannot be read: {str(fault).splitlines()[0]}",
                    where=str(path),
                    why="gfmp writes shards whole and never changes them",
                    fix="remove it and resume the run: it is computed again",
                ) from fault

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.parquet"


def _table(scored: Scored, columns: Sequence[str]) -> pa.Table:
    rows = zip(scored.entries, scored.effects, strict=True)
    fixed = [_row(entry, effect) for entry, effect in rows]
    arrays = [pa.array([row[i] for row in fixed], kind) for i, (_, kind) in enumerate(_FIXED)]
    names = [name for name, _ in _FIXED]
    for place, name in enumerate(columns):
        arrays.append(pa.array(scored.values[:, place], pa.float64()))
        names.append(name)
    if scored.features.shape[1]:
        width = scored.features.shape[1]
        flat = pa.array(scored.features.ravel(), pa.float32())
        arrays.append(pa.FixedSizeListArray.from_arrays(flat, width))
        names.append(FEATURES)
    return pa.table(arrays, names=names)


def _row(entry: Entry, effect: Effect) -> tuple[object, ...]:
    allele, record = entry.allele, entry.allele.record
    spelled = "" if allele.trouble == "symbolic" else allele.kind
    return (
        *(entry.index, allele.number, record.contig, record.start + 1, name_of(record)),
        *(record.ref.decode("ascii"), record.alts[allele.number - 1], spelled, allele.start),
        *(entry.skipped, effect.group, effect.value, effect.counts),
    )
