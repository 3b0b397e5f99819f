"""Rows as a Parquet file and back, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gfmp.errors import CorruptArtefactError
from gfmp.storage.atomic import storage_faults
from gfmp.tasks.contexts import Contexts
from gfmp.tasks.sparse import SparseLabels, Targets
from gfmp.tasks.task import Rows

# Column of the positive labels of wide targets; the number of labels follows.
_LISTED = "labels_of_"
# Column of the contexts of rows by number; the features of each are in the metadata of the file.
_CONTEXT, _FEATURES = "context", b"gfmp.contexts"


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
    columns |= _target_columns(rows.targets)
    table = pa.table(columns)
    if rows.contexts is not None:
        table = _with_contexts(table, rows.contexts)
    with storage_faults(path):
        pq.write_table(table, path, compression="zstd")


def read_rows(path: Path) -> Rows:
    """Read rows written by `write_rows`.

    Raises:
        CorruptArtefactError: the file is not such a table.
    """
    try:
        table = pq.read_table(path, use_threads=False, memory_map=False)
        return Rows(
            tuple(table["sequence"].to_pylist()),
            _targets(table),
            tuple(table["origin"].to_pylist()),
            tuple(table["group"].to_pylist()),
            _contexts(table),
        )
    except (pa.ArrowException, OSError, KeyError, ValueError) as fault:
        raise CorruptArtefactError(
            f"the rows cannot be read: {str(fault).splitlines()[0]}",
            where=str(path),
            why="gfmp publishes prepared tasks whole and never changes them",
            fix=f"remove this folder, and the task is read again: {path.parent}",
        ) from fault


def _with_contexts(table: pa.Table, contexts: Contexts) -> pa.Table:
    """Return the table with the context of each row, and the features of each context once."""
    described = {
        "features": contexts.features,
        "keys": contexts.keys,
        "values": contexts.values.astype("<f4").tobytes().hex(),
    }
    numbered = table.append_column(_CONTEXT, pa.array(contexts.of_row, pa.int32()))
    return numbered.replace_schema_metadata({_FEATURES: json.dumps(described).encode()})


def _contexts(table: pa.Table) -> Contexts | None:
    if _CONTEXT not in table.column_names:
        return None
    described = json.loads(table.schema.metadata[_FEATURES])
    features, keys = tuple(described["features"]), tuple(described["keys"])
    values = np.frombuffer(bytes.fromhex(described["values"]), dtype="<f4").astype(np.float32)
    of_row = table[_CONTEXT].to_numpy().astype(np.int32)
    return Contexts(features, keys, values.reshape(len(keys), len(features)), of_row)


def _target_columns(targets: Targets) -> dict[str, pa.Array]:
    """Return one column for each target, or one of lists for wide labels."""
    if not isinstance(targets, SparseLabels):
        return {
            f"target_{i}": pa.array(targets[:, i].astype(np.float32), pa.float32())
            for i in range(targets.shape[1])
        }
    offsets = np.concatenate([np.zeros(1, np.int64), targets.ends])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(targets.columns))
    return {f"{_LISTED}{targets.num_labels}": lists}


def _targets(table: pa.Table) -> Targets:
    listed = [name for name in table.column_names if name.startswith(_LISTED)]
    if not listed:
        names = [name for name in table.column_names if name.startswith("target_")]
        return np.stack([table[name].to_numpy() for name in names], axis=1)
    lists = table[listed[0]].combine_chunks()
    offsets = lists.offsets.to_numpy()
    columns = lists.values.to_numpy()[offsets[0] : offsets[-1]]
    ends = (offsets[1:] - offsets[0]).astype(np.int64)
    return SparseLabels(ends, columns.astype(np.int32), int(listed[0].removeprefix(_LISTED)))
