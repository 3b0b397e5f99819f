"""A motif job from its plan to its findings: rows, maps, regions, motifs, matches, rows shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.genome.motif_library import Match, MotifLibrary
from gfmp.inference.attribution_gradients import integrated_gradients
from gfmp.inference.attribution_mutagenesis import importance, mutagenesis
from gfmp.inference.attribution_rows import RowReader
from gfmp.inference.attribution_target import Explained, row_scores
from gfmp.inference.motif_bases import Sites
from gfmp.inference.motif_inputs import known_motifs
from gfmp.inference.motif_maps import Explainer, Maps
from gfmp.inference.motif_match import FEW_MOTIFS, best_matches
from gfmp.inference.motif_regions import candidate_bases
from gfmp.inference.motif_search import FoundMotif, find_motifs, folds
from gfmp.inference.motif_sides import chosen, sides_of
from gfmp.inference.motif_words import Side, Split
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import Finetuned
from gfmp.plan.motifs import MotifPlan
from gfmp.report.motif_data import Completeness, LibraryFacts, MotifEntry, RowEntry, Site
from gfmp.spec.motifs import MapName
from gfmp.tasks.task import Rows, Task

_COMPLEMENTS = bytes.maketrans(b"ACGT", b"TGCA")


class Watcher(Protocol):
    """Who sees how a job goes."""

    def read(self, rows: int, total: int) -> None:
        """Take note of rows whose map was read."""
        ...

    def stopping(self) -> bool:
        """Return True when the job should stop."""
        ...


@dataclass(frozen=True)
class Findings:
    """What a job found.

    Attributes:
        motifs: The most enriched first.
        rows: Rows shown base by base.
        library: The library that motifs were compared with; None for none.
        background: Share of A, C, G, T in the positive rows.
        candidate_fraction: Share of the bases of positive rows in candidate regions.
    """

    motifs: tuple[MotifEntry, ...]
    rows: tuple[RowEntry, ...]
    library: LibraryFacts | None
    background: NDArray[np.float64] = field(repr=False)
    candidate_fraction: float


@dataclass(frozen=True)
class MotifWork:
    """A job with all it reads loaded.

    Attributes:
        plan: What it does.
        made: The model.
        task: The task whose rows are read.
        compute: Device and threads.
    """

    plan: MotifPlan
    made: Finetuned
    task: Task
    compute: Compute

    def run(self, watcher: Watcher) -> Findings | None:
        """Do the job; None when it was asked to stop.

        Raises:
            DataError: a row is shorter than the model can read, or the library has changed.
            MissingInputError: the library or memelite is gone.
        """
        what = self.plan.what
        rows = self.task.rows(what.split)
        sides = sides_of(self.task.target, what.output, rows.matrix)
        here, there = (rows.take(chosen(side, what.max_rows, what.seed)) for side in sides)
        explainer = self._explainer()
        maps = _read(explainer, here, what.map, watcher)
        if maps is None:
            return None
        candidates = candidate_bases(maps, what.regions)
        searched, tested, places = self._split(here, there, candidates)
        found = find_motifs(searched, tested, what.search)
        library = self._library()
        matches = _matched(found, library, what.matches)
        shown = _Shown(explainer, here, maps, what.map)
        entries = tuple(
            _entry(one, match, here.take(places), [maps[i] for i in places])
            for one, match in zip(found, matches, strict=True)
        )
        return Findings(
            entries,
            tuple(shown.rows(what.rows_shown, entries)),
            _facts(library),
            searched.positives.bases.background(what.search.both_strands),
            float(np.concatenate(candidates).mean()),
        )

    def _library(self) -> MotifLibrary | None:
        where = self.plan.where.library
        library = known_motifs(where, Path())
        if library is not None and library.fingerprint != self.plan.what.library:
            raise DataError(
                f"the library {library.name} is not what it was when the job was planned",
                where=where,
                why="known motifs are part of a job's identity",
                fix="restore it, or submit the job again",
            )
        return library

    def _explainer(self) -> Explainer:
        what = Explained(self.made.target, self.plan.what.output)
        return Explainer(self.made, RowReader(self.made), what, self.compute)

    def _split(
        self, here: Rows, there: Rows, candidates: Sequence[NDArray[np.bool_]]
    ) -> tuple[Split, Split, NDArray[np.int64]]:
        """Return rows that are searched, rows that test, and which positives are searched."""
        held_out, seed = self.plan.what.held_out_fraction, self.plan.what.seed
        parts = zip(
            folds(len(here), held_out, seed), folds(len(there), held_out, seed), strict=True
        )
        (first, others), (second, other_others) = parts
        searched = Split(
            Side.of(here.take(first).sequences, [candidates[i] for i in first]),
            Side.of(there.take(others).sequences),
        )
        tested = Split(
            Side.of(here.take(second).sequences), Side.of(there.take(other_others).sequences)
        )
        return searched, tested, first


def _read(explainer: Explainer, rows: Rows, name: MapName, watcher: Watcher) -> Maps | None:
    """Read the map of every row; None when asked to stop."""
    maps: Maps = []
    for some in explainer.maps(rows.sequences, name):
        maps += some
        watcher.read(len(maps), len(rows))
        if watcher.stopping():
            return None
    return maps


def _matched(
    found: Sequence[FoundMotif], library: MotifLibrary | None, most: int
) -> tuple[tuple[Match, ...], ...]:
    if library is None:
        return ((),) * len(found)
    return best_matches([one.motif for one in found], library, most)


def _facts(library: MotifLibrary | None) -> LibraryFacts | None:
    if library is None:
        return None
    num_motifs = len(library.motifs)
    return LibraryFacts(library.name, num_motifs, library.credit, num_motifs < FEW_MOTIFS)


def _entry(
    found: FoundMotif, matches: tuple[Match, ...], rows: Rows, maps: Sequence[NDArray[np.float64]]
) -> MotifEntry:
    """Return a found motif with its sites in the rows that were searched."""
    width = found.motif.width
    return MotifEntry(
        motif=found.motif,
        seed=found.seed,
        words=found.words,
        threshold=found.threshold,
        sites=tuple(_sites(found.sites, rows, width)),
        searched=found.searched,
        tested=found.tested,
        q=found.q,
        focus=_focus(found.sites, maps, width),
        matches=matches,
    )


def _sites(sites: Sites, rows: Rows, width: int) -> list[Site]:
    listed = zip(sites.rows.tolist(), sites.starts.tolist(), sites.forward.tolist(), strict=True)
    found = []
    for row, start, forward in listed:
        read = rows.sequences[row][start : start + width]
        read = read if forward else read.translate(_COMPLEMENTS)[::-1]
        strand = "+" if forward else "-"
        found.append(Site(rows.origins[row], start, start + width, strand, read.decode("ascii")))
    return found


def _focus(sites: Sites, maps: Sequence[NDArray[np.float64]], width: int) -> float:
    """Return the mean of the map at sites over its mean in their rows."""
    places = list(zip(sites.rows.tolist(), sites.starts.tolist(), strict=True))
    at_sites = np.concatenate([maps[row][start : start + width] for row, start in places])
    of_rows = np.concatenate([maps[row] for row, _ in places])
    overall = float(of_rows.mean())
    return float(at_sites.mean()) / overall if overall else 1.0


@dataclass(frozen=True)
class _Shown:
    """What is needed to show rows base by base."""

    explainer: Explainer
    positives: Rows
    maps: Maps
    map: MapName

    def rows(self, most: int, motifs: Sequence[MotifEntry]) -> list[RowEntry]:
        """Return the rows of the highest score, with every kind of attribution."""
        explainer = self.explainer
        if not most:
            return []
        read = explainer.reader.read(self.positives.sequences)
        scores = row_scores(explainer.made.model, read, explainer.what, explainer.compute)
        best = np.argsort(-scores, kind="stable")[:most]
        return [self._row(int(row), float(scores[row]), motifs) for row in best]

    def _row(self, row: int, score: float, motifs: Sequence[MotifEntry]) -> RowEntry:
        explainer, sequence = self.explainer, self.positives.sequences[row]
        model, what, compute = explainer.made.model, explainer.what, explainer.compute
        read = explainer.reader.read([sequence])
        integrated = integrated_gradients(model, read, 0, what, compute)
        changes = mutagenesis(model, explainer.reader, sequence, what, compute)
        attention = self.map if self.map in ("cls", "pooled") else "rollout"
        (looked,) = next(explainer.maps([sequence], attention))
        origin = self.positives.origins[row]
        return RowEntry(
            origin=origin,
            sequence=sequence.decode("ascii"),
            score=score,
            tracks={
                f"attention ({attention})": looked,
                "integrated gradients": integrated.per_base,
                "mutagenesis: mean loss": importance(changes),
            },
            completeness=Completeness(
                integrated.baseline,
                integrated.gap,
                integrated.error,
                integrated.steps,
                integrated.complete,
            ),
            marked=tuple(
                (motif.motif.name, site.start, site.end)
                for motif in motifs
                for site in motif.sites
                if site.origin == origin
            ),
        )
