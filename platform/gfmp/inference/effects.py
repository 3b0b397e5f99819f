"""Scores for every variant of a VCF, streamed: survey, shards, head, files. Works without Ray."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from gfmp.errors import CorruptArtefactError
from gfmp.genome.letters import find_letters
from gfmp.genome.locations import LocalFile
from gfmp.genome.selection import PinnedFile
from gfmp.genome.vcf import VcfRecord
from gfmp.inference.embedding import Embedding
from gfmp.inference.likelihood import Likelihood
from gfmp.inference.masked import Masked
from gfmp.inference.measured import Effect, effect_of
from gfmp.inference.names import finetuned_facts, finetuned_folder
from gfmp.inference.profiles import Profile
from gfmp.inference.scorer import Scorer
from gfmp.inference.shards import Scored, Shards
from gfmp.inference.survey import Entry, Survey, VariantFile
from gfmp.inference.texts import Batch
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import load as load_finetuned
from gfmp.plan.cells import Ingredient
from gfmp.plan.variant_effect import EffectPlan, ScorerPlan
from gfmp.spec.variant_effect import EmbeddingScorer, LikelihoodScorer
from gfmp.storage.workspace import Workspace
from gfmp.training.pretrained import find_pretrained

NOT_DUE = "not_due"
# Alternates that are spelled and scored together: enough to fill micro-batches on a CPU.
_BATCH = 64


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes:
        records: Records that are done, those of earlier starts included.
        total: Records of the VCF.
        scored: Alternates scored by this start.
        seconds: What this start has spent on them.
    """

    records: int
    total: int
    scored: int
    seconds: float

    @property
    def rate(self) -> float:
        """Alternates scored a second; 0 before the first."""
        return self.scored / self.seconds if self.seconds > 0 else 0.0


class Watcher(Protocol):
    """Who is told how a job goes, and may stop it."""

    def surveyed(self, survey: Survey) -> None:
        """Take note of what the VCF holds."""
        ...

    def progressed(self, progress: Progress) -> None:
        """Take note of a batch."""
        ...

    def committed(self, number: int, num_bytes: int, progress: Progress) -> None:
        """Take note of a shard."""
        ...

    def stopping(self) -> bool:
        """Return True to end the job; what is committed stays."""
        ...


@dataclass(frozen=True)
class ScoredFile:
    """What became of a VCF.

    Attributes:
        survey: What it holds.
        progress: How far it is; `records` is `total` when all is done.
    """

    survey: Survey
    progress: Progress

    @property
    def complete(self) -> bool:
        """True when no record is left."""
        return self.progress.records == self.progress.total


@dataclass(frozen=True)
class Named:
    """A scorer with what was planned for it."""

    plan: ScorerPlan
    scorer: Scorer


def scorers_of(plan: EffectPlan, workspace: Workspace, compute: Compute) -> tuple[Named, ...]:
    """Load the models of a plan; scorers of one pretrained run share its weights.

    Raises:
        MissingInputError: a model is gone.
        CorruptArtefactError: a model is damaged, or no longer the one that was planned.
        RefusedError: a model reads features beside the sequence.
    """
    pretrained: dict[str, Masked] = {}
    found: list[Named] = []
    for one in plan.what.scorers:
        settings = one.settings
        if isinstance(settings, LikelihoodScorer | EmbeddingScorer):
            if one.model.name not in pretrained:
                pretrained[one.model.name] = _masked(one.model, workspace, compute)
            model = pretrained[one.model.name]
            scorer: Scorer
            if isinstance(settings, LikelihoodScorer):
                scorer = Likelihood(model, settings.vocabulary)
            else:
                scorer = Embedding(model, settings)
        else:
            _check_same(one.model, finetuned_facts(one.model.name, workspace).run.fingerprint)
            _, folder = finetuned_folder(one.model.name, workspace)
            scorer = Profile(load_finetuned(folder, compute), settings, compute)
        found.append(Named(one, scorer))
    return tuple(found)


def _masked(planned: Ingredient, workspace: Workspace, compute: Compute) -> Masked:
    model = find_pretrained(planned.name, workspace)
    _check_same(planned, model.fingerprint)
    return Masked.load(model, compute)


def _check_same(planned: Ingredient, found: str) -> None:
    if found != planned.fingerprint:
        raise CorruptArtefactError(
            f"the model of {planned.name} hashes to {found[:12]}",
            where=planned.name,
            why=f"the job was planned with {planned.fingerprint[:12]}",
            fix="submit the job again: it is another job now",
        )


