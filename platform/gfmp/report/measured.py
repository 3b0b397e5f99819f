"""The numbers of a sweep, or of a table of anybody's, as they are laid beside the paper's."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from statistics import fmean
from typing import get_args

from gfmp.errors import DataError, MissingInputError
from gfmp.paper.model import Quantity
from gfmp.paper.numbers import PaperTable
from gfmp.report.analysis import Analysis, Model
from gfmp.report.beside import Measured
from gfmp.report.bootstrap import Estimate
from gfmp.report.transfer import Crossed, transfers
from gfmp.tasks.tables import Table, read_table

_NEEDED = ("name", "value")
_NUMBERS = ("low", "high")
_WORDS = ("model", "metric", "quantity", "learned_from")
_QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


def measured_in(analysis: Analysis) -> tuple[Measured, ...]:
    """Return every score of a sweep: on the task that was learned from, and on others."""
    return (*_within(analysis), *_across(analysis))


def _within(analysis: Analysis) -> tuple[Measured, ...]:
    return tuple(
        Measured(
            task=point.task,
            learned_from=point.task,
            quantity="within",
            model=point.model.name,
            metric=metric,
            percent=point.percent,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            num_seeds=estimate.num_seeds,
            decides=metric == analysis.data.tasks[point.task].metric,
        )
        for point in analysis.points
        for metric, replicates in point.scores.items()
        for estimate in (replicates.estimate(),)
        if math.isfinite(estimate.value)
    )


def _across(analysis: Analysis) -> Iterator[Measured]:
    """Yield scores on other tasks, by source and as means over the sources; ratios; pools."""
    found = transfers(analysis)
    by: defaultdict[tuple[str, Model], list[Crossed]] = defaultdict(list)
    for one in found.crossed if found else ():
        by[one.target, one.model].append(one)
    for (target, _), here in by.items():
        metric = analysis.data.tasks[target].metric
        for one in here:
            yield _crossed(one, metric, one.source, one.score.estimate())
        unscored = [one for one in here if found and one.source not in found.targets]
        pools = [one for one in here if found and one.source in found.pools]
        singles = [one for one in here if one not in pools]
        yield _crossed(singles[0], metric, "", _mean(singles))
        # A lone source that is never scored may be a pool that a person made.
        if len(unscored) == 1:
            pooled = _crossed(unscored[0], metric, "", unscored[0].score.estimate())
            yield replace(pooled, quantity="pooled")
        if len(singles) == 1 and singles[0].ratio is not None:
            ratio = _crossed(singles[0], metric, "", singles[0].ratio)
            yield replace(ratio, quantity="ratio")


def _mean(crossed: Sequence[Crossed]) -> Estimate:
    """Return the mean over sources; with several it has no interval."""
    first = crossed[0].score.estimate()
    if len(crossed) == 1:
        return first
    return replace(first, value=fmean(one.score.value for one in crossed), low=nan, high=nan)


def _crossed(one: Crossed, metric: str, learned_from: str, estimate: Estimate) -> Measured:
    return Measured(
        task=one.target,
        learned_from=learned_from,
        quantity="cross",
        model=one.model.name,
        metric=metric,
        percent=one.percent,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        num_seeds=estimate.num_seeds,
    )


def measured_in_file(path: Path, table: PaperTable) -> tuple[Measured, ...]:
    """Read numbers that were computed elsewhere: CSV with a header, one row per number.

    `name` is that of the paper (`F9`, `chicken/Liver`), `value` the number. Further columns may be
    `low`, `high`, `model`, `metric`, `quantity` and `learned_from`; without them a number is taken
    for the quantity and the metric of the table.

    Raises:
        MissingInputError: there is no such file.
        DataError: it is no such table, or a value is no number.
    """
    if not path.is_file():
        raise MissingInputError(
            f"there is no file {path.name!r}",
            where=str(path),
            why="--numbers names a CSV of numbers to lay beside the paper's",
            fix="correct the path",
        )
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        header = [name.strip().strip('"') for name in stream.readline().split(",")]
    optional = [name for name in (*_NUMBERS, *_WORDS) if name in header]
    read = read_table(path, (*_NEEDED, *optional), ",")
    return tuple(_measured(read, place, table) for place in range(len(read)))


def _measured(read: Table, place: int, table: PaperTable) -> Measured:
    cells = {name: column[place].strip() for name, column in read.columns.items()}
    where = read.where(place)
    return Measured(
        task=cells["name"],
        learned_from=cells.get("learned_from", ""),
        quantity=_quantity(cells.get("quantity", ""), table.entry.lay.quantity_is, where),
        model=cells.get("model") or read.path.stem,
        metric=cells.get("metric") or table.entry.metric,
        percent=100.0,
        value=_number(cells["value"], where),
        low=_number(cells.get("low") or "nan", where),
        high=_number(cells.get("high") or "nan", where),
    )


def _quantity(text: str, usual: Quantity, where: str) -> Quantity:
    for known in _QUANTITIES:
        if text == known:
            return known
    if not text:
        return usual
    raise DataError(
        f"quantity: {text!r} is not known",
        where=where,
        why=f"a number is one of {', '.join(_QUANTITIES)}",
        fix="correct the row",
    )


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError as fault:
        raise DataError(
            f"{text!r} is no number",
            where=where,
            why="value, low and high are numbers",
            fix="correct the row",
        ) from fault
