"""Figures for a paper: label-efficiency curves, and vocabularies by task."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator
from numpy.typing import NDArray

from gfmp.report.analysis import Analysis, Model, Point
from gfmp.report.comparisons import Findings
from gfmp.report.dots import vocabulary_figure
from gfmp.report.layout import (
    CHARACTER_MM,
    Grid,
    GridSize,
    draw_legend,
    fitting_ticks,
    legend_height_mm,
    longest,
    sample,
    shortened,
)
from gfmp.report.style import COLUMN_MM, PAGE_MM, Look, looks, rendered, styled
from gfmp.report.tables import counted, percent_text
from gfmp.storage.hashes import fingerprint
from gfmp.tasks.metrics import METRICS

_PANELS_PER_PAGE: Final = 9
_LEFT_MM, _GAP_MM = 13.0, 14.0
# Bars of models stand this far apart at most, in log percent and in parts of a step.
_SIDE: Final = 0.12
_MOST_OF_STEP: Final = 0.3


@dataclass(frozen=True)
class Picture:
    """One figure as files.

    Attributes:
        name: File name without its ending.
        title: What it is.
        caption: What is to be known to read it.
        files: Content by ending, `png` and `svg`.
    """

    name: str
    title: str
    caption: str
    files: Mapping[str, bytes] = field(repr=False)


def pictures(findings: Findings) -> tuple[Picture, ...]:
    """Draw all tasks together and vocabularies (180 mm), then each task alone (85 mm)."""
    analysis = findings.analysis
    look = looks(analysis.models)
    drawn: list[Picture] = []
    if len(analysis.tasks) > 1:
        starts = range(0, len(analysis.tasks), _PANELS_PER_PAGE)
        pages = [analysis.tasks[start : start + _PANELS_PER_PAGE] for start in starts]
        drawn += [_page_picture(analysis, page, look, n) for n, page in enumerate(pages, start=1)]
    if any(len(group.scores) > 1 for group in findings.vocabularies):
        with styled():
            files = rendered(vocabulary_figure(findings))
        drawn.append(Picture("vocabularies", "Vocabularies by task", _DOTS_CAPTION, files))
    drawn += [_task_picture(analysis, task, look) for task in analysis.tasks]
    return tuple(drawn)


_CURVE_CAPTION: Final = (
    "Score on the test rows against the share of training rows that carry a label (log scale;"
    " below it the number of rows). Points are means over seeds, set apart sideways where models"
    " share a number of rows; bars are 95 % bootstrap intervals over seeds and test rows (test rows"
    " only where there is one seed). Solid: pretrained; dashed: from scratch; dotted: baselines."
)
_DOTS_CAPTION: Final = (
    "Score of each vocabulary, all else equal, at the largest share of labels (n: test rows); bars"
    " are 95 % bootstrap intervals. Filled: better than every other vocabulary by the paired"
    " bootstrap."
)


def _task_picture(analysis: Analysis, task: str, look: Mapping[Model, Look]) -> Picture:
    models = [model for model, _ in analysis.curves(task)]
    files = _curves(analysis, (task,), {m: look[m] for m in models}, COLUMN_MM)
    return Picture(
        f"label_efficiency_{slug(task)}", f"{task}: label efficiency", _CURVE_CAPTION, files
    )


def _page_picture(
    analysis: Analysis, tasks: Sequence[str], look: Mapping[Model, Look], number: int
) -> Picture:
    files = _curves(analysis, tasks, look, PAGE_MM)
    title = f"Label efficiency of {len(tasks)} tasks"
    return Picture(f"all_tasks_{number}", title, _CURVE_CAPTION, files)


def slug(name: str) -> str:
    """Return a name that is safe in a file name; what had to be changed gets a hash."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60].strip("-")
    return safe if name and safe == name else f"{safe or 'task'}-{fingerprint(name)[:6]}"


