"""The figure of a variant-effect job: agreement with measured effects, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes

from gfmp.report.agreement import Agreement
from gfmp.report.figures import Picture
from gfmp.report.layout import (
    CHARACTER_MM,
    Grid,
    GridSize,
    draw_legend,
    legend_height_mm,
    longest,
    sample,
)
from gfmp.report.paper_elements import paper_name, paper_rows
from gfmp.report.style import PAGE_MM, Look, palette, rendered, styled

_MOST_COLUMNS: Final = 8
_ROW_MM: Final = 7.0
_PAPER: Final = "paper, Genomics-FM 919, Euclidean (Table S1)"
_PAPER_LOOK: Final = Look("#000000", "x", "none")
_CAPTION: Final = (
    "Pearson correlation with the measured effect on each element, of distances with its size; bars"
    " are 95 % intervals (Fisher's z), n the variants. Of the distances of one scorer the first is"
    " drawn. Crosses: what the paper prints for its own model, fine-tuned on other data."
)


def agreement_picture(found: Sequence[Agreement]) -> Picture | None:
    """Draw the agreements; None when there are none."""
    columns = _chosen(found)
    groups = sorted({one.group for one in found if one.group})
    if not columns or not groups:
        return None
    look = dict(zip(columns, palette(len(columns), "none"), strict=True))
    paper = paper_rows("euclidean")
    known = [group for group in groups if paper_name(group, paper)]
    legend = {name: sample(one) for name, one in look.items()}
    if known:
        legend[_PAPER] = sample(_PAPER_LOOK)
    counts = {g: max(one.pairs for one in found if one.group == g) for g in groups}
    labels = [f"{group} (n = {counts[group]:,})" for group in groups]
    left_mm = longest(labels) * CHARACTER_MM + 3.0
    margins = (left_mm, 6.0, legend_height_mm(list(legend), PAGE_MM))
    size = GridSize(PAGE_MM, 1, len(groups) * _ROW_MM + 18.0, margins, over_mm=6.0)
    with styled():
        grid = Grid(1, size)
        (axes,) = grid.axes
        _draw(axes, [one for one in found if one.column in look and one.group], groups, look)
        for group in known:
            value = paper[paper_name(group, paper)]["Genomics-FM 919"]
            axes.plot(value, groups.index(group), "x", color=_PAPER_LOOK.colour, markersize=4.5)
        axes.set_yticks(range(len(groups)), labels)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        draw_legend(grid.figure, legend, PAGE_MM)
        files = rendered(grid.figure)
    return Picture("agreement", "Agreement with measured effects", _CAPTION, files)


def _chosen(found: Sequence[Agreement]) -> list[str]:
    """Return the columns that are drawn: of the distances of one scorer the first."""
    chosen: dict[str, str] = {}
    for one in found:
        stem, _, end = one.column.rpartition("_")
        distance = end in ("euclidean", "manhattan", "cosine", "dot")
        chosen.setdefault(stem if distance else one.column, one.column)
    return list(chosen.values())[:_MOST_COLUMNS]


def _draw(
    axes: Axes, found: Sequence[Agreement], groups: Sequence[str], look: dict[str, Look]
) -> None:
    step = 0.7 / max(1, len(look))
    for one in found:
        if math.isnan(one.headline):
            continue
        place = list(look).index(one.column) - (len(look) - 1) / 2
        height, drawn = groups.index(one.group) + place * step, look[one.column]
        axes.hlines(height, one.low, one.high, color=drawn.colour, linewidth=0.9)
        axes.plot(one.headline, height, marker=drawn.marker, color=drawn.colour, markersize=3.2)
    axes.axvline(0.0, color="#888888", linewidth=0.6)
    axes.set_xlabel("Pearson r with the measured effect (distances: with its size)", labelpad=2.0)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.4)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
