"""Checks over all restricted sources of a corpus: types exist, names meet, something is found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gfmp.errors import DataError, Problem, SpecError
from gfmp.genome.contigs import ContigTable
from gfmp.genome.manifest import RegionsEntry, SourceEntry
from gfmp.genome.selection import Selection
from gfmp.genome.sources import Source
from gfmp.storage.documents import did_you_mean

_MOST_NAMES = 12


def audit_regions(
    sources: Sequence[Source], entries: Sequence[SourceEntry], contigs: ContigTable
) -> None:
    """Check what the selections found, given entries in the order of `sources`.

    Raises:
        SpecError: a type of feature is in no annotation, or a BED means two assemblies.
        DataError: an assembly has no interval, because of its contig names or for want of any.
    """
    assemblies = _assemblies(sources, entries, contigs)
    if wrong := [*_unknown_types(assemblies), *_ambiguous(assemblies)]:
        raise SpecError.of(wrong)
    if empty := [problem for one in assemblies for problem in _nothing(one)]:
        raise DataError.of(empty)


@dataclass(frozen=True)
class _Assembly:
    """The restricted files of one assembly under one selection."""

    name: str
    selection: Selection
    entries: tuple[SourceEntry, ...]
    table: ContigTable

    @property
    def contigs(self) -> list[str]:
        """Names of all its contigs."""
        return self.table.names([entry.index for entry in self.entries])

    @property
    def regions(self) -> list[RegionsEntry]:
        """What was found in each file."""
        return [regions for entry in self.entries for regions in entry.regions]

    @property
    def elsewhere(self) -> set[str]:
        """Contigs that have intervals and are not in a file that read them."""
        return {name for regions in self.regions for name in regions.elsewhere}

    @property
    def types(self) -> set[str]:
        """Types of feature in its annotation."""
        return {name for regions in self.regions for name in regions.types}

    @property
    def where(self) -> str:
        """The file a person should look at."""
        return next((name for r in self.regions for name in r.files), self.entries[0].origin)


def _assemblies(
    sources: Sequence[Source], entries: Sequence[SourceEntry], contigs: ContigTable
) -> list[_Assembly]:
    grouped: defaultdict[tuple[str, Selection], list[SourceEntry]] = defaultdict(list)
    for source, entry in zip(sources, entries, strict=True):
        if source.selection:
            grouped[f"{source.species} {source.assembly}", source.selection].append(entry)
    return [_Assembly(name, how, tuple(g), contigs) for (name, how), g in grouped.items()]


def _unknown_types(assemblies: Sequence[_Assembly]) -> list[Problem]:
    """Find types that no annotation has; one that only some have is fine."""
    known = {name for one in assemblies for name in one.types}
    wanted = {name: one for one in assemblies for name in one.selection.features}
    return [
        Problem(
            f"no annotation has features of type {name!r}",
            where=one.where,
            why=f"types here: {_listed(known)}",
            fix=did_you_mean(name, known) or "name types that the annotation has",
        )
        for name, one in sorted(wanted.items())
        if name not in known
    ]


def _ambiguous(assemblies: Sequence[_Assembly]) -> list[Problem]:
    """Find BED files whose contigs are in two assemblies."""
    owners: dict[tuple[Selection, str], _Assembly] = {}
    problems = {}
    for one in assemblies:
        for contig in one.contigs if one.selection.kind == "bed" else ():
            first = owners.setdefault((one.selection, contig), one)
            if first is not one:
                problems[first.name, one.name] = Problem(
                    f"contig {contig!r} is in {first.name} and in {one.name}",
                    where=one.where,
                    why="an interval of the BED must mean one place",
                    fix="give each source its own regions: {bed: FILE}",
                )
    return list(problems.values())


def _nothing(one: _Assembly) -> Iterable[Problem]:
    rule = str(one.selection)
    if any(regions.taken_bp and regions.num_found for regions in one.regions):
        return
    if any(regions.num_found for regions in one.regions):
        yield Problem(
            f"{one.name}: no interval of {rule} reaches min_bp {one.selection.min_bp:,}",
            where=one.where,
            why="intervals are united and widened, then the shorter ones are dropped",
            fix="give a smaller min_bp, or other regions",
        )
    elif one.elsewhere:
        near = (did_you_mean(name, one.elsewhere) for name in one.contigs)
        yield Problem(
            f"{one.name}: no interval lies on any of its contigs",
            where=one.where,
            why=f"sequence: {_listed(one.contigs)}; intervals: {_listed(one.elsewhere)}",
            fix="use the same contig names in both; " + (next(filter(None, near), "") or "rename"),
        )
    else:
        yield Problem(
            f"{one.name} has no {', '.join(one.selection.features) or 'interval'}",
            where=one.where,
            why=_what_there_is(one),
            fix="name what it has, or leave the source out of this corpus",
        )


def _what_there_is(one: _Assembly) -> str:
    if one.selection.kind == "features":
        return f"its annotation has {_listed(one.types) or 'nothing'}"
    if one.selection.kind == "soft_masked":
        return "all its letters are upper case, so nothing marks its repeats"
    return "the BED is empty"


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _MOST_NAMES:,} more" if len(ordered) > _MOST_NAMES else ""
    return ", ".join(ordered[:_MOST_NAMES]) + more
