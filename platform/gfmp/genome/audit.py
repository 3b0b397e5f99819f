"""Checks over all sources of a corpus: regions exist, nothing twice, every base accounted for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from gfmp.errors import DataError, Problem, SpecError
from gfmp.genome.contigs import ContigTable, repeated
from gfmp.genome.coordinates import read_lift
from gfmp.genome.manifest import SourceEntry
from gfmp.genome.reports import SourceReport
from gfmp.genome.sources import Source
from gfmp.genome.splits import Region

_SHOWN_NAMES = 20


def audit_sources(sources: Sequence[Source]) -> None:
    """Check what can be checked before any file is read.

    Raises:
        SpecError: there is no source, a file is named twice, or a member of a strain group
            holds out nothing while another one does.
    """
    problems = [*_no_sources(sources), *_files_twice(sources), *_strain_groups(sources)]
    if problems:
        raise SpecError.of(problems)


def audit_reports(
    sources: Sequence[Source], reports: Sequence[SourceReport], contigs: ContigTable
) -> None:
    """Check the reports of all sources, given in the order of `sources`, and their contigs.

    Raises:
        SpecError: a region names a contig that no file of its assembly holds, or reaches
            beyond its end.
        DataError: two sources hold the same contig, by name or by letters, or no base is left
            to train on.
    """
    entries = [report.source for report in reports]
    for report in reports:
        _check_sums(report)
    regions = _regions_that_miss(sources, entries, contigs)
    if regions:
        raise SpecError.of(regions)
    twice = [*_names_twice(entries, contigs), *_letters_twice(entries, contigs)]
    if wrong := [*twice, *_nothing_to_train(entries)]:
        raise DataError.of(wrong)


def _no_sources(sources: Sequence[Source]) -> list[Problem]:
    if sources:
        return []
    return [Problem("the corpus has no source", fix="name at least one sequence file")]


def _files_twice(sources: Sequence[Source]) -> list[Problem]:
    places = Counter(source.origin for source in sources)
    return [
        Problem(
            "this file is named by two sources",
            where=place,
            why="its bases would count twice",
            fix="remove one of the sources",
        )
        for place in sorted(place for place, times in places.items() if times > 1)
    ]


def _strain_groups(sources: Sequence[Source]) -> list[Problem]:
    problems = []
    groups: defaultdict[str, list[Source]] = defaultdict(list)
    for source in sources:
        if source.strain_group:
            groups[source.strain_group].append(source)
    for group, members in sorted(groups.items()):
        for kind in ("valid", "exclude"):
            holders = {_assembly(s) for s in members if vars(s)[kind]}
            others = {_assembly(s) for s in members} - holders
            if holders and others:
                problems.append(_half_held_out(group, kind, holders, others))
    return problems


def _half_held_out(
    group: str, kind: str, holders: set[tuple[str, str]], others: set[tuple[str, str]]
) -> Problem:
    return Problem(
        f"strain_group {group!r}: {kind!r} regions in {_named(holders)}, none in {_named(others)}",
        why="strains of one group share their sequence, so what one holds out another would train",
        fix=f"give {_named(others)} the homologous {kind!r} regions, or end the group",
    )


def _regions_that_miss(
    sources: Sequence[Source], entries: Sequence[SourceEntry], contigs: ContigTable
) -> list[Problem]:
    regions = {(_assembly(s), r): s for s in sources for r in (*s.valid, *s.exclude)}
    if not regions:
        return []
    members: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, source in enumerate(sources):
        members[_assembly(source)].append(index)
    lengths = _lengths(contigs, entries, {region.contig for _, region in regions})
    problems = []
    for (assembly, region), source in regions.items():
        found = [
            lengths[i, region.contig] for i in members[assembly] if (i, region.contig) in lengths
        ]
        complaint = _beyond(region, found[-1]) if found else _names(contigs, members[assembly])
        if complaint:
            problems.append(
                Problem(
                    f"region {region} {complaint}",
                    where=source.origin,
                    why="valid and exclude regions must lie on contigs of the assembly",
                    fix="correct the contig name or the coordinates (0-based, half-open)",
                )
            )
    return problems


def _lengths(
    contigs: ContigTable, entries: Sequence[SourceEntry], wanted: Collection[str]
) -> dict[tuple[int, str], int]:
    """Return the lengths in the reference of the contigs with these names, by source and name."""
    table = contigs.columns("source", "name", "length_bp")
    mine = pc.is_in(table.column("name"), value_set=pa.array(sorted(wanted), pa.string()))
    rows = table.filter(mine).to_pylist()
    lengths = {(row["source"], row["name"]): row["length_bp"] for row in rows}
    for source, name in lengths:
        for entry in entries[source].coordinates:
            lengths[source, name] -= read_lift(contigs.path.parent, entry, name).moved_bp
    return lengths


def _names(contigs: ContigTable, sources: Sequence[int]) -> str:
    names = sorted(contigs.names(sources))[:_SHOWN_NAMES]
    return f"names no contig of its assembly, which has {', '.join(names)}"


def _beyond(region: Region, length: int) -> str:
    beyond = region.start >= length or (region.end is not None and region.end > length)
    return f"reaches beyond the contig's end at {length}" if beyond else ""


def _check_sums(report: SourceReport) -> None:
    totals = {total.split: total for total in report.totals}
    for split in ("train", "valid"):
        shards = [shard for shard in report.shards if shard.split == split]
        bases = sum(group.bases for shard in shards for group in shard.row_groups)
        by_contig = vars(report.source.contigs)[f"{split}_bp"]
        total = totals[split].bases if split in totals else 0
        assert bases == by_contig == total, (
            f"{report.source.origin}: {split} shards hold {bases} bases, contigs {by_contig},"
            f" totals {total}"
        )


def _names_twice(entries: Sequence[SourceEntry], contigs: ContigTable) -> list[Problem]:
    # Within a file every name is new already.
    numbers: dict[tuple[str, str], int] = {}
    owners = [numbers.setdefault((e.species, e.assembly), len(numbers)) for e in entries]
    if len(numbers) == len(entries):
        return []
    table = contigs.columns("source", "name")
    owner = pa.array(owners, pa.int32()).take(table.column("source").combine_chunks())
    return _twice("name", repeated(table.append_column("owner", owner), "owner", "name"), entries)


def _letters_twice(entries: Sequence[SourceEntry], contigs: ContigTable) -> list[Problem]:
    if len(entries) == 1:
        return []
    table = contigs.columns("source", "name", "num_pieces", "letters_sha256")
    table = table.filter(pc.greater(table.column("num_pieces"), 0))
    return _twice("sequence", repeated(table, "letters_sha256"), entries)


def _twice(what: str, rows: pa.Table, entries: Sequence[SourceEntry]) -> list[Problem]:
    """Return a problem for each of `rows` whose name or sequence an earlier source holds."""
    first: dict[object, int] = {}
    problems = []
    for row in rows.to_pylist():
        key = row["letters_sha256"] if what == "sequence" else (row["owner"], row["name"])
        before = first.setdefault(key, row["source"])
        if before == row["source"]:
            continue
        problems.append(
            Problem(
                f"the {what} of contig {row['name']!r} is also in {entries[before].origin}",
                where=entries[row["source"]].origin,
                why="the same bases would be trained on twice, or trained on and tested on",
                fix="remove one of the two sources, or exclude the contig in one of them",
            )
        )
    return problems


def _nothing_to_train(entries: Sequence[SourceEntry]) -> list[Problem]:
    if any(entry.contigs.train_bp for entry in entries):
        return []
    return [
        Problem(
            "no base is left to train on",
            where=entries[0].origin,
            why="every base is valid, excluded, outside the regions, in a gap or in a short piece",
            fix="give fewer regions, more sources or a smaller shortest_bp",
        )
    ]


def _assembly(source: Source) -> tuple[str, str]:
    return source.species, source.assembly


def _named(assemblies: set[tuple[str, str]]) -> str:
    return ", ".join(" ".join(assembly) for assembly in sorted(assemblies))
