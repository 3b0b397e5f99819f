"""What a worker hands back about one source: small, frozen, picklable."""

from __future__ import annotations

from dataclasses import dataclass

from gfmp.genome.manifest import ShardEntry, SourceEntry, SplitTotal


@dataclass(frozen=True)
class SourceReport:
    """One source, read to its end and written.

    Attributes:
        source: Identity, letter classes and sums of its contigs.
        shards: The shards it gave, by split and part.
        totals: One per split that got rows.
    """

    source: SourceEntry
    shards: tuple[ShardEntry, ...]
    totals: tuple[SplitTotal, ...]
