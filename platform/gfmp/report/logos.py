"""Sequence logos: letters as high as what they say, drawn as outlines.

Source: Schneider and Stephens, Sequence logos (1990): at each place of a motif the letters share
its information, the most frequent on top. In a row each base is as high as its score, below the
line where it is negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from gfmp.genome.motifs import BASES, Motif
from gfmp.report.figures import Picture, slug
from gfmp.report.layout import Grid, GridSize
from gfmp.report.motif_data import MotifEntry, RowEntry
from gfmp.report.style import COLUMN_MM, PAGE_MM, new_figure, rendered, styled

# Green, blue, orange and red as in most logos, in shades that colour-blind eyes tell apart.
_COLOURS: Final = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00", "N": "#808080"}
_MOST_BITS: Final = 2.0
_MARGIN: Final = 0.06
_PLACE_MM: Final = 5.0
# A row is shown in a window of so many bases.
WINDOW_BP: Final = 100


def logo_picture(entry: MotifEntry) -> Picture:
    """Return the logo of a motif as a figure."""
    motif = entry.motif
    with styled():
        width = min(PAGE_MM, max(COLUMN_MM / 2, 14.0 + _PLACE_MM * motif.width))
        figure = new_figure(width, 32.0)
        axes = figure.add_axes((11.0 / width, 0.24, (width - 13.0) / width, 0.70))
        draw_logo(axes, motif)
        files = rendered(figure)
    caption = (
        f"Information of each place in bits, shared by its bases; {len(entry.sites)} sites."
        f" Consensus {motif.consensus}."
    )
    return Picture(f"logo_{slug(motif.name)}", f"Logo of {motif.name}", caption, files)


def draw_logo(axes: Axes, motif: Motif) -> None:
    """Draw the logo of a motif; places are counted from 1."""
    for place, (bits, shares) in enumerate(
        zip(motif.information, motif.frequencies, strict=True), start=1
    ):
        bottom = 0.0
        for base in np.argsort(shares, kind="stable").tolist():
            height = float(bits * shares[base])
            _letter(axes, BASES[base], (place - 0.5, bottom), height)
            bottom += height
    axes.set_xlim(0.5, motif.width + 0.5)
    axes.set_ylim(0.0, _MOST_BITS)
    axes.set_yticks([0, 1, 2])
    axes.set_ylabel("Bits")
    step = max(1, -(-motif.width // 12))
    axes.set_xticks(range(1, motif.width + 1, step))


def row_picture(entry: RowEntry, number: int) -> Picture:
    """Return the tracks of a row as a figure, in a window where most of it happens."""
    start, end = window(entry)
    with styled():
        # Panels of a full page, one below the other.
        size = GridSize(PAGE_MM, 1, 30.0, (13.0, 2.0, 2.0), over_mm=5.0, under_mm=6.0)
        grid = Grid(len(entry.tracks), size)
        for axes, (name, scores) in zip(grid.axes, entry.tracks.items(), strict=True):
            draw_track(axes, entry.sequence[start:end], scores[start:end], start)
            axes.set_title(name, loc="left", pad=2.0)
            _mark(axes, entry.marked)
        files = rendered(grid.figure)
    sum_error = entry.completeness
    caption = (
        f"{entry.origin}, bases {start} to {end} (0-based, half-open) of {len(entry.sequence)};"
        f" score {entry.score:.2f}. Integrated gradients sum to the change of the score from the"
        f" masked row up to {100 * sum_error.error:.2g} % ({sum_error.steps} steps). Shaded: sites"
        " of motifs."
    )
    return Picture(f"row_{number}", f"Row {number}", caption, files)


def window(entry: RowEntry) -> tuple[int, int]:
    """Return the bases of a row that are shown: those with most absolute score, all if few."""
    length = len(entry.sequence)
    if length <= WINDOW_BP:
        return 0, length
    total = np.zeros(length)
    for scores in entry.tracks.values():
        size = np.abs(scores).sum()
        total += np.abs(scores) / size if size > 0 else 0.0
    sums = np.concatenate(([0.0], np.cumsum(total)))
    start = int(np.argmax(sums[WINDOW_BP:] - sums[:-WINDOW_BP]))
    return start, start + WINDOW_BP


def draw_track(axes: Axes, sequence: str, scores: NDArray[np.float64], first: int) -> None:
    """Draw letters as high as their scores; places are 0-based."""
    for place, (base, score) in enumerate(zip(sequence, scores.tolist(), strict=True), start=first):
        _letter(axes, base, (float(place), 0.0), score)
    low, high = min(0.0, float(scores.min())), max(0.0, float(scores.max()))
    room = 0.05 * (high - low) or 1.0
    axes.set_xlim(first - 0.2, first + len(sequence) + 0.2)
    axes.set_ylim(low - room if low < 0 else 0.0, high + room)
    axes.axhline(0.0, color="#808080", linewidth=0.4)
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _mark(axes: Axes, marked: Sequence[tuple[str, int, int]]) -> None:
    for _, start, end in marked:
        axes.axvspan(start, end, color="#F0E442", alpha=0.35, linewidth=0, zorder=0)


@cache
def _outlines() -> Mapping[str, Outline]:
    """Return each letter as an outline that fills the unit square."""
    font = FontProperties(family="DejaVu Sans", weight="bold")  # comes with matplotlib
    found = {}
    for letter in _COLOURS:
        outline = TextPath((0.0, 0.0), letter, size=1.0, prop=font)
        box = outline.get_extents()
        fitted = Affine2D().translate(-box.x0, -box.y0).scale(1 / box.width, 1 / box.height)
        found[letter] = fitted.transform_path(outline)
    return found


def _letter(axes: Axes, base: str, corner: tuple[float, float], height: float) -> None:
    """Put a letter of this height on a corner, one wide; upside down where it is negative."""
    if height == 0 or not np.isfinite(height):
        return
    left, bottom = corner
    known = base if base in _COLOURS else "N"
    placed = Affine2D().scale(1 - 2 * _MARGIN, height).translate(left + _MARGIN, bottom)
    outline = placed.transform_path(_outlines()[known])
    axes.add_patch(PathPatch(outline, facecolor=_COLOURS[known], linewidth=0))
