"""The coordinates of haplotypes in a corpus: a Parquet table per source whose positions moved.

One row is one change of another length, where it is in the reference and where in the haplotype;
`contig`, `start` and `bases` of the shards are those of the haplotype.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gfmp.errors import CorruptArtefactError
from gfmp.genome.lifts import Lift
from gfmp.storage.atomic import storage_faults
from gfmp.storage.hashes import sha256_file

_FOLDER = "coordinates"
_POSITIONS = ("reference_start", "reference_end", "haplotype_start", "haplotype_end")
_SCHEMA = pa.schema(
    [
        pa.field("contig", pa.string(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in _POSITIONS),
    ]
)


@dataclass(frozen=True)
class CoordinatesEntry:
    """The table of one source: path in the corpus, size, rows, digest."""

    path: str
    bytes: int
    rows: int
    sha256: str


def write_coordinates(
    staging: Path, source: int, lifts: Mapping[str, Lift]
) -> tuple[CoordinatesEntry, ...]:
    """Write the table of one source; without a lift there is none.

    Args:
        staging: Folder that is not yet published.
        source: Index of the source in the corpus.
        lifts: By contig.
    """
    if not lifts:
        return ()
    path = staging / _FOLDER / f"{source:04d}.parquet"
    table = pa.concat_tables(_table(contig, lift) for contig, lift in sorted(lifts.items()))
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd", write_page_checksum=True)
    place = f"{_FOLDER}/{path.name}"
    return (CoordinatesEntry(place, path.stat().st_size, table.num_rows, sha256_file(path)),)


def read_lift(folder: Path, entry: CoordinatesEntry, contig: str) -> Lift:
    """Read the lift of one contig; it moves nothing where the table does not name the contig.

    Args:
        folder: The corpus, or one that is being built.
        entry: The table.
        contig: Record name.

    Raises:
        CorruptArtefactError: the table is missing or damaged.
    """
    path = folder / entry.path
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as opened:
            table = opened.read(use_threads=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as fault:
        raise CorruptArtefactError(
            f"the coordinates cannot be read: {(str(fault).splitlines() or ['damaged'])[0]}",
            where=str(path),
            why="a published corpus never changes, so something else touched it",
            fix="restore the corpus from a copy, or remove its folder and build it again",
        ) from fault
    mine = table.filter(pc.equal(table.column("contig"), contig))
    columns = [mine.column(name).to_numpy() for name in _POSITIONS]
    return Lift(np.stack(columns[:2], axis=1), np.stack(columns[2:], axis=1))


def _table(contig: str, lift: Lift) -> pa.Table:
    positions = np.concatenate([lift.reference, lift.haplotype], axis=1).T
    names = pa.array([contig] * positions.shape[1], pa.string())
    return pa.table([names, *(pa.array(column) for column in positions)], schema=_SCHEMA)
