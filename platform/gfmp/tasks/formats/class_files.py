"""Folders with one file, or one folder of files, for each class (Genomic Benchmarks)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gfmp.errors import DataError
from gfmp.spec.task import TargetSpec
from gfmp.spec.task_formats import ClassFilesSource
from gfmp.tasks.formats.intervals import place_of
from gfmp.tasks.formats.reference import Place, cut_places
from gfmp.tasks.inputs import CLASS_ROLE, InputFile
from gfmp.tasks.pool import Pool, joined, with_sequences
from gfmp.tasks.tables import read_table
from gfmp.tasks.task import Rows

_COLUMNS = ("id", "region", "start", "end", "strand")


def read_class_files(
    source: ClassFilesSource, files: Sequence[InputFile], target: TargetSpec
) -> Pool:
    """Read the sequences or intervals of every class in every split.

    Raises:
        DataError: a class of the target has no files, a file holds no sequence, or intervals
            have no reference; names the place.
    """
    references = {
        file.role.removeprefix("reference "): file.path
        for file in files
        if file.role.startswith("reference ")
    }
    parts: list[Pool] = []
    for file in (one for one in files if one.role.startswith(CLASS_ROLE)):
        split, name = file.role.removeprefix(CLASS_ROLE).split(" ", 1)
        if file.path.is_dir():
            pool = _texts(file.path)
        else:
            pool = _intervals(file.path, _reference(references, name, file.path))
        count = len(pool.rows)
        label = np.full((count, 1), target.names.index(name), dtype=np.float32)
        rows = replace(pool.rows, targets=label)
        parts.append(replace(pool, rows=rows, given=(split,) * count))
    return joined(parts)


def _reference(references: dict[str, Path], name: str, path: Path) -> Path:
    found = references.get(name) or references.get("all")
    if found is None:
        raise DataError(
            f"the class {name!r} is intervals, and no reference is named for it",
            where=str(path),
            why="intervals are cut out of a FASTA file of the genome",
            fix="name it under source.references, as `all` or as the class",
        )
    return found


def _texts(folder: Path) -> Pool:
    paths = sorted(folder.glob("*.txt"), key=lambda path: (len(path.stem), path.stem))
    cells = [path.read_text(encoding="ascii", errors="replace") for path in paths]
    parent = f"{folder.parent.name}/{folder.name}"
    origins = tuple(f"{parent}/{path.name}" for path in paths)
    empty = ("",) * len(paths)
    targets = np.zeros((len(paths), 1), dtype=np.float32)
    pool = Pool(Rows((b"",) * len(paths), targets, origins, empty), empty, empty)
    return with_sequences(pool, cells, "sequence", lambda i: str(paths[i]))


def _intervals(path: Path, reference: Path) -> Pool:
    table = read_table(path, _COLUMNS, ",")
    cells = [table.columns[name] for name in _COLUMNS[1:]]
    places: list[Place] = [
        place_of(contig, (start, end), strand, table.where(i))
        for i, (contig, start, end, strand) in enumerate(zip(*cells, strict=True))
    ]
    letters, notes = cut_places(reference, places)
    empty = ("",) * len(places)
    targets = np.zeros((len(places), 1), dtype=np.float32)
    origins = tuple(place.origin for place in places)
    rows = Rows((b"",) * len(places), targets, origins, empty)
    pool = Pool(rows, tuple(place.contig for place in places), empty, notes=notes)
    return with_sequences(pool, letters, "sequence", table.where)
