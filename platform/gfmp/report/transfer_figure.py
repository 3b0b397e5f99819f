"""Figures of models on other tasks: scores beside the ceiling, ratios, and the matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from gfmp.report.analysis import Analysis, Model
from gfmp.report.bootstrap import Estimate
from gfmp.report.layout import (
    CHARACTER_MM,
    Grid,
    GridSize,
    draw_legend,
    legend_height_mm,
    longest,
    sample,
    shortened,
)
from gfmp.report.style import PAGE_MM, Look, looks
from gfmp.report.transfer import Crossed, TransferFindings
from gfmp.tasks.metrics import METRICS

ALL_BUT_ONE: Final = "all but the scored one"
OPEN: Final = "open: learned from the scored task itself (ceiling)"
_MOST_LABEL_MM: Final = 44.0
_MODEL_MM: Final = 2.6
_TASK_MM: Final = 7.0
_SPREAD: Final = 0.7
# Dark cells carry white numbers.
_DARK: Final = 0.55


def score_figure(analysis: Analysis, found: TransferFindings) -> Figure:
    """Draw for each source the scores on every target beside the ceiling, and their ratios.

    As Ye et al., Fig. 4a and 4b: targets in the order of the spec, the nearest first.
    """
    look = looks(found.models)
    labels = [_label(found, target) for target in found.targets]
    left_mm = min(_MOST_LABEL_MM, longest(labels) * CHARACTER_MM + 3.0)
    row_mm = len(labels) * max(_TASK_MM, _MODEL_MM * (len(look) + 1)) + 24.0
    legend = {model.name: sample(one) for model, one in look.items()}
    legend[OPEN] = sample(Look("#444444", "o", "none"), filling="white")
    margins = (left_mm, 6.0, legend_height_mm(list(legend), PAGE_MM))
    grid = Grid(2 * len(found.sources), GridSize(PAGE_MM, 2, row_mm, margins))
    for place, source in enumerate(found.sources):
        rows = [one for one in found.crossed if one.source == source]
        scores, ratios = grid.axes[2 * place], grid.axes[2 * place + 1]
        _scores(scores, found, rows, look)
        _ratios(ratios, found, rows, look)
        scores.set_yticks(range(len(labels)), [_shortened(x, left_mm - 2.0) for x in labels])
        ratios.set_yticks(range(len(labels)), [""] * len(labels))
        _titles(scores, ratios, (analysis, source, grid.panel_mm))
    draw_legend(grid.figure, legend, PAGE_MM)
    return grid.figure


def _label(found: TransferFindings, target: str) -> str:
    group = found.groups[target]
    return f"{target}\n{group}" if group else target


def _shortened(label: str, width_mm: float) -> str:
    return "\n".join(shortened(line, width_mm) for line in label.split("\n"))


def _titles(scores: Axes, ratios: Axes, drawn: tuple[Analysis, str, float]) -> None:
    analysis, source, width_mm = drawn
    facts = analysis.data.tasks[source]
    learned = shortened(f"learned from {source}", width_mm)
    scores.set_title(f"{learned}\n{facts.num_train:,} training rows", loc="left", linespacing=1.3)
    ratios.set_title("score / ceiling\nsame test rows", loc="left", linespacing=1.3)
    scores.set_xlabel(f"{METRICS[facts.metric].title} on the test rows", labelpad=2.0)
    ratios.set_xlabel("Performance ratio", labelpad=2.0)


def _heights(found: TransferFindings) -> dict[tuple[str, Model], float]:
    """Return where the mark of each target and model stands."""
    models = found.models
    step = _SPREAD / max(1, len(models))
    return {
        (target, model): row + (number - (len(models) - 1) / 2) * step
        for row, target in enumerate(found.targets)
        for number, model in enumerate(models)
    }


def _scores(
    axes: Axes, found: TransferFindings, rows: Sequence[Crossed], look: Mapping[Model, Look]
) -> None:
    heights = _heights(found)
    for one in rows:
        height = heights[one.target, one.model]
        if one.ceiling is not None:
            _mark(axes, one.ceiling.estimate(), (height, look[one.model], "white"))
        _mark(axes, one.score.estimate(), (height, look[one.model], look[one.model].colour))
    _plain(axes, found)


def _ratios(
    axes: Axes, found: TransferFindings, rows: Sequence[Crossed], look: Mapping[Model, Look]
) -> None:
    heights = _heights(found)
    for one in rows:
        if one.ratio is not None:
            shown = (heights[one.target, one.model], look[one.model], look[one.model].colour)
            _mark(axes, one.ratio, shown)
    axes.axvline(1.0, color="#888888", linewidth=0.6)
    _plain(axes, found)


def _mark(axes: Axes, estimate: Estimate, drawn: tuple[float, Look, str]) -> None:
    height, look, filling = drawn
    axes.hlines(height, estimate.low, estimate.high, color=look.colour, linewidth=0.8, alpha=0.7)
    axes.plot(
        estimate.value,
        height,
        marker=look.marker,
        color=look.colour,
        markerfacecolor=filling,
        linestyle="none",
    )


def _plain(axes: Axes, found: TransferFindings) -> None:
    axes.set_ylim(len(found.targets) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.4)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)


@dataclass(frozen=True)
class Matrix:
    """Scores of a model: rows learned from, columns scored on.

    Attributes:
        sources: Names of the rows.
        targets: Names of the columns.
        values: Shape (len(sources), len(targets)); NaN without a score.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    values: NDArray[np.float64]


