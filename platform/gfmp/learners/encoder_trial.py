"""The cells of one task, one vocabulary (or several at once) and one initial model."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import ExistsError
from gfmp.learners.beside import Scale
from gfmp.learners.compute import AUTOMATIC, Compute
from gfmp.learners.embed import Embeddings, SplitEmbedding
from gfmp.learners.finetune import Attempt, Setting, best_attempt, predicted
from gfmp.learners.finetuned import Finetuned, save
from gfmp.learners.initial import Initial
from gfmp.learners.lora import merge
from gfmp.learners.probe import Features, probe
from gfmp.learners.scoring import metrics_of, metrics_on
from gfmp.learners.tokens import TaskTokens
from gfmp.learners.views import TaskViews, View
from gfmp.learners.watch import Watcher, nobody
from gfmp.ledger.cells import CellResult
from gfmp.model.encoder import count_parameters
from gfmp.plan.cells import Cell
from gfmp.spec.learner import Finetuning, Probe
from gfmp.tasks.task import SPLITS, Rows, Split, Task

_ANY_SEED = 0
# The features of a task's rows in each vocabulary.
_Embedded = tuple[Embeddings, ...]


class EncoderTrial:
    """Runs fine-tuning and probe cells that share tokens, weights and embeddings.

    A cell's result depends on the cell, on `threads` and on the device, never on the cells that
    ran before it.

    Args:
        task: The task.
        tokens: Its rows in the trial's vocabulary, or in each of those read at once.
        initial: Where the weights start.
        threads: Threads on a CPU.
        device: `cpu`, `cuda`, or `auto` for the GPU where there is one.
        models: Folder that takes the model of each fine-tuning, named by the beginning of its
            cell's fingerprint; None keeps none.

    Raises:
        MissingInputError: the initial model never saw a vocabulary.
    """

    def __init__(
        self,
        task: Task,
        tokens: Sequence[TaskTokens],
        initial: Initial,
        threads: int = 1,
        device: str = AUTOMATIC,
        models: Path | None = None,
    ) -> None:
        assert len(task.valid) > 0, f"task {task.name!r} has validation rows"
        compute = Compute.of(device, threads)
        self._setting = Setting(task, TaskViews.of(initial, tokens), initial, compute)
        self._others: list[Setting] = []
        self._by_seed: dict[int, tuple[_Embedded, ...]] = {}
        self._prepared = np.zeros(0, dtype=np.int64)
        self._models = models
        self._watcher: Watcher = nobody

    def watched_by(self, watcher: Watcher) -> None:
        """Say who is asked before the epochs of the coming first attempts."""
        self._watcher = watcher

    def also_on(self, task: Task, tokens: Sequence[TaskTokens]) -> None:
        """Score the coming cells on the test rows of another task too, in these vocabularies."""
        own = self._setting
        views = TaskViews.of(own.initial, tokens)
        self._others.append(Setting(task, views, own.initial, own.compute))

    def prepare(self, rows: NDArray[np.int64]) -> None:
        """Say which training rows the coming probe cells will ask for, in all.

        They are then embedded together at the first probe cell; without this hint each cell
        embeds those that are new to it.
        """
        self._prepared = np.unique(rows)

    def run(self, cell: Cell, rows: NDArray[np.int64]) -> CellResult:
        """Learn one cell.

        Args:
            cell: A fine-tuning or a probe of this trial's vocabulary and initial model.
            rows: Its labelled rows, as positions in `task.train`.

        Raises:
            TrainingError: the loss was not finite in any attempt.
        """
        setting, learner = self._setting, cell.learner
        made_of = (cell.vocabulary.fingerprint, cell.initial.fingerprint)
        own = (setting.views.vocabulary.fingerprint, setting.initial.fingerprint)
        assert made_of == own, "a trial runs the cells of its vocabulary and initial model"
        others = [one.task.name for one in self._others]
        assert [one.name for one in cell.also_on] == others, "it knows the tasks of its cells"
        started = time.perf_counter()
        with setting.compute.engaged():
            if isinstance(learner, Finetuning):
                found = self._finetuned(learner, rows, cell)
            else:
                assert isinstance(learner, Probe), f"no encoder learns a {learner.kind} cell"
                found = self._probed(learner, rows, cell.seed)
        valid, undefined_valid = metrics_of(setting.task, "valid", found.valid)
        test, undefined_test = metrics_of(setting.task, "test", found.test)
        tasks = [one.task for one in self._others]
        on, undefined_on = metrics_on(
            {task.name: (task, said) for task, said in zip(tasks, found.others, strict=True)}
        )
        seconds = time.perf_counter() - started
        undefined = {**undefined_valid, **undefined_test, **undefined_on}
        return CellResult(
            cell=cell.fingerprint,
            metrics={**valid, **test, **on},
            facts={**found.facts, **undefined, "seconds": seconds},
            test_predictions=found.test,
            history=found.history,
            other_predictions=dict(zip(others, found.others, strict=True)),
        )

    def _finetuned(self, learner: Finetuning, rows: NDArray[np.int64], cell: Cell) -> _Found:
        setting = self._setting
        attempt, number = best_attempt(setting, learner, rows, cell.seed, self._watcher)
        assert attempt.best is not None, "an attempt without a finite epoch is an error"
        valid = attempt.best.predictions
        test = predicted(setting, attempt.model, attempt.objective, "test").predictions
        others = tuple(
            predicted(one, attempt.model, attempt.objective, "test").predictions
            for one in self._others
        )
        facts = {
            "attempts": number,
            "collapsed": attempt.failed,
            "best_epoch": attempt.best.epoch,
            "steps": attempt.steps,
            "parameters": count_parameters(attempt.model),
        }
        if self._models is not None:
            self._keep(self._models / cell.fingerprint[:12], attempt, cell)
        return _Found(valid, test, facts, attempt.history, others)

    def _keep(self, folder: Path, attempt: Attempt, cell: Cell) -> None:
        """Publish the model of a cell; adapters are merged into it."""
        if isinstance(cell.learner, Finetuning) and cell.learner.method == "lora":
            merge(attempt.model)
        setting = self._setting
        words, target = setting.views.vocabulary.name, setting.task.target
        made = Finetuned(
            attempt.model,
            attempt.objective,
            setting.initial,
            words,
            target,
            cell,
            setting.task.train.feature_names,
        )
        with contextlib.suppress(ExistsError):
            save(folder, made)

    def _probed(self, learner: Probe, rows: NDArray[np.int64], seed: int) -> _Found:
        # A linear model does not depend on the order of its rows, its solver's last digits do.
        rows = np.sort(rows)
        setting, (embeddings, *others) = self._setting, self._embeddings(seed)
        for one in embeddings:
            one.extend("train", np.union1d(rows, self._prepared))
        task, scale = setting.task, Scale.of(setting.task.train, rows)
        features = Features(
            _read(embeddings, "train", scale.applied(task.train, rows), rows),
            _whole(embeddings, "valid", task.valid, scale),
            _whole(embeddings, "test", task.test, scale),
            tuple(
                _whole(parts, "test", one.task.test, scale)
                for one, parts in zip(self._others, others, strict=True)
            ),
        )
        targets = task.train.targets[rows]
        chosen = probe(task, features, targets, learner.penalties)
        facts = {
            "penalty": chosen.penalty,
            "unconverged_fits": chosen.unconverged,
            "features": features.train.shape[1],
            "embedded_rows": sum(one.num_known for one in embeddings),
        }
        return _Found(chosen.valid, chosen.test, facts, (), chosen.others)

    def _embeddings(self, seed: int) -> tuple[_Embedded, ...]:
        """Return the embeddings that cells share, of the task, then of the others.

        Each by vocabulary; untrained encoders differ by seed.
        """
        if self._setting.initial.state is not None:
            seed = _ANY_SEED
        if seed not in self._by_seed:
            # Only the latest seed's are kept: they are as large as the task.
            parts = [self._embedded(self._setting, SPLITS, seed)]
            parts += [self._embedded(one, ("test",), seed) for one in self._others]
            self._by_seed = {seed: tuple(parts)}
        return self._by_seed[seed]

    def _embedded(self, setting: Setting, splits: Sequence[Split], seed: int) -> _Embedded:
        return tuple(self._embedding(view, splits, seed) for view in setting.views.views)

    def _embedding(self, view: View, splits: Sequence[Split], seed: int) -> Embeddings:
        parts = {
            split: SplitEmbedding(
                view.tokens.split(split),
                view.packer,
                self._setting.compute,
                in_full=split != "train",
            )
            for split in splits
        }
        return Embeddings(self._setting.initial, seed, parts)


def _read(
    embeddings: Sequence[Embeddings],
    split: Split,
    beside: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return the states of rows in every vocabulary, each as it is alone, and what is beside."""
    return np.hstack([*(one.of(split, rows) for one in embeddings), beside])


def _whole(
    embeddings: Sequence[Embeddings], split: Split, rows: Rows, scale: Scale
) -> NDArray[np.float32]:
    """Return what a linear model reads of every row of a split."""
    every = np.arange(len(rows))
    return _read(embeddings, split, scale.applied(rows, every), every)


@dataclass(frozen=True)
class _Found:
    """What a learner found: predictions of validation, test and other rows, and what to tell."""

    valid: NDArray[np.float32]
    test: NDArray[np.float32]
    facts: Mapping[str, float | int | str | bool]
    history: tuple[Mapping[str, float], ...]
    others: tuple[NDArray[np.float32], ...] = ()