def shards_of(plan: EffectPlan, folder: Path) -> Shards:
    """Return the shards of a plan in a folder."""
    scored = [column for one in plan.what.scorers for column in one.columns]
    return Shards(folder, plan.what.fingerprint, scored, plan.where.shard_records)


def open_variants(plan: EffectPlan, workspace: Workspace) -> VariantFile:
    """Open the VCF of a plan on its reference.

    Raises:
        DataError: the reference is not FASTA, or not the one of the plan.
    """
    reference = PinnedFile(LocalFile(plan.where.reference_path), plan.what.reference)
    return VariantFile(plan, find_letters(reference, workspace.references))


class Job:
    """A plan on its way through a VCF.

    Args:
        plan: What is computed.
        file: The VCF on its reference.
        shards: Takes what is scored.
    """

    def __init__(self, plan: EffectPlan, file: VariantFile, shards: Shards) -> None:
        self._plan, self._file, self._shards = plan, file, shards
        feeds = plan.what.head.scorer if plan.what.head else ""
        self._feeding = feeds

    def run(self, scorers: Sequence[Named], survey: Survey, watcher: Watcher) -> ScoredFile:
        """Score what is not committed yet; ends early when the watcher says so.

        Args:
            scorers: Those of the plan, in its order.
            survey: What the VCF holds.
            watcher: Is told.

        Raises:
            DataError: a measured effect is no number.
            StorageError: the disk refused.
        """
        progress = Progress(0, survey.records, 0, 0.0)
        size = self._shards.shard_records
        numbered = itertools.groupby(self._file.records(), lambda pair: pair[0] // size)
        for number, records in numbered:
            end = min(survey.records, (number + 1) * size)
            if self._shards.committed(number):
                progress = replace(progress, records=end)
                continue
            scored = self._scored(list(records), scorers, (progress, watcher))
            if scored is None:
                return ScoredFile(survey, progress)
            done, progress = scored
            progress = replace(progress, records=end)
            num_bytes = self._shards.commit(number, done, end)
            watcher.committed(number, num_bytes, progress)
            if watcher.stopping():
                break
        return ScoredFile(survey, progress)

    def _scored(
        self,
        records: Sequence[tuple[int, VcfRecord]],
        scorers: Sequence[Named],
        told: tuple[Progress, Watcher],
    ) -> tuple[Scored, Progress] | None:
        """Score the records of a shard; None when the watcher ends the job."""
        progress, watcher = told
        entries = [self._due(entry) for i, record in records for entry in self._of(i, record)]
        due = [place for place, entry in enumerate(entries) if entry.window is not None]
        values = np.full((len(entries), len(self._shards.columns)), np.nan)
        features = np.zeros((len(entries), 0), dtype=np.float32)
        for first in range(0, len(due), _BATCH):
            began, places = time.monotonic(), due[first : first + _BATCH]
            batch = self._batch([entries[place] for place in places])
            values[places], difference = self._values(batch, scorers)
            if difference.shape[1]:
                if not features.shape[1]:
                    width = difference.shape[1]
                    features = np.full((len(entries), width), np.nan, dtype=np.float32)
                features[places] = difference
            progress = replace(
                progress,
                records=entries[places[-1]].index,
                scored=progress.scored + len(places),
                seconds=progress.seconds + time.monotonic() - began,
            )
            watcher.progressed(progress)
            if watcher.stopping():
                return None
        return Scored(entries, [self._effect(e) for e in entries], values, features), progress

    def _of(self, index: int, record: VcfRecord) -> Iterator[Entry]:
        return self._file.entries(index, record)

    def _due(self, entry: Entry) -> Entry:
        """Take the windows from an alternate that is not scored in full."""
        if entry.window is None or entry.index % self._plan.what.score_every == 0:
            return entry
        return replace(entry, window=None, skipped=NOT_DUE)

    def _batch(self, entries: Sequence[Entry]) -> Batch:
        windows = [entry.window for entry in entries if entry.window is not None]
        return Batch.of(windows, both_strands=self._plan.what.both_strands)

    def _values(self, batch: Batch, scorers: Sequence[Named]) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of a batch, shape (N, C), and the features for a head, (N, F)."""
        found, features = [], np.zeros((len(batch), 0), dtype=np.float32)
        for one in scorers:
            scores = one.scorer.score(batch)
            found.append(scores.values)
            if one.plan.name == self._feeding:
                features = scores.features
        return np.concatenate(found, axis=1), features

    def _effect(self, entry: Entry) -> Effect:
        measured = self._plan.what.measured
        if measured is None:
            return Effect(math.nan, "", False)
        return effect_of(entry.allele, measured)
