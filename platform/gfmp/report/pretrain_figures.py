"""Figures of a pretraining run: what was learned, how, and where the time went."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gfmp.ledger.series import Point, running_mean
from gfmp.mlflow_store.figures import (
    SMOOTHING_FRACTION,
    Line,
    heldout_lines,
    learning_rate_lines,
    loss_lines,
    mixture_lines,
    throughput_lines,
)
from gfmp.report.figures import Picture
from gfmp.report.layout import draw_legend, legend_height_mm, sample
from gfmp.report.pretrain_data import PretrainData
from gfmp.report.style import COLUMN_MM, Look, new_figure, palette, rendered, styled

Legend = dict[str, Line2D]

_PANEL_MM: Final = 58.0
_LEFT_MM, _RIGHT_MM, _TOP_MM, _BOTTOM_MM = 16.0, 5.0, 4.0, 10.0
_MOST_POINTS: Final = 1000
# A dot costs more bytes than a point of a line.
_MOST_DOTS: Final = 400
_GREY: Final = "#666666"
TIME_PARTS: Final = (
    ("productive", "productive_seconds"),
    ("start-up", "startup_seconds"),
    ("checkpoints", "checkpoint_seconds"),
    ("recomputed", "recompute_seconds"),
    ("waiting", "stall_seconds"),
)
BASELINES: Final = (
    ("order 0: composition", "order0_bits", (0, (4, 1.5))),
    ("order 5: Markov model", "order5_bits", (0, (1, 1.2))),
)


@dataclass(frozen=True)
class _Panel:
    """A figure of one column: how it is called, read and drawn."""

    name: str
    title: str
    caption: str
    draw: Callable[[Axes, PretrainData], Legend]
    lines: Callable[[PretrainData], Sequence[Line] | tuple[tuple[str, float], ...]]
    by_step: bool = True


def run_pictures(data: PretrainData) -> tuple[Picture, ...]:
    """Draw every panel that has data; equal curves give equal bytes."""
    return tuple(_panel_picture(panel, data) for panel in _PANELS if panel.lines(data))


def _panel_picture(panel: _Panel, data: PretrainData) -> Picture:
    with styled():
        probe = new_figure(COLUMN_MM, _PANEL_MM).add_axes((0, 0, 1, 1))
        names = list(panel.draw(probe, data))
        below = legend_height_mm(names, COLUMN_MM) if names else 0.0
        height = _PANEL_MM + below
        figure = new_figure(COLUMN_MM, height)
        axes = figure.add_axes(
            (
                _LEFT_MM / COLUMN_MM,
                (below + _BOTTOM_MM) / height,
                1 - (_LEFT_MM + _RIGHT_MM) / COLUMN_MM,
                1 - (below + _BOTTOM_MM + _TOP_MM) / height,
            )
        )
        legend = panel.draw(axes, data)
        if panel.by_step:
            _dress(axes, data)
        if legend:
            draw_legend(figure, legend, COLUMN_MM)
        return Picture(panel.name, panel.title, panel.caption, rendered(figure))


def _dress(axes: Axes, data: PretrainData) -> None:
    for step in data.book.restarts:
        axes.axvline(step, color=_GREY, linewidth=0.6, linestyle=(0, (1, 2)))
    axes.set_xlabel("Optimiser step", labelpad=2.0)
    axes.set_xlim(0, max(data.planned_steps, data.step, 1))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.4)
    axes.set_axisbelow(True)


def looks_of(names: Sequence[str]) -> Mapping[str, Look]:
    """Give every vocabulary its colour and marker, the same in all figures."""
    return dict(zip(names, palette(len(names)), strict=True))


def _look(data: PretrainData, name: str) -> Look:
    return looks_of(data.vocabularies).get(name) or palette(1)[0]


def thinned(points: Sequence[Point], most: int = _MOST_POINTS) -> tuple[Point, ...]:
    """Return every n-th point so that at most `most` remain, and the last."""
    stride = max(1, math.ceil(len(points) / most))
    kept = points[::stride]
    return tuple(kept) if not points or kept[-1] == points[-1] else (*kept, points[-1])


def _xy(points: Sequence[Point]) -> tuple[list[int], list[float]]:
    return [point.step for point in points], [point.value for point in points]


def _loss(axes: Axes, data: PretrainData) -> Legend:
    legend: Legend = {}
    lines = loss_lines(data.book)
    window = max(1, round(SMOOTHING_FRACTION * max(len(line.points) for line in lines)))
    for line in lines:
        look = _look(data, line.label)
        axes.plot(*_xy(thinned(line.points)), color=look.colour, linewidth=0.4, alpha=0.25)
        smooth = thinned(running_mean(line.points, window))
        axes.plot(*_xy(smooth), color=look.colour, linewidth=1.2)
        legend[line.label] = Line2D([], [], color=look.colour)
    axes.set_ylabel("Nats per hidden token")
    return legend


def bits_lines(data: PretrainData) -> list[Line]:
    """Return the held-out bits per base of each vocabulary."""
    found = []
    for name in data.vocabularies:
        points = data.book.series(f"heldout/{name}/bits_per_base")
        finite = tuple(point for point in points if math.isfinite(point.value))
        if finite:
            found.append(Line(name, finite))
    return found


def _bits(axes: Axes, data: PretrainData) -> Legend:
    legend: Legend = {}
    for line in bits_lines(data):
        look = _look(data, line.label)
        axes.plot(*_xy(line.points), color=look.colour, marker=look.marker, clip_on=False)
        legend[line.label] = sample(look)
        for _, key, style in BASELINES:
            value = data.number(line.label, key)
            if math.isfinite(value):
                axes.axhline(value, color=look.colour, linewidth=0.8, linestyle=style)
    if data.numbers:
        legend |= {name: Line2D([], [], color=_GREY, linestyle=s) for name, _, s in BASELINES}
    axes.set_ylabel("Bits per hidden base")
    return legend


def _heldout(axes: Axes, data: PretrainData) -> Legend:
    legend: Legend = {}
    for line in heldout_lines(data.book):
        look = _look(data, line.label)
        axes.plot(*_xy(line.points), color=look.colour, marker=look.marker, clip_on=False)
        legend[line.label] = sample(look)
        value = data.number(line.label, "unigram_loss")
        if math.isfinite(value):
            axes.axhline(value, color=look.colour, linewidth=0.8, linestyle=(0, (4, 1.5)))
    if data.numbers:
        legend["unigram: how often a token is"] = Line2D(
            [], [], color=_GREY, linestyle=(0, (4, 1.5))
        )
    axes.set_ylabel("Nats per hidden token")
    return legend


def _mixture(axes: Axes, data: PretrainData) -> Legend:
    legend: Legend = {}
    for line in mixture_lines(data.book):
        look = _look(data, line.label)
        axes.plot(*_xy(thinned(line.points)), color=look.colour, drawstyle="steps")
        legend[line.label] = Line2D([], [], color=look.colour)
    axes.set_ylim(0.0, 1.0)
    axes.set_ylabel("Share of the rows")
    return legend


def _learning_rate(axes: Axes, data: PretrainData) -> Legend:
    axes.plot(*_xy(thinned(learning_rate_lines(data.book)[0].points)), color=palette(1)[0].colour)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("Learning rate")
    return {}


def _throughput(axes: Axes, data: PretrainData) -> Legend:
    points = throughput_lines(data.book)[0].points
    dots, middle = palette(2)
    value = median(point.value for point in points)
    shown = _xy(thinned(points, _MOST_DOTS))
    axes.plot(*shown, color=dots.colour, linewidth=0.0, marker=".", markersize=2.0, alpha=0.5)
    axes.axhline(value, color=middle.colour)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("Tokens per second")
    return {f"median {value:,.0f}": Line2D([], [], color=middle.colour)}


def time_parts(data: PretrainData) -> tuple[tuple[str, float], ...]:
    """Return the parts of the wall time with their seconds."""
    numbers = data.time.numbers()
    return tuple((name, numbers[f"goodput/{key}"]) for name, key in TIME_PARTS)


def _time(axes: Axes, data: PretrainData) -> Legend:
    parts = time_parts(data)
    for place, ((_, seconds), look) in enumerate(zip(parts, palette(len(parts)), strict=True)):
        share = 100.0 * seconds / data.time.wall_seconds
        axes.barh(place, share, color=look.colour, height=0.7)
        axes.text(
            min(share + 1.5, 84.0),
            place,
            f"{share:.1f} %",
            va="center",
            color="white" if share > 82.5 else "black",
        )
    axes.set_yticks(range(len(parts)), [name for name, _ in parts])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("Percent of the wall time", labelpad=2.0)
    return {}


_PANELS: Final = (
    _Panel(
        "bits_per_base",
        "Held-out bits per base",
        "The one number that vocabularies share: bits to tell a hidden base, on contigs that"
        " training never sees; lower is better. Evaluations on the way use few windows, the last"
        " one many. Horizontal, in the colour of the vocabulary: what knows less has on the"
        " same bases.",
        _bits,
        bits_lines,
    ),
    _Panel(
        "loss",
        "Training loss by vocabulary",
        "Faint: every step. Strong: the mean of the steps around it, 5 % of the run wide. Losses"
        " of two vocabularies do not compare: a token of one hides more than one of the other.",
        _loss,
        lambda data: loss_lines(data.book),
    ),
    _Panel(
        "heldout_loss",
        "Held-out loss by vocabulary",
        "On contigs that training never sees. Dashed, in the colour of the vocabulary: the loss of"
        " a model that only knows how often each token is.",
        _heldout,
        lambda data: heldout_lines(data.book),
    ),
    _Panel(
        "mixture",
        "Mixture of the vocabularies",
        "The share of the rows that each vocabulary gets, which moves after each evaluation.",
        _mixture,
        lambda data: mixture_lines(data.book),
    ),
    _Panel(
        "learning_rate",
        "Learning rate",
        "As planned; a restarted run goes on with it where it was.",
        _learning_rate,
        lambda data: learning_rate_lines(data.book),
    ),
    _Panel(
        "throughput",
        "Throughput of all workers",
        "Tokens of a step over the seconds it took, special tokens included.",
        _throughput,
        lambda data: throughput_lines(data.book),
    ),
    _Panel(
        "time",
        "Where the time went",
        "Productive: steps that count, and evaluations. Start-up: workers coming and going."
        " Recomputed: steps that were lost with a failure. Waiting: everything else, such as"
        " for batches.",
        _time,
        lambda data: time_parts(data) if data.time.wall_seconds > 0.0 else (),
        by_step=False,
    ),
)