def matrix(analysis: Analysis, found: TransferFindings, model: Model) -> Matrix:
    """Return the scores of a model; what is learned from the scored task is the ceiling.

    Pools of all but one stand in one row, last.
    """
    sources = tuple(dict.fromkeys(_row_name(found, source) for source in found.sources))
    values = np.full((len(sources), len(found.targets)), np.nan)
    for one in found.of(model):
        row = sources.index(_row_name(found, one.source))
        values[row, found.targets.index(one.target)] = one.score.value
    for row, source in enumerate(sources):
        own = analysis.curve(source, model)
        if source in found.targets and own:
            values[row, found.targets.index(source)] = analysis.main(own[-1]).value
    return Matrix(sources, found.targets, values)


def _row_name(found: TransferFindings, source: str) -> str:
    """Return the row of a source: all pools of all but one share theirs."""
    return ALL_BUT_ONE if source in found.pools else source


def matrix_figure(analysis: Analysis, found: TransferFindings) -> Figure:
    """Draw the matrix of each model as a heat map of one scale (Ye et al., Fig. 5; S15, S16)."""
    drawn = [(model, matrix(analysis, found, model)) for model in found.models]
    known = np.concatenate([m.values[np.isfinite(m.values)] for _, m in drawn])
    scale = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    rows = drawn[0][1].sources
    left_mm = min(_MOST_LABEL_MM, longest(rows) * CHARACTER_MM + 3.0)
    under_mm = min(_MOST_LABEL_MM, longest(found.targets) * CHARACTER_MM + 8.0)
    columns = 1 if len(found.targets) > 6 else 2
    row_mm = len(rows) * 8.0 + 10.5 + under_mm
    size = GridSize(PAGE_MM, columns, row_mm, (left_mm, left_mm + 4.0, 3.0), 10.5, under_mm)
    grid = Grid(len(drawn), size)
    for axes, (model, one) in zip(grid.axes, drawn, strict=True):
        _heat(axes, one, scale)
        axes.set_title(shortened(model.name, grid.panel_mm), loc="left")
        room_mm = left_mm - 2.0
        axes.set_yticks(range(len(one.sources)), [shortened(x, room_mm) for x in one.sources])
        names = [shortened(x, under_mm - 4.0) for x in one.targets]
        axes.set_xticks(range(len(one.targets)), names, rotation=90)
    return grid.figure


def _heat(axes: Axes, one: Matrix, scale: tuple[float, float]) -> None:
    low, high = scale
    axes.imshow(one.values, cmap="Blues", vmin=low, vmax=high or 1.0, aspect="auto")
    for row, column in zip(*np.nonzero(np.isfinite(one.values)), strict=True):
        value = one.values[row, column]
        dark = (value - low) > _DARK * (high - low)
        own = one.sources[row] == one.targets[column]
        axes.text(
            column,
            row,
            f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=6.0,
            color="white" if dark else "black",
            fontweight="bold" if own else "normal",
        )
    axes.tick_params(length=0)