def _curves(
    analysis: Analysis, tasks: Sequence[str], look: Mapping[Model, Look], width_mm: float
) -> dict[str, bytes]:
    names = [model.name for model in look]
    margins = (_LEFT_MM, _GAP_MM, legend_height_mm(names, width_mm))
    columns, row_mm = (1, 68.0) if width_mm == COLUMN_MM else (3, 60.0)
    size = GridSize(width_mm, columns, row_mm, margins)
    with styled():
        grid = Grid(len(tasks), size)
        for axes, task in zip(grid.axes, tasks, strict=True):
            _panel(axes, analysis, _Drawn(task, look, grid.panel_mm))
        legend = {model.name: sample(one) for model, one in look.items()}
        draw_legend(grid.figure, legend, width_mm)
        return rendered(grid.figure)


@dataclass(frozen=True)
class _Drawn:
    """What a panel shows, how, and how wide it is."""

    task: str
    look: Mapping[Model, Look]
    width_mm: float


def _panel(axes: Axes, analysis: Analysis, drawn: _Drawn) -> None:
    task, look, width_mm = drawn.task, drawn.look, drawn.width_mm
    curves = analysis.curves(task)
    points = [point for _, curve in curves for point in curve]
    shifts = _shifts(len(curves), {point.percent for point in points})
    for (model, curve), shift in zip(curves, shifts, strict=True):
        _line(axes, analysis, curve, (look[model], shift))
    facts = analysis.data.tasks[task]
    seeds = sorted({len(point.seeds) for point in points})
    runs = f"{seeds[0]}-{seeds[-1]} seeds" if len(seeds) > 1 else counted(seeds[0], "seed")
    title = f"{shortened(task, width_mm)}\nn = {facts.num_test:,} test rows, {runs}"
    axes.set_title(title, loc="left", linespacing=1.3)
    axes.set_ylabel(METRICS[facts.metric].title)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.4)
    axes.set_axisbelow(True)
    _percent_axis(axes, points, width_mm)


def _shifts(num_models: int, percents: Collection[float]) -> NDArray[np.float64]:
    """Return what to multiply percents by so that the bars of models stand side by side."""
    steps = np.diff(np.log(sorted(percents)))
    side = min(_SIDE, _MOST_OF_STEP * steps.min()) if len(steps) else _SIDE
    return np.exp(np.linspace(-side, side, num_models)) if num_models > 1 else np.ones(1)


def _line(
    axes: Axes, analysis: Analysis, curve: Sequence[Point], drawn: tuple[Look, float]
) -> None:
    look, shift = drawn
    percents = shift * np.array([point.percent for point in curve])
    estimates = [analysis.main(point).estimate() for point in curve]
    values = np.array([one.value for one in estimates])
    low = np.array([one.low for one in estimates])
    high = np.array([one.high for one in estimates])
    axes.plot(percents, values, color=look.colour, marker=look.marker, linestyle=look.line)
    axes.vlines(percents, low, high, color=look.colour, linewidth=0.8, alpha=0.7)


def _percent_axis(axes: Axes, points: Sequence[Point], width_mm: float) -> None:
    rows = {point.percent: point.num_rows for point in sorted(points, key=lambda p: p.num_rows)}
    percents = sorted(rows)
    low, high = percents[0] / 1.25, percents[-1] * 1.25
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    places = np.log(np.array(percents) / low) / np.log(high / low) * width_mm
    labels = [f"{percent_text(percent)}\n{rows[percent]:,}" for percent in percents]
    widths = [longest([text]) * CHARACTER_MM for text in labels]
    shown = fitting_ticks(list(places), widths)
    axes.set_xticks([percents[i] for i in shown], [labels[i] for i in shown])
    axes.set_xticks(percents, minor=True)
    axes.xaxis.set_minor_formatter(NullFormatter())
    if len(percents) == 1:
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("Labelled rows (%, number below)", labelpad=2.0)
