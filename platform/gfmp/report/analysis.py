"""Scores of a sweep by task, model and share of labels, with their bootstrap replicates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.cells import CellResult
from gfmp.plan.cells import Cell
from gfmp.report.bootstrap import NUM_REPLICATES, Replicates, Resampling, over_seeds, scores
from gfmp.report.data import SweepData, TaskFacts
from gfmp.storage.hashes import fingerprint

SCRATCH = "scratch"
Family = Literal["pretrained", "scratch", "baseline"]
Finished = tuple[Cell, CellResult]


@dataclass(frozen=True)
class Model:
    """A row of the tables and a line of the figures.

    Attributes:
        name: Method, vocabulary and initial model; with a hash where settings differ too.
        method: `full`, `lora`, `probe`, `kmer` or `cnn`.
        vocabulary: One, or several that are read at once; empty for baselines.
        initial: Empty for baselines.
    """

    name: str
    method: str
    vocabulary: str
    initial: str

    @property
    def family(self) -> Family:
        """Whether it starts pretrained, from scratch, or is a baseline without our encoder."""
        if not self.initial:
            return "baseline"
        return "scratch" if self.initial == SCRATCH else "pretrained"

    @property
    def sort_key(self) -> tuple[int, str, str, str, str]:
        """Pretrained first, baselines last."""
        rank = {"pretrained": 0, "scratch": 1, "baseline": 2}[self.family]
        return (rank, self.initial, self.method, self.vocabulary, self.name)


@dataclass(frozen=True)
class Point:
    """One model of one task at one share of labels.

    Attributes:
        task: Its name.
        model: The model.
        percent: Share of labelled training rows; of the rows there were where they are capped.
        num_rows: Labelled training rows.
        seeds: Seeds with a result, ascending.
        scores: Replicates by metric; the task's own metric first.
    """

    task: str
    model: Model
    percent: float
    num_rows: int
    seeds: tuple[int, ...]
    scores: Mapping[str, Replicates]


@dataclass(frozen=True)
class Analysis:
    """Everything a report says, as values.

    Attributes:
        data: What it was computed from.
        points: By task, model and percent.
        num_replicates: Bootstrap replicates behind each interval.
    """

    data: SweepData
    points: tuple[Point, ...]
    num_replicates: int

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks with a result."""
        return tuple(sorted({point.task for point in self.points}))

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """Every model with a result, pretrained first."""
        return tuple(sorted({p.model for p in self.points}, key=lambda m: m.sort_key))

    @cached_property
    def _curves(self) -> Mapping[tuple[str, Model], tuple[Point, ...]]:
        curves: defaultdict[tuple[str, Model], list[Point]] = defaultdict(list)
        for point in self.points:
            curves[point.task, point.model].append(point)
        return {key: tuple(sorted(c, key=lambda p: p.percent)) for key, c in curves.items()}

    def curve(self, task: str, model: Model) -> tuple[Point, ...]:
        """Return the points of a model by rising percent; empty without a result."""
        return self._curves.get((task, model), ())

    def curves(self, task: str) -> tuple[tuple[Model, tuple[Point, ...]], ...]:
        """Return the curves of a task in the order of the models."""
        return tuple((m, self.curve(task, m)) for m in self.models if self.curve(task, m))

    def main(self, point: Point) -> Replicates:
        """Return the score of the metric that decides the point's task."""
        return point.scores[self.data.tasks[point.task].metric]


def analyse(data: SweepData, num_replicates: int = NUM_REPLICATES) -> Analysis:
    """Score every finished cell and resample it.

    Raises:
        CorruptArtefactError: a cell's predictions do not have the shape of its task.
    """
    points: list[Point] = []
    for task in sorted({cell.task.name for cell, _ in data.finished}):
        mine = _distinct([pair for pair in data.finished if pair[0].task.name == task])
        points += _points(task, data.tasks[task], mine, num_replicates)
    return Analysis(data, tuple(points), num_replicates)


def _distinct(finished: list[Finished]) -> list[Finished]:
    """Drop repeated cells and order the rest by content, not by the time they finished."""
    unique = {(c.fingerprint, c.label_percent, c.model): (c, r) for c, r in finished}
    return [unique[key] for key in sorted(unique)]


def _points(task: str, facts: TaskFacts, finished: list[Finished], number: int) -> list[Point]:
    for cell, result in finished:
        check_shape(cell, result.test_predictions, facts)
    names = model_names(finished)
    resampling = Resampling.of(facts.test_targets, number)
    predictions = [result.test_predictions for _, result in finished]
    metrics = tuple(dict.fromkeys((facts.metric, *facts.also)))
    scored = {m: scores(m, facts.test_targets, predictions, resampling) for m in metrics}
    groups: defaultdict[tuple[Model, float], list[int]] = defaultdict(list)
    for place, (cell, _) in enumerate(finished):
        model = Model(names[place], cell.method, cell.words, cell.initial.name)
        groups[model, share_of(cell, facts)].append(place)
    points = []
    for (model, percent), found in groups.items():
        # Shares above a cap are the same rows again: one of them speaks for each seed.
        by_seed = {finished[place][0].seed: place for place in found}
        places = [by_seed[seed] for seed in sorted(by_seed)]
        averaged = {
            metric: over_seeds(values[places], replicates[places], resampling)
            for metric, (values, replicates) in scored.items()
        }
        num_rows = finished[places[0]][0].num_rows
        points.append(Point(task, model, percent, num_rows, tuple(sorted(by_seed)), averaged))
    return sorted(points, key=lambda point: (point.model.sort_key, point.percent))


def share_of(cell: Cell, facts: TaskFacts) -> float:
    """Return the percent of labels a cell had: less than asked where its rows are capped."""
    if cell.num_rows >= round(cell.label_percent / 100 * facts.num_train):
        return cell.label_percent
    return 100 * cell.num_rows / facts.num_train


def check_shape(cell: Cell, predictions: NDArray[np.float32], facts: TaskFacts) -> None:
    """Check that predictions are of the test rows of a task.

    Raises:
        CorruptArtefactError: they have another shape.
    """
    expected = (facts.num_test, facts.target.num_outputs)
    if predictions.shape != expected or len(facts.test_targets) != facts.num_test:
        raise CorruptArtefactError(
            f"cell {cell.fingerprint[:12]} of task {cell.task.name!r} has predictions of shape "
            f"{predictions.shape}, not {expected}",
            where=cell.model,
            why="predictions have one row for each test row of their task",
            fix="remove that cell's folder and run the sweep again with --resume",
        )


def model_names(finished: list[Finished]) -> list[str]:
    """Name the model of each cell; learners that differ in settings only get a hash."""
    holders: defaultdict[tuple[str, float, int], int] = defaultdict(int)
    for cell, _ in finished:
        holders[cell.model, cell.label_percent, cell.seed] += 1
    crowded = {model for (model, _, _), number in holders.items() if number > 1}
    return [_full_name(cell) if cell.model in crowded else cell.model for cell, _ in finished]


def _full_name(cell: Cell) -> str:
    settings = fingerprint(
        [
            cell.learner.model_dump(mode="json"),
            cell.initial.fingerprint,
            cell.vocabulary.fingerprint,
        ]
    )
    return f"{cell.model} #{settings[:6]}"
