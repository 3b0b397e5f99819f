"""Windows around transcription starts and the expression of their genes (ExPecto's tables)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gfmp.errors import DataError
from gfmp.spec.task import TargetSpec
from gfmp.spec.task_formats import GenesSource
from gfmp.tasks.derivation.genomes import cut
from gfmp.tasks.formats.reference import Place, contigs_of, naming_notes
from gfmp.tasks.inputs import InputFile
from gfmp.tasks.labels import finite, read_targets
from gfmp.tasks.pool import Pool, with_sequences
from gfmp.tasks.tables import Table, read_table, separator_of
from gfmp.tasks.task import Rows


def read_genes(source: GenesSource, files: Sequence[InputFile], target: TargetSpec) -> Pool:
    """Cut a window around the start of every gene, read along its strand.

    Genes are their own groups: several starts of one gene stay together.

    Raises:
        DataError: the tables have different numbers of rows, a cell is wrong, or the reference
            lacks a contig.
    """
    by_role = {file.role: file.path for file in files}
    path = by_role["genes"]
    columns = (
        source.id_column,
        source.contig_column,
        source.position_column,
        source.strand_column,
    )
    apart = "values" in by_role
    table = read_table(path, (*columns, *(() if apart else target.columns)), separator_of(path))
    valued = table
    if apart:
        values = by_role["values"]
        valued = read_table(values, target.columns, separator_of(values))
        _check_as_many(table, valued)
    found, notes, out = _windows(table, source, by_role["reference"])
    kept = sorted(found)
    places = [found[i][0] for i in kept]
    targets = read_targets(valued.kept(np.array(kept, dtype=np.int64)), target)
    ids = tuple(table.columns[source.id_column][i] for i in kept)
    empty = Rows((b"",) * len(kept), targets, tuple(place.origin for place in places), ids)
    pool = Pool(empty, tuple(place.contig for place in places), ("",) * len(kept))
    left_out = tuple(f"{count:,} genes {why}" for why, count in out.items())
    letters = [found[i][1] for i in kept]
    whole = with_sequences(pool, letters, "sequence", lambda i: places[i].where)
    return replace(whole, left_out=left_out, notes=notes)


def window_of(source: GenesSource, position: int, strand: str) -> tuple[int, int]:
    """Return the window around a start of transcription, 0-based and half-open.

    Args:
        source: Bases before the start and from the start on, along the strand.
        position: The first transcribed base, 0-based.
        strand: `+` or `-`.
    """
    if strand == "-":
        return position - source.downstream_bp + 1, position + source.upstream_bp + 1
    return position - source.upstream_bp, position + source.downstream_bp


def _windows(
    table: Table, source: GenesSource, reference: Path
) -> tuple[dict[int, tuple[Place, str]], tuple[str, ...], Counter[str]]:
    """Return place and letters by gene, notes on contig names, and what was left out."""
    by_contig: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(table.columns[source.contig_column]):
        by_contig[name].append(i)
    out: Counter[str] = Counter()
    for name in [c for c in by_contig if source.keep_contigs and c not in source.keep_contigs]:
        out["on other contigs than source.keep_contigs"] += len(by_contig.pop(name))
    found, renamed = dict[int, tuple[Place, str]](), dict[str, str]()
    for contig in contigs_of(reference, by_contig):
        if contig.own_name != contig.name:
            renamed[contig.own_name] = contig.name
        for i in by_contig[contig.name]:
            place = _place(table, source, i)
            if place.start < 0 or place.end > len(contig.bases):
                out["whose window reaches over the end of a contig"] += 1
                continue
            letters = cut(contig.bases, place.start, place.end, place.strand).decode("ascii")
            found[i] = (place, letters)
    return found, naming_notes(reference, renamed), out


def _place(table: Table, source: GenesSource, row: int) -> Place:
    where, strand = table.where(row), table.columns[source.strand_column][row].strip()
    if strand not in ("+", "-"):
        raise DataError(
            f"column {source.strand_column!r} holds {strand!r}",
            where=where,
            why="the strand of a gene is + or -",
            fix="correct the row, or name the right column",
        )
    cell = table.columns[source.position_column][row]
    position = int(finite(cell, source.position_column, where)) - source.position_base
    start, end = window_of(source, position, strand)
    contig = table.columns[source.contig_column][row]
    return Place(contig, start, end, "-" if strand == "-" else "+", where)


def _check_as_many(genes: Table, values: Table) -> None:
    if len(genes) != len(values):
        raise DataError(
            f"{len(genes):,} genes and {len(values):,} rows of values",
            where=f"{genes.path} and {values.path}",
            why="row i of the values belongs to gene i",
            fix="fetch both files again; one of them was cut, or is another version",
        )
