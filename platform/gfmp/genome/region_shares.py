"""What a restricted corpus took of each assembly, in words."""

from __future__ import annotations

from collections import defaultdict

from gfmp.genome.corpus import Corpus
from gfmp.genome.manifest import SourceEntry

_MOST_NAMES = 8


def region_lines(corpus: Corpus) -> tuple[str, ...]:
    """Return one line per restricted assembly, then one on intervals whose contig is nowhere.

    A corpus taken whole gives none.
    """
    grouped: defaultdict[str, list[SourceEntry]] = defaultdict(list)
    for source in corpus.manifest.sources:
        if source.regions:
            grouped[f"{source.species} {source.assembly}"].append(source)
    lines = [_share(name, entries) for name, entries in grouped.items()]
    named = {n for source in corpus.manifest.sources for r in source.regions for n in r.elsewhere}
    strangers = sorted(named - _held(corpus, named)) if named else []
    if strangers:
        more = ", ..." if len(strangers) > _MOST_NAMES else ""
        lines.append(
            f"passed over: intervals on {len(strangers):,} contigs that no source holds "
            f"({', '.join(strangers[:_MOST_NAMES])}{more})"
        )
    return tuple(lines)


def _held(corpus: Corpus, names: set[str]) -> set[str]:
    return {contig.name for _, contig in corpus.contigs() if contig.name in names}


def _share(name: str, entries: list[SourceEntry]) -> str:
    regions = [r for entry in entries for r in entry.regions]
    length = sum(entry.contigs.length_bp for entry in entries)
    taken = sum(r.taken_bp for r in regions)
    return (
        f"{name}: {taken:,} of {length:,} bases ({taken / length:.1%}) "
        f"in {sum(r.num_taken for r in regions):,} intervals of {regions[0].rule}"
    )
