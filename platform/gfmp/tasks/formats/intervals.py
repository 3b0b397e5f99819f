"""Rows that are intervals of a reference: tables (BEND) with labels in them or in HDF5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.genome.annotation import Strand
from gfmp.spec.task import TargetSpec
from gfmp.spec.task_formats import IntervalsSource
from gfmp.tasks.formats.hdf5 import labels_of
from gfmp.tasks.formats.reference import Place, cut_places
from gfmp.tasks.formats.tabular import Columns, contigs_given, origins_groups
from gfmp.tasks.inputs import InputFile
from gfmp.tasks.labels import read_targets
from gfmp.tasks.pool import Pool, joined, with_sequences
from gfmp.tasks.sparse import Targets, sparse_labels
from gfmp.tasks.tables import Table, read_table, separator_of
from gfmp.tasks.task import Rows

_STRANDS: dict[str, Strand] = {"+": "+", "-": "-", ".": "+", "": "+"}


def read_intervals(source: IntervalsSource, files: Sequence[InputFile], target: TargetSpec) -> Pool:
    """Cut every interval of the tables out of the reference.

    Raises:
        MissingInputError: the library that reads HDF5 is not installed.
        DataError: a row is no interval or reaches beyond its contig, a label is wrong, or the
            reference lacks a contig; names file and line.
    """
    by_role = {file.role: file for file in files}
    listed = [source.label_list_column] if source.label_list_column else []
    columns = Columns(
        group=source.group_column, contig=source.contig_column, split=source.split_column
    )
    places = [source.start_column, source.end_column]
    strand = [source.strand_column] if source.strand_column else []
    wanted = (*columns.named(), *places, *strand, *(listed or target.columns))
    parts: list[Pool] = []
    for role in ("all", "train", "valid", "test"):
        if role in by_role:
            path = by_role[role].path
            table = read_table(path, wanted, separator_of(path))
            targets = _targets(table, source, target, by_role.get("labels"))
            parts.append(_cut(table, source, (columns, role), targets, by_role["reference"]))
    return joined(parts)


def places_of(table: Table, source: IntervalsSource) -> list[Place]:
    """Return the interval of every row.

    Raises:
        DataError: a start or end is no number, or they hold no base.
    """
    starts, ends = table.columns[source.start_column], table.columns[source.end_column]
    strands = table.columns.get(source.strand_column, ["+"] * len(table))
    contigs = table.columns[source.contig_column]
    return [
        place_of(contigs[i], (starts[i], ends[i]), strands[i], table.where(i))
        for i in range(len(table))
    ]


def place_of(contig: str, span: tuple[str, str], strand: str, where: str) -> Place:
    """Return one interval given as text.

    Raises:
        DataError: start or end is no number, they hold no base, or the strand is unknown.
    """
    start, end = (cell.strip() for cell in span)
    numbers = start.isdecimal() and end.isdecimal()
    if not numbers or int(start) >= int(end) or strand.strip() not in _STRANDS:
        raise DataError(
            f"{contig}:{start}-{end}:{strand} is no interval",
            where=where,
            why="0 <= start < end, 0-based and half-open; the strand is + or -",
            fix="correct the row, or name the right columns",
        )
    return Place(contig, int(start), int(end), _STRANDS[strand.strip()], where)


def _cut(
    table: Table,
    source: IntervalsSource,
    columns_role: tuple[Columns, str],
    targets: Targets,
    reference: InputFile,
) -> Pool:
    columns, role = columns_role
    places = places_of(table, source)
    letters, notes = cut_places(reference.path, places)
    contigs, given = contigs_given(table, columns, role)
    groups = origins_groups(table, columns)[1]
    origins = tuple(place.origin for place in places)
    empty = Pool(Rows((b"",) * len(table), targets, origins, groups), contigs, given)
    return replace(with_sequences(empty, letters, "sequence", table.where), notes=notes)


def _targets(
    table: Table, source: IntervalsSource, target: TargetSpec, labels: InputFile | None
) -> Targets:
    if labels is not None:
        return labels_of(labels.path, source.labels_array, (len(table), len(target.names)))
    if source.label_list_column:
        return _listed(table, source.label_list_column, len(target.names))
    return read_targets(table, target)


def _listed(table: Table, column: str, num_labels: int) -> Targets:
    rows: list[NDArray[np.int64]] = []
    for i, cell in enumerate(table.columns[column]):
        words = [word.strip() for word in cell.split(",") if word.strip()]
        if not all(word.isdecimal() and int(word) < num_labels for word in words):
            raise DataError(
                f"column {column!r} holds {cell[:40]!r}",
                where=table.where(i),
                why=f"it lists positive labels, 0 to {num_labels - 1:,}, parted by commas",
                fix="correct the row, or target.groups, which counts the labels",
            )
        rows.append(np.array([int(word) for word in words], dtype=np.int64))
    return sparse_labels(rows, num_labels)
