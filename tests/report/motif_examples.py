"""Findings of a motif job that nobody computed."""

from __future__ import annotations

import numpy as np

from gfmp.genome.motif_library import Match
from gfmp.genome.motifs import Motif
from gfmp.report.enrichment import Enrichment
from gfmp.report.motif_data import (
    Completeness,
    LibraryFacts,
    MotifEntry,
    MotifsData,
    RowEntry,
    Site,
)

CONSENSUS = "GATTACA"
SOFT = np.eye(4)[["ACGT".index(letter) for letter in CONSENSUS]] * 40 + 5


def entry(rank: int = 1, matched: bool = True) -> MotifEntry:
    """Return a motif with three sites, one of them on the other strand."""
    sites = tuple(
        Site(f"chr1:{n}-{n + 60}:+", 10 + n, 17 + n, "+-+"[n], CONSENSUS) for n in range(3)
    )
    matches = (
        Match("MA0001.1 <made>", 3e-7, 2e-5, 1, False, 6),
        Match("MA0002.1 other", 0.2, 0.6, -2, True, 5),
    )
    return MotifEntry(
        motif=Motif(f"motif-{rank}", SOFT),
        seed="GATTAC",
        words=tuple(f"GATTA{a}" for a in "ACGT") * 4,
        threshold=8.25,
        sites=sites,
        searched=Enrichment(90, 140, 3, 140, -33.2),
        tested=Enrichment(40, 60, 1, 60, -15.4),
        q=3e-15,
        focus=3.21,
        matches=matches if matched else (),
    )


def row(length: int = 60, complete: bool = True) -> RowEntry:
    """Return a row of which 20 bases in the middle carry everything."""
    generator = np.random.default_rng(0)
    scores = generator.normal(size=length) * 0.05
    middle = length // 2
    scores[middle - 10 : middle + 10] += 1.0
    tracks = {"attention (rollout)": np.abs(scores), "integrated gradients": scores}
    sequence = "".join(generator.choice(list("ACGTN"), length))
    found = Completeness(-2.5, 0.01 if complete else 3.0, 0.002 if complete else 0.6, 32, complete)
    return RowEntry("chr2:5-65:-", sequence, 4.125, tracks, found, (("motif-1", 25, 32),))


def data(**changes: object) -> MotifsData:
    """Return the findings of a job, some of them changed."""
    usual: dict[str, object] = {
        "name": "made<motifs>",
        "run_id": "made-1",
        "commands": ("gfmp submit made.yaml",),
        "output": "bound",
        "unit": "log-odds of the class",
        "map": "rollout",
        "facts": (("Task", "made"), ("Rows", "200 | 200")),
        "both_strands": True,
        "held_out_fraction": 0.3,
        "background": np.full(4, 0.25),
        "motifs": (entry(), entry(2)),
        "rows": (row(), row(150)),
        "library": LibraryFacts("made.meme", 40, "made by us", few=False),
    }
    return MotifsData(**{**usual, **changes})  # type: ignore[arg-type]
