"""The CNN baseline: trained from nothing on the labelled rows.

Source: Gresova et al., Genomic Benchmarks (2023): the network, and Adam at its usual rate. Early
stopping, the second attempt and targets other than two classes are ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from gfmp.learners.beside import Scale
from gfmp.learners.cnn_network import SHORTEST_BP, letter_codes
from gfmp.learners.cnn_training import Examples, Fitted, Lesson, train
from gfmp.learners.collapse import is_collapsed
from gfmp.learners.compute import Compute
from gfmp.learners.keyed import attempt_seed
from gfmp.learners.scoring import metrics_of, metrics_on
from gfmp.learners.watch import Watcher, nobody
from gfmp.ledger.cells import CellResult
from gfmp.plan.cells import Cell
from gfmp.spec.learner import CnnBaseline
from gfmp.tasks.task import SPLITS, Rows, Split, Task


class CnnTrial:
    """The cells of the CNN baseline on one task; its letters are coded once for all of them.

    Rows are padded to the longest of the tasks, and to what three poolings need. With one thread
    a result is a function of its cell.

    Args:
        task: The task.
        threads: Threads torch computes with.
        others: Tasks whose test rows are scored too.
    """

    def __init__(self, task: Task, threads: int = 1, others: Sequence[Task] = ()) -> None:
        self._task, self._others = task, tuple(others)
        self._compute = Compute.of("cpu", threads)
        read = [task.rows(split) for split in SPLITS] + [one.test for one in others]
        longest = (len(sequence) for rows in read for sequence in rows.sequences)
        length_bp = max(SHORTEST_BP, max(longest, default=0))
        self._read = [_coded(one.test, length_bp) for one in others]
        self._examples: Mapping[Split, Examples] = {
            split: _coded(task.rows(split), length_bp) for split in SPLITS
        }
        self._watcher: Watcher = nobody

    def watched_by(self, watcher: Watcher) -> None:
        """Say who is asked before the epochs of the coming first attempts."""
        self._watcher = watcher

    def run(self, cell: Cell, rows: NDArray[np.int64]) -> CellResult:
        """Learn from some rows of the training split and score the test split once.

        A network that has collapsed on the validation rows is trained again from another seed,
        as often as the learner allows; the last one counts.

        Args:
            cell: What to do; its learner is a CNN baseline.
            rows: Positions of the labelled rows in the training split.
        """
        learner = cell.learner
        assert isinstance(learner, CnnBaseline), "the cells of this trial are CNN baselines"
        began = time.perf_counter()
        with self._compute.engaged():
            scale = Scale.of(self._task.train, rows)
            attempts, fitted = self._attempt(learner, rows, cell.seed)
            valid = fitted.predict(_beside(self._examples["valid"], self._task.valid, scale))
            test = fitted.predict(_beside(self._examples["test"], self._task.test, scale))
            others = {
                task.name: fitted.predict(_beside(read, task.test, scale))
                for task, read in zip(self._others, self._read, strict=True)
            }
        valid_metrics, valid_facts = metrics_of(self._task, "valid", valid)
        test_metrics, test_facts = metrics_of(self._task, "test", test)
        on, on_facts = metrics_on({one.name: (one, others[one.name]) for one in self._others})
        return CellResult(
            cell=cell.fingerprint,
            metrics={**valid_metrics, **test_metrics, **on},
            facts={
                "attempts": attempts,
                "collapsed": self._collapsed(valid),
                "steps": fitted.steps,
                "best_epoch": fitted.best_epoch,
                "seconds": round(time.perf_counter() - began, 3),
                **valid_facts,
                **test_facts,
                **on_facts,
            },
            test_predictions=test,
            history=fitted.history,
            other_predictions=others,
        )

    def _attempt(
        self, learner: CnnBaseline, rows: NDArray[np.int64], seed: int
    ) -> tuple[int, Fitted]:
        """Return how many networks were trained, and the last of them."""
        task, scale = self._task, Scale.of(self._task.train, rows)
        labelled = self._examples["train"].take(torch.from_numpy(rows))
        labelled = _beside(labelled, task.train.take(rows), scale)
        valid = _beside(self._examples["valid"], task.valid, scale)
        lesson = Lesson(self._task.target, self._task.metric, labelled, valid)
        for attempt in range(learner.attempts):
            watcher = nobody if attempt else self._watcher
            fitted = train(learner, lesson, attempt_seed(seed, attempt), watcher)
            if not self._collapsed(fitted.predict(valid)):
                break
        return attempt + 1, fitted

    def _collapsed(self, valid: NDArray[np.float32]) -> bool:
        return is_collapsed(self._task.target, self._task.valid.matrix, valid)


def _coded(rows: Rows, length_bp: int) -> Examples:
    letters = torch.from_numpy(letter_codes(rows.sequences, length_bp))
    return Examples(letters, torch.from_numpy(rows.matrix.copy()), torch.zeros(len(rows), 0))


def _beside(examples: Examples, rows: Rows, scale: Scale) -> Examples:
    """Return examples of rows with the features beside their sequences."""
    features = scale.applied(rows, np.arange(len(rows)))
    return replace(examples, beside=torch.from_numpy(features))
