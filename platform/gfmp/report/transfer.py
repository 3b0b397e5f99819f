"""Models on the test rows of other tasks: scores, the ceiling within, ratios and their tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gfmp.ledger.cells import CellResult
from gfmp.plan.cells import Cell
from gfmp.report.analysis import Analysis, Finished, Model, check_shape, model_names, share_of
from gfmp.report.bootstrap import Estimate, Replicates, Resampling, over_seeds, scores

# As in Ye et al., Fig. 4: two-sided.
STARS: Final = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
_FEWEST: Final = 2
# Source, target, model, share of labels.
_Key = tuple[str, str, Model, float]


@dataclass(frozen=True)
class Crossed:
    """A model of one task, scored on the test rows of another.

    Attributes:
        source: The task that was learned from.
        target: The task whose test rows were scored.
        model: The model.
        percent: Share of labelled training rows of the source.
        score: In the metric of the target.
        ceiling: Of the same kind of model learned from the target itself; None without one.
    """

    source: str
    target: str
    model: Model
    percent: float
    score: Replicates
    ceiling: Replicates | None

    @property
    def ratio(self) -> Estimate | None:
        """Score over ceiling (Ye et al., S9: performance ratio); None without a ceiling.

        Its interval pairs both on the same test rows. Undefined where the ceiling is not above 0.
        """
        if self.ceiling is None or not self.ceiling.value > 0:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(
                self.ceiling.values > 0, self.score.values / self.ceiling.values, np.nan
            )
        value = self.score.value / self.ceiling.value
        seeds = min(self.score.num_seeds, self.ceiling.num_seeds)
        return Replicates(value, values, seeds, self.score.num_test).estimate()


@dataclass(frozen=True)
class Tested:
    """Two models compared over target tasks, two-sided, as in Ye et al., Fig. 4.

    Attributes:
        source: The task that both learned from.
        group: Group of targets; empty for all.
        model: The one.
        other: The other.
        num_targets: Tasks behind the test.
        difference: Mean over targets of score minus score.
        p_value: Of the paired t-test over targets; NaN with fewer than two, or no spread.
    """

    source: str
    group: str
    model: Model
    other: Model
    num_targets: int
    difference: float
    p_value: float

    @property
    def stars(self) -> str:
        """Stars of Fig. 4: * p < 0.05, ** p < 0.01, *** p < 0.001; empty above."""
        return next((word for most, word in STARS if self.p_value < most), "")


@dataclass(frozen=True)
class TransferFindings:
    """What a sweep says of its models on other tasks.

    Attributes:
        sources: Tasks that were learned from, in the order of the figures.
        targets: Tasks that were scored, in the order of the figures.
        groups: Target -> its group; empty text for none.
        crossed: Every score at the largest share of labels of its source.
        tested: Pairs of models over the targets of each source and group.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    groups: Mapping[str, str]
    crossed: tuple[Crossed, ...]
    tested: tuple[Tested, ...]

    @property
    def pools(self) -> tuple[str, ...]:
        """Sources that are never scored themselves, where others are: pools of all but one."""
        pools = tuple(task for task in self.sources if task not in self.targets)
        return pools if len(pools) < len(self.sources) else ()

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model with a score, pretrained first."""
        return tuple(sorted({one.model for one in self.crossed}, key=lambda m: m.sort_key))

    def of(self, model: Model) -> tuple[Crossed, ...]:
        """Return the scores of a model."""
        return tuple(one for one in self.crossed if one.model == model)


def transfers(analysis: Analysis) -> TransferFindings | None:
    """Return what the sweep says of its models on other tasks; None where it says nothing."""
    finished = [pair for pair in analysis.data.finished if pair[0].also_on]
    said = analysis.data.transfer
    if not finished or said is None:
        return None
    crossed = tuple(_largest(_crossed(analysis, finished)))
    listed = [task for group in said.groups.values() for task in group]
    seen = {one.target for one in crossed} | {one.source for one in crossed}
    sources, scored = {one.source for one in crossed}, {one.target for one in crossed}
    rest = sorted(seen - set(listed), key=lambda task: (task not in scored, task))
    order = [*(task for task in listed if task in seen), *rest]
    groups = {task: name for name, tasks in said.groups.items() for task in tasks}
    return TransferFindings(
        sources=tuple(task for task in order if task in sources),
        targets=tuple(task for task in order if task in scored),
        groups={task: groups.get(task, "") for task in order},
        crossed=crossed,
        tested=tuple(_tests(crossed, groups)),
    )


def _crossed(analysis: Analysis, finished: Sequence[Finished]) -> list[Crossed]:
    groups: defaultdict[_Key, dict[int, Finished]] = defaultdict(dict)
    for cell, model, result in _named(finished):
        share = share_of(cell, analysis.data.tasks[cell.task.name])
        for other in cell.also_on:
            # Shares above a cap are the same rows again: one of them speaks for each seed.
            groups[cell.task.name, other.name, model, share][cell.seed] = (cell, result)
    return [
        _scored(analysis, key, [pairs[seed] for seed in sorted(pairs)])
        for key, pairs in groups.items()
    ]


def _named(finished: Sequence[Finished]) -> Iterator[tuple[Cell, Model, CellResult]]:
    """Yield each cell once with its model, named as in the tables of its task."""
    for task in sorted({cell.task.name for cell, _ in finished}):
        mine = {cell.fingerprint: (cell, r) for cell, r in finished if cell.task.name == task}
        cells = [mine[key] for key in sorted(mine)]
        for (cell, result), name in zip(cells, model_names(cells), strict=True):
            yield cell, Model(name, cell.method, cell.words, cell.initial.name), result


def _scored(analysis: Analysis, key: _Key, pairs: Sequence[Finished]) -> Crossed:
    source, target, model, percent = key
    facts = analysis.data.tasks[target]
    resampling = Resampling.of(facts.test_targets, analysis.num_replicates)
    for cell, result in pairs:
        check_shape(cell, result.other_predictions[target], facts)
    said = [result.other_predictions[target] for _, result in pairs]
    values, replicates = scores(facts.metric, facts.test_targets, said, resampling)
    # Both at the largest share of labels there is: `_largest` keeps no other.
    ceiling = analysis.curve(target, model)[-1:]
    return Crossed(
        source=source,
        target=target,
        model=model,
        percent=percent,
        score=over_seeds(values, replicates, resampling),
        ceiling=analysis.main(ceiling[0]) if ceiling else None,
    )


def _largest(crossed: Sequence[Crossed]) -> list[Crossed]:
    """Keep the largest share of labels of each source, target and model, in a fixed order."""
    best: dict[tuple[str, str, Model], Crossed] = {}
    for one in crossed:
        key = (one.source, one.target, one.model)
        if key not in best or best[key].percent < one.percent:
            best[key] = one
    return sorted(best.values(), key=lambda c: (c.source, c.target, c.model.sort_key))


def _tests(crossed: Sequence[Crossed], groups: Mapping[str, str]) -> list[Tested]:
    """Compare every two models over the targets they share, of each source and group."""
    by: defaultdict[tuple[str, str], dict[tuple[Model, str], float]] = defaultdict(dict)
    for one in crossed:
        kinds = {"", groups.get(one.target, "")}
        for group in kinds:
            by[one.source, group][one.model, one.target] = one.score.value
    found = []
    for (source, group), values in sorted(by.items()):
        models = sorted({model for model, _ in values}, key=lambda m: m.sort_key)
        pairs = ((a, b) for place, a in enumerate(models) for b in models[place + 1 :])
        found += [_tested((source, group), pair, values) for pair in pairs]
    return found


def _tested(
    place: tuple[str, str], pair: tuple[Model, Model], values: Mapping[tuple[Model, str], float]
) -> Tested:
    targets = sorted(
        {t for m, t in values if m == pair[0]} & {t for m, t in values if m == pair[1]}
    )
    ours, theirs = (np.array([values[model, target] for target in targets]) for model in pair)
    difference = float(np.mean(ours - theirs)) if targets else float("nan")
    return Tested(*place, *pair, len(targets), difference, _p_value(ours, theirs))


def _p_value(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of the paired t-test; NaN where it is undefined."""
    if len(ours) < _FEWEST or not np.ptp(ours - theirs) > 0:
        return float("nan")
    return float(stats.ttest_rel(ours, theirs).pvalue)
