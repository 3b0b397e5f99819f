"""Reading a table of features by context, and joining it to the rows of a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gfmp.errors import DataError
from gfmp.spec.task import ContextSpec, TaskSpec
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.contexts import Contexts
from gfmp.tasks.inputs import context_file
from gfmp.tasks.labels import finite
from gfmp.tasks.pool import Pool
from gfmp.tasks.tables import (
    Table,
    parquet_header,
    read_parquet_table,
    read_table,
    separator_of,
    table_header,
)

_PARQUET = ".parquet"


def with_contexts(pool: Pool, spec: TaskSpec, base: Path) -> Pool:
    """Return the pool with the features of every row's context; as it is where none are asked for.

    Features stand in the order of their names and contexts too, and only contexts that rows are
    in are kept: so neither the order of the table nor what else stands in it matters.

    Args:
        pool: The rows, which say their contexts.
        spec: The task as asked for.
        base: The folder that relative paths start from.

    Raises:
        DataError: the table is wrong, names a context twice, holds what is no number, or lacks
            the context of a row; names the place.
    """
    if spec.context is None:
        return pool
    path = context_file(spec.context, base).path
    table = _read(spec.context, path)
    places = _places(table, spec.context.key_column)
    names = pool.contexts or (spec.context.key or "",) * len(pool.rows)
    _check_known(names, places, pool, path)
    keys = tuple(sorted(set(names)))
    features = tuple(sorted(set(table.columns) - {spec.context.key_column}))
    kept = table.kept(np.array([places[key] for key in keys], dtype=np.int64))
    values = [_numbers(kept, feature) for feature in features]
    number = {key: i for i, key in enumerate(keys)}
    contexts = Contexts(
        features,
        keys,
        np.array(values, dtype=np.float32).T.copy(),
        np.array([number[name] for name in names], dtype=np.int32),
    )
    note = f"{len(features):,} features of {len(keys):,} contexts beside the sequence"
    return replace(pool, rows=replace(pool.rows, contexts=contexts), notes=(*pool.notes, note))


def _read(spec: ContextSpec, path: Path) -> Table:
    """Read the columns that are asked for; without any, all of them."""
    whole = path.name.endswith(_PARQUET)
    header = parquet_header(path) if whole else table_header(path, separator_of(path))
    doubled = sorted(name for name, count in Counter(header).items() if count > 1)
    wanted = spec.columns or tuple(name for name in header if name != spec.key_column)
    if doubled and not {*wanted, spec.key_column}.isdisjoint(doubled):
        raise DataError(
            f"the column {doubled[0]!r} stands {header.count(doubled[0])} times",
            where=f"{path}:1",
            why="features are known by the names of their columns",
            fix="rename or remove all but one",
        )
    if not set(wanted) - {spec.key_column}:
        raise DataError(
            "the table has no features",
            where=f"{path}:1",
            why=f"every column but {spec.key_column!r} is one",
            fix="name the right file, or the right context.key_column",
        )
    columns = tuple(dict.fromkeys((spec.key_column, *wanted)))
    if whole:
        return read_parquet_table(path, columns)
    return read_table(path, columns, separator_of(path))


def _places(table: Table, key_column: str) -> dict[str, int]:
    """Return the row of each context."""
    places: dict[str, int] = {}
    for row, cell in enumerate(table.columns[key_column]):
        name = cell.strip()
        if not name or name in places:
            also = f"; it stands first at {table.where(places[name])}" if name else ""
            raise DataError(
                f"column {key_column!r} holds {name!r}" + (" again" if name else ""),
                where=table.where(row),
                why=f"every context has a name and one row of features{also}",
                fix="remove the row, or give the context its own name",
            )
        places[name] = row
    return places


def _check_known(names: Sequence[str], places: dict[str, int], pool: Pool, path: Path) -> None:
    unknown = Counter(name for name in names if name not in places)
    if not unknown:
        return
    first = next(i for i, name in enumerate(names) if name not in places)
    name, count = names[first], unknown[names[first]]
    raise DataError(
        f"{count:,} rows are in the context {name!r}, first {pool.rows.origins[first]}",
        where=str(path),
        why=f"the table has no features of it; it has {', '.join(sorted(places)[:20])}",
        fix=did_you_mean(name, places) or "add a row for it to the table, or drop those rows",
    )


def _numbers(table: Table, column: str) -> list[float]:
    return [
        finite(cell, f"column {column!r}", table.where(row))
        for row, cell in enumerate(table.columns[column])
    ]
