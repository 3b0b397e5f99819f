"""Where things stand on a figure, in millimetres, so that no two texts meet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gfmp.report.style import Look, new_figure

# The widest average of DejaVu Sans at 7 points.
CHARACTER_MM: Final = 1.5
LINE_MM: Final = 3.6
_HANDLE_MM: Final = 12.0
_EDGE_MM: Final = 2.0
# Half a tick label and half an axis label stand out to the right of the last panel.
_RIGHT_MM: Final = 5.0


def shortened(name: str, width_mm: float) -> str:
    """Return a name that fits, with its middle left out if it must be."""
    most = max(8, int(width_mm / CHARACTER_MM))
    if len(name) <= most:
        return name
    head = (most - 2) // 2
    return f"{name[:head]}..{name[len(name) - (most - 2 - head) :]}"


def longest(texts: Sequence[str]) -> int:
    """Return the characters of the longest line of any text; 1 without texts."""
    return max((len(line) for text in texts for line in text.split("\n")), default=1)


def legend_columns(names: Sequence[str], width_mm: float) -> int:
    """Return how many columns of these names fit side by side."""
    widest = longest(names) * CHARACTER_MM + _HANDLE_MM
    return max(1, min(len(names), int((width_mm - 2 * _EDGE_MM) / widest)))


def legend_height_mm(names: Sequence[str], width_mm: float) -> float:
    """Return the height of a legend of these names below a figure."""
    return LINE_MM * math.ceil(len(names) / legend_columns(names, width_mm)) + 2 * _EDGE_MM


def draw_legend(figure: Figure, entries: Mapping[str, Line2D], width_mm: float) -> None:
    """Put the legend at the bottom of the figure, outside every panel."""
    columns = legend_columns(list(entries), width_mm)
    space = (width_mm - 2 * _EDGE_MM) / columns - _HANDLE_MM
    figure.legend(
        list(entries.values()),
        [shortened(name, space) for name in entries],
        loc="lower left",
        bbox_to_anchor=(_EDGE_MM / width_mm, 0.0),
        ncols=columns,
        handlelength=3.2,
        columnspacing=1.6,
        labelspacing=0.35,
        borderaxespad=0.2,
    )


def sample(look: Look, filling: str = "") -> Line2D:
    """Return what stands for something in a legend; the marker filled with its own colour."""
    return Line2D(
        [],
        [],
        color=look.colour,
        marker=look.marker,
        linestyle=look.line,
        markerfacecolor=filling or look.colour,
    )


@dataclass(frozen=True)
class GridSize:
    """Millimetres of a grid of panels.

    Attributes:
        width_mm: Of the figure.
        columns: Panels side by side, at most.
        row_mm: Height of a row with its title and its axis label.
        margins_mm: Left of a panel's axes, between panels, and below all for the legend.
        over_mm: Title above a panel.
        under_mm: Axis label and ticks under a panel.
    """

    width_mm: float
    columns: int
    row_mm: float
    margins_mm: tuple[float, float, float]
    over_mm: float = 10.5
    under_mm: float = 11.0


class Grid:
    """Panels of equal size in rows, with room for what stands around them.

    Attributes:
        figure: The figure.
        axes: One for each panel, row by row.
        panel_mm: Width of a panel.
    """

    def __init__(self, num_panels: int, size: GridSize) -> None:
        left_mm, gap_mm, below_mm = size.margins_mm
        columns = min(num_panels, size.columns)
        height = math.ceil(num_panels / columns) * size.row_mm + below_mm
        step = (size.width_mm - left_mm + gap_mm - _RIGHT_MM) / columns
        self.figure = new_figure(size.width_mm, height)
        self.panel_mm = step - gap_mm
        self.axes: tuple[Axes, ...] = tuple(
            self.figure.add_axes(
                (
                    (left_mm + (place % columns) * step) / size.width_mm,
                    1 - ((place // columns + 1) * size.row_mm - size.under_mm) / height,
                    (step - gap_mm) / size.width_mm,
                    (size.row_mm - size.under_mm - size.over_mm) / height,
                )
            )
            for place in range(num_panels)
        )


def fitting_ticks(places: Sequence[float], widths: Sequence[float]) -> list[int]:
    """Choose the tick labels that do not meet: the last, then from the left what fits.

    Args:
        places: Where the ticks are along the axis, rising, in millimetres.
        widths: How wide their labels are, in millimetres.
    """
    last = len(places) - 1
    chosen: list[int] = []
    for place in range(last):
        start = places[place] - widths[place] / 2
        free = not chosen or start > places[chosen[-1]] + widths[chosen[-1]] / 2
        if free and places[place] + widths[place] / 2 < places[last] - widths[last] / 2:
            chosen.append(place)
    return [*chosen, last]
