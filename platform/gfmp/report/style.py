"""How figures look: sizes of a journal's columns, colours for every eye, bytes that repeat."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gfmp.report.analysis import Model

Line = str | tuple[float, tuple[float, float]]

COLUMN_MM: Final = 85.0
PAGE_MM: Final = 180.0
_MM_PER_INCH: Final = 25.4
_DOTS_PER_INCH: Final = 300

# Okabe and Ito (2008), with a grey for the yellow that vanishes on white.
_COLOURS: Final = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
    "#808080",
)
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LINES: Final[Mapping[str, Line]] = {
    "pretrained": "-",
    "scratch": (0, (4, 1.5)),
    "baseline": (0, (1, 1.2)),
}

_SETTINGS: Final = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "svg.hashsalt": "gfmp",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a name with a dollar sign is a name
    "axes.unicode_minus": False,
}


@dataclass(frozen=True)
class Look:
    """How one model is drawn, everywhere.

    Attributes:
        colour: Hex.
        marker: Matplotlib's name.
        line: Solid for pretrained, dashed for scratch, dotted for baselines.
    """

    colour: str
    marker: str
    line: Line


def looks(models: Sequence[Model]) -> dict[Model, Look]:
    """Give every model its colour, marker and line; colour and marker repeat after 72 models."""
    plain = palette(len(models))
    return {
        model: replace(look, line=_LINES[model.family])
        for model, look in zip(models, plain, strict=True)
    }


def palette(number: int, line: Line = "-") -> tuple[Look, ...]:
    """Return colours with markers that tell as many things apart."""
    return tuple(
        Look(_COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)], line)
        for place in range(number)
    )


@contextmanager
def styled() -> Iterator[None]:
    """Draw with our settings whatever a person's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """Return an empty figure of this size that no window manager knows of."""
    figure = Figure(figsize=(width_mm / _MM_PER_INCH, height_mm / _MM_PER_INCH), layout=None)
    FigureCanvasAgg(figure)
    return figure


def rendered(figure: Figure) -> dict[str, bytes]:
    """Return the figure as PNG (300 dpi) and SVG, without dates or versions."""
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": "gfmp"})
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "gfmp"})
    return {"png": png.getvalue(), "svg": svg.getvalue()}
