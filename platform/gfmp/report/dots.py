"""The dot plot: vocabularies by task, one panel for each method and initial model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gfmp.report.analysis import Analysis
from gfmp.report.comparisons import Findings, VocabularyGroup, VocabularyScore
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
from gfmp.report.style import PAGE_MM, Look, palette
from gfmp.report.tables import percent_text
from gfmp.tasks.metrics import METRICS

_BEST: Final = "filled: better than every other (95 %)"
_MOST_LABEL_MM: Final = 48.0
_TASK_MM: Final = 8.5
_VOCABULARY_MM: Final = 2.6

PanelKey = tuple[str, str]
Panels = Mapping[PanelKey, Sequence[VocabularyGroup]]


def vocabulary_figure(findings: Findings) -> Figure:
    """Draw the scores of vocabularies at the largest share of labels where several were tried."""
    panels = _panels(findings.vocabularies)
    groups = [group for chosen in panels.values() for group in chosen]
    tasks = sorted({group.setting.task for group in groups})
    words = sorted({one.point.model.vocabulary for group in groups for one in group.scores})
    look = dict(zip(words, palette(len(words), "none"), strict=True))
    labels = [_task_label(findings.analysis, task) for task in tasks]
    left_mm = min(_MOST_LABEL_MM, longest(labels) * CHARACTER_MM + 3.0)
    columns = min(len(panels), 3 if len(panels) > 2 else 2)
    row_mm = len(tasks) * max(_TASK_MM, _VOCABULARY_MM * (len(words) + 1)) + 21.0
    legend = {word: sample(look[word], filling="white") for word in words}
    legend[_BEST] = sample(Look("#444444", "o", "none"))
    margins = (left_mm, 6.0, legend_height_mm(list(legend), PAGE_MM))
    grid = Grid(len(panels), GridSize(PAGE_MM, columns, row_mm, margins))
    shown = ["\n".join(shortened(x, left_mm - 2.0) for x in label.split("\n")) for label in labels]
    for place, (axes, (key, chosen)) in enumerate(zip(grid.axes, panels.items(), strict=True)):
        _panel(axes, findings.analysis, {tasks.index(g.setting.task): g for g in chosen}, look)
        axes.set_yticks(range(len(tasks)), shown if place % columns == 0 else [""] * len(tasks))
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        width_mm = grid.panel_mm
        title = shortened(f"{key[0]} / {key[1]}", width_mm)
        axes.set_title(f"{title}\n{_percents(chosen)}", loc="left", linespacing=1.3)
    draw_legend(grid.figure, legend, PAGE_MM)
    return grid.figure


def _panels(groups: Sequence[VocabularyGroup]) -> Panels:
    """Choose for each method, initial model and task the largest share with rivals."""
    largest: dict[tuple[PanelKey, str], VocabularyGroup] = {}
    for group in groups:
        key = ((group.setting.method, group.setting.initial), group.setting.task)
        known = largest.get(key)
        higher = known is None or group.setting.percent > known.setting.percent
        if len(group.scores) > 1 and higher:
            largest[key] = group
    panels: defaultdict[PanelKey, list[VocabularyGroup]] = defaultdict(list)
    for (panel, _), group in sorted(largest.items(), key=lambda item: item[0]):
        panels[panel].append(group)
    return panels


def _task_label(analysis: Analysis, task: str) -> str:
    facts = analysis.data.tasks[task]
    return f"{task}\n{METRICS[facts.metric].title}, n = {facts.num_test:,}"


def _percents(groups: Sequence[VocabularyGroup]) -> str:
    percents = sorted({group.setting.percent for group in groups})
    return f"{' or '.join(map(percent_text, percents))} % of labels"


def _panel(
    axes: Axes,
    analysis: Analysis,
    groups: Mapping[int, VocabularyGroup],
    look: Mapping[str, Look],
) -> None:
    for row, group in groups.items():
        offset = 0.64 / max(1, len(group.scores) - 1)
        for number, one in enumerate(group.scores):
            height = row + (number - (len(group.scores) - 1) / 2) * min(offset, 0.3)
            _dot(axes, analysis, one, (height, look[one.point.model.vocabulary]))
    axes.set_xlabel("Score on the test rows", labelpad=2.0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.4)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)


def _dot(axes: Axes, analysis: Analysis, one: VocabularyScore, drawn: tuple[float, Look]) -> None:
    height, look = drawn
    estimate = analysis.main(one.point).estimate()
    axes.hlines(height, estimate.low, estimate.high, color=look.colour, linewidth=1.0)
    filling = look.colour if one.best else "white"
    axes.plot(
        estimate.value,
        height,
        marker=look.marker,
        color=look.colour,
        markerfacecolor=filling,
        markersize=4.0,
        linestyle="none",
    )
