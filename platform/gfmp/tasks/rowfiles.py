"""Rows as a Parquet file and back, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gfmp.errors import CorruptArtefactError
from gfmp.storage.atomic import storage_faults
from gfmp.tasks.task import Rows


def write_rows(path: Path, rows: Rows) -> None:
    """Write the rows of one split.

    Raises:
        StorageError: the disk refused.
    """
    columns = {
        "sequence": pa.array(rows.sequences, pa.large_binary()),
        "origin": pa.array(rows.origins, pa.large_string()),
        "group": pa.array(rows.groups, pa.large_string()),
    }
    for i in range(rows.targets.shape[1]):
        columns[f"target_{i}"] = pa.array(rows.targets[:, i].astype(np.float32), pa.float32())
    with storage_faults(path):
        pq.write_table(pa.table(columns), path, compression="zstd")


def read_rows(path: Path) -> Rows:
    """Read rows written by `write_rows`.

    Raises:
        CorruptArtefactError: the file is not such a table.
    """
    try:
        table = pq.read_table(path, use_threads=False, memory_map=False)
        targets = [n for n in table.column_names if n.startswith("target_")]
        return Rows(
            tuple(table["sequence"].to_pylist()),
            np.stack([table[name].to_numpy() for name in targets], axis=1),
            tuple(table["origin"].to_pylist()),
            tuple(table["group"].to_pylist()),
        )
    except (pa.ArrowException, OSError, KeyError, ValueError) as fault:
        raise CorruptArtefactError(
            f"the rows cannot be read: {str(fault).splitlines()[0]}",
            where=str(path),
            why="gfmp publishes prepared tasks whole and never changes them",
            fix=f"remove this folder, and the task is read again: {path.parent}",
        ) from fault
