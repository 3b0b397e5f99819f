"""Sweeps with known answers: predictions whose quality grows with the share of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gfmp.ledger.cells import CellResult
from gfmp.plan.cells import NONE, Cell, Ingredient
from gfmp.report.data import SweepData, TaskFacts
from gfmp.spec.learner import AnyLearner, CnnBaseline, Finetuning, KmerBaseline, Probe
from gfmp.storage.hashes import fingerprint
from gfmp.tasks.task import Target

Predictions = NDArray[np.float32]
TARGET = Target("binary", ("intergenic", "coding"))


@dataclass(frozen=True)
class Learned:
    """A line of a made-up sweep: how many logits apart the classes are at 100 percent."""

    learner: AnyLearner
    vocabulary: str
    initial: str
    strength: float


DEMO = (
    Learned(Probe(kind="probe"), "bpe4096", "pretrained", 2.2),
    Learned(Probe(kind="probe"), "kmer6", "pretrained", 1.4),
    Learned(Finetuning(kind="finetune"), "bpe4096", "pretrained", 2.6),
    Learned(Finetuning(kind="finetune"), "kmer6", "pretrained", 2.0),
    Learned(Finetuning(kind="finetune"), "bpe4096", "scratch", 0.9),
    Learned(Finetuning(kind="finetune"), "kmer6", "scratch", 0.8),
    Learned(KmerBaseline(kind="kmer"), NONE, NONE, 1.5),
    Learned(CnnBaseline(kind="cnn"), NONE, NONE, 1.1),
)


def cell_of(task: str, learned: Learned, percent: float, seed: int, rows: int = 2000) -> Cell:
    """Return the cell of a learner."""
    return Cell(
        task=_named(task),
        vocabulary=_named(learned.vocabulary),
        initial=_named(learned.initial),
        learner=learned.learner,
        label_percent=percent,
        seed=seed,
        subset=fingerprint([task, percent, seed]),
        num_rows=max(1, round(rows * percent / 100)),
    )


def _named(name: str) -> Ingredient:
    return Ingredient(name, fingerprint(name)) if name else Ingredient()


def result_of(cell: Cell, predictions: Predictions, **facts: float | int | str) -> CellResult:
    """Return what a cell found."""
    return CellResult(cell.fingerprint, {}, facts, predictions)


def noisy(targets: Predictions, strength: float, seed: int) -> Predictions:
    """Return probabilities whose logits are `strength` apart, with unit noise."""
    rng = np.random.default_rng(seed)
    logits = strength * (targets[:, 0] - 0.5) + rng.standard_normal(len(targets))
    positive = 1.0 / (1.0 + np.exp(-logits))
    return np.stack([1.0 - positive, positive], axis=1).astype(np.float32)


def labels(num_rows: int, seed: int = 7) -> Predictions:
    """Return balanced class indices, shape (N, 1)."""
    return np.random.default_rng(seed).permutation(np.arange(num_rows) % 2)[:, None].astype("f4")


def facts_of(targets: Predictions, metric: str = "mcc") -> TaskFacts:
    """Return the facts of a binary task."""
    return TaskFacts(TARGET, metric, targets, 2000, len(targets), {"intergenic": 1, "coding": 1})


@dataclass(frozen=True)
class Sweep:
    """What a made-up sweep has."""

    tasks: Sequence[str] = ("yeast_coding", "fly_splice", "species")
    learned: Sequence[Learned] = DEMO
    percents: Sequence[float] = (1.0, 3.0, 10.0, 30.0, 100.0)
    seeds: Sequence[int] = (1, 2, 3)
    num_test: int = 300
    metric: str = "mcc"
    unfinished: Sequence[Cell] = field(default_factory=tuple)

    def data(self) -> SweepData:
        """Make the sweep."""
        finished = []
        targets = {task: labels(self.num_test, place) for place, task in enumerate(self.tasks)}
        for place, task in enumerate(self.tasks):
            for number, learned in enumerate(self.learned):
                for percent in self.percents:
                    for seed in self.seeds:
                        cell = cell_of(task, learned, percent, seed)
                        quality = learned.strength * (0.25 + 0.375 * np.log10(percent))
                        draw = seed + 10 * (number + 20 * (place + 20 * round(10 * percent)))
                        guess = noisy(targets[task], quality, draw)
                        finished.append((cell, result_of(cell, guess)))
        return SweepData(
            name="label_efficiency",
            run_id="20260101-000000-sweep",
            commands=("gfmp submit jobs/pretrain.yaml", "gfmp sweep specs/label_efficiency.yaml"),
            tasks={task: facts_of(rows, self.metric) for task, rows in targets.items()},
            finished=tuple(finished),
            unfinished=tuple(self.unfinished),
        )
