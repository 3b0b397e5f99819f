"""Evidence for one vocabulary over another: statistics, overlap, and a cheap frozen probe."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.learners.compute import AUTOMATIC, Compute
from gfmp.learners.embed import SplitEmbedding
from gfmp.learners.initial import Initial
from gfmp.learners.packed import RowPacker
from gfmp.learners.probe import Features, probe
from gfmp.learners.tokens import TaskTokens
from gfmp.plan.advice import Advice, AdviceBasis, Decision, Evidence, Probed, rank
from gfmp.plan.flops import forward_flops
from gfmp.report.bootstrap import Resampling, over_seeds, scores
from gfmp.spec.learner import Probe
from gfmp.tasks.positives import Positives, positives
from gfmp.tasks.subsets import choose, order
from gfmp.tasks.task import Task
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.statistics import TaskWords, TokenStatistics, measure, overlap, task_words
from gfmp.vocabulary.vocabulary import Vocabulary

_ANY_SEED, _WHOLE = 0, 100.0
_FEWEST_ROWS = 64
_GPU_TIMES = 100
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Effort:
    """How much work goes into a piece of advice.

    Attributes:
        seeds: One nested subset of the training rows each.
        train_rows: Labelled rows of a subset, at most (more where a class would be left out).
        valid_rows: Validation rows that are scored, at most.
        replicates: Resamples behind the confidence.
        statistics_bp: Bases of training rows whose tokens are counted, at most.
        budget_flops: Most floating-point operations of embedding for one vocabulary; larger
            models get fewer rows, down to 64. The default is about 20 s on a CPU core; a GPU
            gets a hundred times as much.
        threads: CPU threads; one, so that advice does not depend on the cores of a machine.
        device: `cpu`, `cuda`, or `auto` for the GPU where there is one.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    train_rows: int = 384
    valid_rows: int = 768
    replicates: int = 400
    statistics_bp: int = 1_000_000
    budget_flops: float = 1.5e12
    threads: int = 1
    device: str = AUTOMATIC


