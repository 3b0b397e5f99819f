"""Scored alternates on disk, shard by shard: what was committed is never computed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gfmp.genome.vcf_info import name_of
from gfmp.inference.measured import Effect
from gfmp.inference.survey import Entry
from gfmp.inference.table_shards import TableShards

FEATURES = "features"
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
        self._shards = TableShards(folder, plan)
        self.columns, self.shard_records = tuple(columns), shard_records

    def committed(self, number: int) -> bool:
        """Return True when shard `number` is there, whole and of this job."""
        extent = self._shards.extent(number, self.columns)
        return extent is not None and extent[0] == number * self.shard_records

    def commit(self, number: int, scored: Scored, end: int) -> int:
        """Write a shard; return its bytes.

        Args:
            number: Its number.
            scored: Its alternates.
            end: One past its last record.

        Raises:
            StorageError: the disk refused.
        """
        extent = (number * self.shard_records, end)
        return self._shards.commit(number, _table(scored, self.columns), extent)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the shards in order, some columns or all.

        Raises:
            CorruptArtefactError: a shard cannot be read any more.
        """
        return self._shards.tables(columns)


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
