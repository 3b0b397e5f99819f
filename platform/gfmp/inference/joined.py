"""The shards of an answered file as one file: Parquet, TSV or npy; one shard in memory."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy_format

from gfmp.errors import UsageError
from gfmp.inference.questions import Question
from gfmp.storage.atomic import streamed_write

_VECTOR = "layer_"
ROWS_SUFFIX = ".rows.tsv"


def check_format(path: Path, question: Question) -> None:
    """Make sure that answers of this kind can be written as this file.

    Raises:
        UsageError: they cannot.
    """
    one_vector = question.verb == "embed" and question.wanted.per == "sequence"
    known = {
        ".parquet": True,
        ".tsv": question.verb == "predict",
        ".npy": one_vector,
    }
    if not known.get(path.suffix, False):
        takes = [suffix for suffix, fits in known.items() if fits]
        raise UsageError(
            f"{path.name!r} cannot take these answers",
            where=str(path),
            why=f"what `gfmp {question.verb}` was asked fits in {' or '.join(takes)}",
            fix=f"--out {path.with_suffix(takes[0]).name}",
        )


def join(shards: Iterable[pa.Table], path: Path, num_rows: int) -> None:
    """Write shards, in order, as one file that appears whole.

    An npy file has shape (N, W), or (N, S, W) for S layers; its rows are named in a table beside
    it, `<path>.rows.tsv`.

    Args:
        shards: The tables.
        path: The file; its suffix says the format.
        num_rows: Rows of all shards.

    Raises:
        StorageError: the disk refused.
    """
    plain = (table.replace_schema_metadata(None) for table in shards)
    if path.suffix == ".npy":
        _join_npy(plain, path, num_rows)
        return
    with streamed_write(path) as out, _WRITERS[path.suffix](out) as write:
        for table in plain:
            write(table)


@contextlib.contextmanager
def _parquet(out: IO[bytes]) -> Iterator[Callable[[pa.Table], None]]:
    writers: list[pq.ParquetWriter] = []

    def _write(table: pa.Table) -> None:
        if not writers:
            writers.append(
                pq.ParquetWriter(out, table.schema, compression="zstd", write_page_checksum=True)
            )
        writers[0].write_table(table)

    yield _write
    for writer in writers:
        writer.close()


@contextlib.contextmanager
def _tsv(out: IO[bytes]) -> Iterator[Callable[[pa.Table], None]]:
    # Not pyarrow's writer: it puts every text in quotes.
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    lines = csv.writer(text, delimiter="\t", lineterminator="\n")
    begun: list[bool] = []

    def _write(table: pa.Table) -> None:
        if not begun:
            lines.writerow(table.column_names)
            begun.append(True)
        lines.writerows(zip(*map(_cells, table.columns), strict=True))

    yield _write
    text.flush()
    text.detach()


def _cells(column: pa.ChunkedArray) -> list[object]:
    values: list[object] = column.to_pylist()
    # Seven digits tell every number of 32 bits near 1 from the next.
    return [f"{v:.7g}" for v in values] if pa.types.is_floating(column.type) else values


_WRITERS = {".parquet": _parquet, ".tsv": _tsv}


def _join_npy(shards: Iterable[pa.Table], path: Path, num_rows: int) -> None:
    rows_path = path.with_name(path.name + ROWS_SUFFIX)
    with (
        streamed_write(path) as out,
        streamed_write(rows_path) as rows_out,
        _tsv(rows_out) as write,
    ):
        for place, table in enumerate(shards):
            names = [name for name in table.column_names if name.startswith(_VECTOR)]
            layers = [_matrix(table[name]) for name in names]
            values = layers[0] if len(layers) == 1 else np.stack(layers, axis=1)
            if place == 0:
                _begin_npy(out, values, num_rows)
            out.write(np.ascontiguousarray(values).tobytes())
            write(table.drop_columns(names))


def _begin_npy(out: IO[bytes], values: np.ndarray, num_rows: int) -> None:
    """Write the header of an array of `num_rows` rows that begins with `values`."""
    header = npy_format.header_data_from_array_1_0(values)
    npy_format.write_array_header_2_0(out, {**header, "shape": (num_rows, *values.shape[1:])})


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    cells = column.combine_chunks()
    flat: np.ndarray = cells.flatten().to_numpy()
    return flat.reshape(len(cells), -1)
