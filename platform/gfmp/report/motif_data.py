"""What the page of a motif job is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.motif_library import Match
from gfmp.genome.motifs import Motif
from gfmp.report.enrichment import Enrichment


@dataclass(frozen=True)
class Site:
    """Where a motif stands.

    Attributes:
        origin: Where the row comes from.
        start: First base in the row, 0-based.
        end: One past its last base (half-open).
        strand: `+` as the motif is shown, `-` on the other strand.
        sequence: Its bases as the motif reads.
    """

    origin: str
    start: int
    end: int
    strand: str
    sequence: str


@dataclass(frozen=True)
class MotifEntry:
    """A motif that was found, with all that is told of it.

    Attributes:
        motif: Counts at its sites; its name holds its rank.
        seed: The enriched word it began as.
        words: Enriched words that its sites explain.
        threshold: Log-odds of a site at least, bits.
        sites: Its sites in the rows that were searched.
        searched: Enrichment in the rows that chose it.
        tested: Enrichment in the rows that were held out.
        q: False discovery rate of `tested` among these motifs.
        focus: Mean of the map at its sites over its mean in those rows; 1 is no focus.
        matches: Motifs of the library that fit best.
    """

    motif: Motif
    seed: str
    words: tuple[str, ...]
    threshold: float
    sites: tuple[Site, ...] = field(repr=False)
    searched: Enrichment
    tested: Enrichment
    q: float
    focus: float
    matches: tuple[Match, ...] = ()

    @property
    def num_forward(self) -> int:
        """Sites that stand as the motif is shown."""
        return sum(site.strand == "+" for site in self.sites)


@dataclass(frozen=True)
class Completeness:
    """Whether integrated gradients add up in a row.

    Attributes:
        baseline: Score of the row with every word masked.
        gap: Sum of the attributions minus the change of the score.
        error: The gap as a share of that change.
        steps: Points of the quadrature.
        complete: Whether the error is small enough.
    """

    baseline: float
    gap: float
    error: float
    steps: int
    complete: bool


@dataclass(frozen=True)
class RowEntry:
    """One row, base by base.

    Attributes:
        origin: Where it comes from.
        sequence: Its bases.
        score: What the model says of it, in the unit of the data.
        tracks: Scores of each base by what they are called, shape (bases,).
        completeness: Of its integrated gradients.
        marked: Sites of motifs in it: name, start, end.
    """

    origin: str
    sequence: str
    score: float
    tracks: Mapping[str, NDArray[np.float64]] = field(repr=False)
    completeness: Completeness
    marked: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class LibraryFacts:
    """The library that motifs were compared with.

    Attributes:
        name: What it is called.
        num_motifs: Motifs in it.
        credit: Source and licence.
        few: Whether it is too small for its p-values to mean much.
    """

    name: str
    num_motifs: int
    credit: str
    few: bool


@dataclass(frozen=True)
class MotifsData:
    """The findings of a motif job.

    Attributes:
        name: Name of the job.
        run_id: Its run.
        commands: How to repeat it.
        output: The class, label or value that is explained.
        unit: What scores of rows are.
        map: Which map chose the candidate regions.
        facts: Model, task, rows and settings, in words.
        both_strands: Whether motifs were sought on both strands.
        held_out_fraction: Share of the rows that tested motifs and chose nothing.
        background: Share of A, C, G, T in the positive rows, shape (4,).
        motifs: The most enriched first.
        rows: Rows shown base by base.
        library: What motifs were compared with; None where nothing was.
    """

    name: str
    run_id: str
    commands: tuple[str, ...]
    output: str
    unit: str
    map: str
    facts: tuple[tuple[str, str], ...]
    both_strands: bool
    held_out_fraction: float
    background: NDArray[np.float64] = field(repr=False)
    motifs: tuple[MotifEntry, ...]
    rows: tuple[RowEntry, ...]
    library: LibraryFacts | None = None
