"""What a report is made of: the facts of the tasks, finished cells and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gfmp.ledger.cells import CellResult
from gfmp.plan.advice import Decision
from gfmp.plan.cells import Cell
from gfmp.spec.comparison import PaperFigure, Transfer
from gfmp.tasks.leaks import LeakReport
from gfmp.tasks.task import Target, Task


@dataclass(frozen=True)
class TaskFacts:
    """What a report has to know about a task.

    Attributes:
        target: What is predicted.
        metric: The one that decides; a name of `tasks.metrics.METRICS`.
        test_targets: float32, shape (N, 1) for classes, (N, K) for labels and values.
        num_train: Labelled rows at 100 percent.
        num_test: Rows that are scored.
        class_counts: Test rows of each class (classes), positive test rows of each label
            (labels); empty for values.
        also: Metrics that are reported beside it.
        facts: Provenance for people: source, licence, citation.
    """

    target: Target
    metric: str
    test_targets: NDArray[np.float32] = field(compare=False)
    num_train: int
    num_test: int
    class_counts: Mapping[str, int] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task) -> TaskFacts:
        """Read the facts off a prepared task."""
        return cls(
            target=task.target,
            metric=task.metric,
            test_targets=task.test.matrix,
            num_train=len(task.train),
            num_test=len(task.test),
            class_counts=_class_counts(task.target, task.test.matrix),
            also=task.also,
            facts=task.facts,
        )


def _class_counts(target: Target, targets: NDArray[np.float32]) -> dict[str, int]:
    if target.kind == "regression":
        return {}
    if target.kind == "multilabel":
        positive = np.nan_to_num(targets).sum(axis=0)
        return {name: int(count) for name, count in zip(target.names, positive, strict=True)}
    counts = np.bincount(targets[:, 0].astype(np.int64), minlength=target.num_outputs)
    return {name: int(count) for name, count in zip(target.names, counts, strict=True)}


@dataclass(frozen=True)
class SweepData:
    """A sweep, finished or not.

    Attributes:
        name: What its spec calls it.
        run_id: Its run in the ledger.
        commands: What repeats it, one shell line each.
        tasks: Facts by task name; every task of a finished cell is there.
        finished: Cells with their results.
        unfinished: Cells that have no result, whatever the reason.
        failures: Error of unfinished cells that were tried, by the cell's fingerprint.
        decisions: Advice on vocabularies that was asked for by task and initial model.
        leaks: The leak audit; None for a sweep from before there were audits.
        paper: Which part of the paper it does again; None for one that says nothing of it.
        transfer: On which other tasks its models are scored; None for most.
    """

    name: str
    run_id: str
    commands: tuple[str, ...]
    tasks: Mapping[str, TaskFacts]
    finished: tuple[tuple[Cell, CellResult], ...]
    unfinished: tuple[Cell, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    leaks: LeakReport | None = None
    paper: PaperFigure | None = None
    transfer: Transfer | None = None