class TaskAdvisor:
    """Advises on the vocabulary of one task.

    Args:
        task: Only its training and validation rows are read.
        families: Makes the tokenizers, and the BPE of the task.
        effort: How much work is done.
    """

    def __init__(self, task: Task, families: FamilyRegistry, effort: Effort) -> None:
        self._task, self._families, self._effort = task, families, effort
        self._statistics: dict[str, TokenStatistics | str] = {}

    def advise(
        self,
        candidates: Mapping[str, Vocabulary],
        name: str = "",
        initial: Initial | None = None,
    ) -> Decision:
        """Gather evidence for each candidate and rank them.

        Args:
            candidates: Vocabularies by name, at least one.
            name: What the initial model is called; empty for none.
            initial: Its weights, pretrained with every candidate; None where there are none to
                probe, and then the overlap decides.

        Raises:
            DataError: no candidate can encode the rows of the task.
            MissingInputError: the initial model never saw a candidate.
            VocabularyError: the positive sequences yield no words.
        """
        began = time.perf_counter()
        found = [self._evidence(vocabulary) for _, vocabulary in sorted(candidates.items())]
        usable = {one.vocabulary for one in found if not one.refusal}
        if not usable:
            raise DataError(
                f"no vocabulary can encode the task {self._task.name!r}",
                where=found[0].vocabulary,
                why=found[0].refusal,
                fix="drop such rows from the task, or give vocabularies of shorter words",
            )
        if initial is not None and len(usable) > 1:
            wanted = {n: v for n, v in candidates.items() if n in usable}
            probed = self._probed(wanted, initial)
            found = [replace(one, probed=probed.get(one.vocabulary)) for one in found]
        advice = rank(found)
        return Decision(
            task=self._task.name,
            task_fingerprint=self._task.fingerprint,
            initial=name,
            initial_fingerprint=initial.fingerprint if initial is not None else "",
            advice=advice,
            evidence=tuple(sorted(found, key=lambda one: _place(advice, one))),
            basis=self._basis(time.perf_counter() - began),
        )

    def _basis(self, seconds: float) -> AdviceBasis:
        return AdviceBasis(
            positives=self._positives.rule,
            num_positives=len(self._positives.rows),
            task_words=len(self._words.words),
            task_words_asked=self._words.num_asked,
            seconds=round(seconds, 1),
        )

    @cached_property
    def _positives(self) -> Positives:
        return positives(self._task)

    @cached_property
    def _words(self) -> TaskWords:
        rows = self._task.train.take(self._positives.rows)
        return task_words(rows.sequences, self._families)

    @cached_property
    def _sample(self) -> tuple[bytes, ...]:
        """Training rows, stratified, whose tokens are counted."""
        ordered = order(self._task.train, self._task.target, _ANY_SEED)
        rows = [self._task.train.sequences[i] for i in ordered.tolist()]
        total = np.cumsum([len(row) for row in rows])
        enough = int(np.searchsorted(total, self._effort.statistics_bp, side="right"))
        return tuple(rows[: max(1, enough)])

    def _evidence(self, vocabulary: Vocabulary) -> Evidence:
        found = Evidence(
            vocabulary=vocabulary.name,
            fingerprint=vocabulary.fingerprint,
            num_words=len(vocabulary.words),
            overlap=overlap(self._words, vocabulary),
        )
        measured = self._measured(vocabulary)
        if isinstance(measured, str):
            return replace(found, refusal=measured)
        return replace(found, statistics=measured)

    def _measured(self, vocabulary: Vocabulary) -> TokenStatistics | str:
        """Return the statistics, or why the vocabulary cannot encode the task."""
        key = vocabulary.fingerprint
        if key not in self._statistics:
            parts = (self._task.train, self._task.valid, self._task.test)
            shortest = min(len(row) for part in parts for row in part.sequences)
            if shortest < vocabulary.shortest_bp:
                self._statistics[key] = (
                    f"a row has {shortest} bases, and {vocabulary.name} encodes sequences of at"
                    f" least {vocabulary.shortest_bp}"
                )
            else:
                tokenizer = self._families.tokenizer(vocabulary)
                self._statistics[key] = measure(tokenizer, self._sample)
        return self._statistics[key]

    def _probed(
        self, candidates: Mapping[str, Vocabulary], initial: Initial
    ) -> Mapping[str, Probed]:
        """Probe every candidate on the same rows; none where the metric is undefined."""
        compute = Compute.of(self._effort.device, self._effort.threads)
        rows = self._probe_rows(candidates, initial, compute)
        resampling = Resampling.of(rows.task.valid.matrix, self._effort.replicates)
        metric, values, drawn = self._task.metric, {}, {}
        with compute.engaged():
            for name, vocabulary in candidates.items():
                guesses = self._guesses(rows, vocabulary, initial, compute)
                scored, resampled = scores(metric, rows.task.valid.matrix, guesses, resampling)
                values[name] = scored
                drawn[name] = over_seeds(scored, resampled, resampling).values
        defined = np.isfinite(np.stack(list(drawn.values()))).all(axis=0)
        if not (np.isfinite(np.stack(list(values.values()))).all() and defined.any()):
            return {}
        return {
            name: Probed(
                metric=metric,
                seed_scores=tuple(np.round(values[name], 6).tolist()),
                resampled=tuple(np.round(drawn[name][defined], 6).tolist()),
                train_rows=len(rows.subsets[0]),
                valid_rows=len(rows.task.valid),
            )
            for name in candidates
        }

    def _probe_rows(
        self, candidates: Mapping[str, Vocabulary], initial: Initial, compute: Compute
    ) -> ProbeRows:
        affordable = self._affordable(list(candidates.values()), initial, compute)
        wanted = len(self._effort.seeds) * self._effort.train_rows + self._effort.valid_rows
        share = min(1.0, affordable / wanted)
        most_train, most_valid = (
            min(most, max(_FEWEST_ROWS, int(share * most)))
            for most in (self._effort.train_rows, self._effort.valid_rows)
        )
        return probe_rows(self._task, self._effort.seeds, most_train, most_valid)

    def _affordable(
        self, candidates: Sequence[Vocabulary], initial: Initial, compute: Compute
    ) -> float:
        """Return how many rows the budget embeds in the vocabulary of the most tokens."""
        mean_bp = float(np.mean([len(sequence) for sequence in self._sample]))
        tokens = 3 + round(max(v.expected_tokens(round(mean_bp)) for v in candidates))
        cost = forward_flops(initial.architecture, tokens, tokens * tokens, 0, 0)
        return self._effort.budget_flops * (_GPU_TIMES if compute.on_gpu else 1) / cost

    def _guesses(
        self, rows: ProbeRows, vocabulary: Vocabulary, initial: Initial, compute: Compute
    ) -> list[NDArray[np.float32]]:
        """Return the predictions of the validation rows after learning each subset."""
        tokens = TaskTokens.encode(rows.task, self._families.tokenizer(vocabulary))
        packer = RowPacker(initial, tokens)
        train, valid = (
            SplitEmbedding(part, packer, compute, in_full=True)
            for part in (tokens.train, tokens.valid)
        )
        every = (np.arange(len(rows.task.train)), np.arange(len(rows.task.valid)))
        encoder = initial.encoder(_ANY_SEED)
        train.extend(encoder, every[0])
        valid.extend(encoder, every[1])
        scored = valid.features(every[1])
        penalties = Probe(kind="probe").penalties
        guesses = []
        for subset in rows.subsets:
            # Nothing is predicted but validation rows: they stand in for test rows too.
            features = Features(train.features(subset), scored, scored)
            targets = rows.task.train.targets[subset]
            guesses.append(probe(rows.task, features, targets, penalties).valid)
        return guesses


@dataclass(frozen=True)
class ProbeRows:
    """The few rows of a task that probes are learned from and scored on.

    Attributes:
        task: The task with these rows only; its test rows are its validation rows once more.
        subsets: Positions in `task.train` of each seed's subset, ascending.
    """

    task: Task
    subsets: tuple[Integers, ...]


def probe_rows(task: Task, seeds: Sequence[int], most_train: int, most_valid: int) -> ProbeRows:
    """Choose rows for probes: a nested, stratified subset per seed, stratified validation rows.

    A subset grows by doubling until no class is left out of it.
    """
    chosen = [np.sort(_subset(task, seed, most_train)) for seed in seeds]
    together = np.unique(np.concatenate(chosen))
    valid = task.valid.take(order(task.valid, task.target, _ANY_SEED)[:most_valid])
    small = replace(task, train=task.train.take(together), valid=valid, test=valid)
    return ProbeRows(small, tuple(np.searchsorted(together, rows) for rows in chosen))


def _subset(task: Task, seed: int, most_rows: int) -> Integers:
    while most_rows < len(task.train):
        try:
            return choose(task, _WHOLE, seed, most_rows).rows
        except DataError:
            most_rows *= 2
    return choose(task, _WHOLE, seed).rows


def _place(advice: Advice, one: Evidence) -> tuple[int, str]:
    ranked = advice.ranking
    known = one.vocabulary in ranked
    return ranked.index(one.vocabulary) if known else len(ranked), one.vocabulary
