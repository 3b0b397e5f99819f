"""Figures: the right sizes, the same bytes every time, texts that do not meet."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from made_up_sweeps import DEMO, Sweep
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from gfmp.report.analysis import analyse
from gfmp.report.comparisons import Findings
from gfmp.report.figures import Picture, pictures, slug
from gfmp.report.layout import fitting_ticks, legend_columns, legend_height_mm, shortened
from gfmp.report.style import COLUMN_MM, PAGE_MM, looks, palette


def drawn(**changes: Sequence[object]) -> dict[str, Picture]:
    settings: dict[str, object] = {"tasks": ("fly", "yeast"), "num_test": 40}
    data = Sweep(**(settings | changes)).data()  # type: ignore[arg-type]  # names of Sweep
    return {picture.name: picture for picture in pictures(Findings.of(analyse(data, 20)))}


@pytest.fixture(scope="module")
def demo() -> dict[str, Picture]:
    return drawn()


def width_mm(png: bytes) -> float:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return float(struct.unpack(">I", png[16:20])[0]) / 300 * 25.4


def test_there_is_one_figure_for_each_task_one_page_and_the_vocabularies(
    demo: dict[str, Picture],
) -> None:
    assert set(demo) == {
        "label_efficiency_fly",
        "label_efficiency_yeast",
        "all_tasks_1",
        "vocabularies",
    }
    for picture in demo.values():
        wanted = COLUMN_MM if picture.name.startswith("label") else PAGE_MM
        assert width_mm(picture.files["png"]) == pytest.approx(wanted, abs=0.2)
        assert b"<svg" in picture.files["svg"]


def test_figures_are_the_same_bytes_every_time(demo: dict[str, Picture]) -> None:
    with mpl.rc_context({"font.size": 30, "svg.hashsalt": None, "axes.grid": True}):
        again = drawn()
    for name, picture in demo.items():
        assert picture.files == again[name].files, name
        assert b"<dc:date>" not in picture.files["svg"]
        assert b"http://www.w3.org" in picture.files["svg"]


def test_one_percent_one_model_one_task_are_drawn() -> None:
    few = drawn(tasks=("fly",), percents=(3.0,), learned=DEMO[:1], seeds=(1,))
    assert set(few) == {"label_efficiency_fly"}
    assert set(drawn(tasks=("fly",), percents=(3.0,))) == {"label_efficiency_fly", "vocabularies"}
    assert drawn(tasks=()) == {}


def test_many_tasks_take_several_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gfmp.report.figures._PANELS_PER_PAGE", 2)
    found = drawn(tasks=("a", "b", "c"), learned=DEMO[:1], percents=(1.0,), seeds=(1,))
    assert {name for name in found if name.startswith("all")} == {"all_tasks_1", "all_tasks_2"}
    assert found["all_tasks_2"].title == "Label efficiency of 1 tasks"


def figures_of(monkeypatch: pytest.MonkeyPatch, **changes: Sequence[object]) -> list[Figure]:
    """Return what would be written, drawn but not yet files."""
    caught: list[Figure] = []

    def keep(figure: Figure) -> dict[str, bytes]:
        figure.draw_without_rendering()
        caught.append(figure)
        return {}

    monkeypatch.setattr("gfmp.report.figures.rendered", keep)
    drawn(**changes)
    return caught


def texts_of(figure: Figure) -> list[Text]:
    labels = [text for axes in figure.axes for text in _texts(axes)]
    return labels + [text for legend in figure.legends for text in legend.get_texts()]


def _texts(axes: Axes) -> list[Text]:
    titles = [child for child in axes.get_children() if isinstance(child, Text)]
    (left, right), (low, high) = axes.get_xlim(), sorted(axes.get_ylim())
    below = [t for t in axes.get_xticklabels() if left <= t.get_position()[0] <= right]
    beside = [t for t in axes.get_yticklabels() if low <= t.get_position()[1] <= high]
    return [*titles, axes.xaxis.label, axes.yaxis.label, *below, *beside]


PAPER = (1.0, 3.0, 10.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"tasks": ("yeast_coding_vs_intergenic", "b", "c", "d"), "percents": PAPER},
        {"tasks": ("x" * 70, "y" * 70), "learned": DEMO[:1], "percents": (1.0,)},
        {"tasks": ("a",), "learned": DEMO, "percents": (0.01, 0.02, 100.0)},
        {"tasks": ("a", "b"), "learned": DEMO[:2], "num_test": 2},
    ],
)
def test_texts_of_figures_stay_inside_and_never_meet(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Sequence[object]]
) -> None:
    for figure in figures_of(monkeypatch, seeds=(1,), **changes):
        boxes = [text.get_window_extent() for text in texts_of(figure) if text.get_text()]
        for box in boxes:
            assert figure.bbox.x0 - 1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1
            assert figure.bbox.y0 - 1 <= box.y0 <= box.y1 <= figure.bbox.y1 + 1
        for one, other in combinations(boxes, 2):
            assert not one.padded(-1).overlaps(other.padded(-1))


def test_bars_stand_side_by_side_and_closer_where_shares_are_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def spread(percents: Sequence[float]) -> float:
        (figure,) = figures_of(monkeypatch, tasks=("a",), learned=DEMO[4:], percents=percents)[-1:]
        starts = [float(line.get_xdata()[0]) for line in figure.axes[0].lines]
        assert starts == sorted(set(starts))
        return starts[-1] / starts[0]

    wide, close = spread((1.0, 10.0, 100.0)), spread((80.0, 90.0, 100.0))
    assert wide == pytest.approx(np.exp(0.24))
    assert close == pytest.approx((100 / 90) ** 0.6)


def test_hostile_names_are_only_names() -> None:
    found = drawn(tasks=("../x$\\frac{", "a<b>&"), learned=DEMO[:2], percents=(1.0, 3.0))
    assert any(name.startswith("label_efficiency_x-frac-") for name in found)
    assert all("/" not in name and "." not in name for name in found)
    assert slug("...").startswith("task-")
    assert slug("prom_300-tata") == "prom_300-tata"


def test_names_that_look_alike_get_files_of_their_own() -> None:
    found = drawn(tasks=("a.b", "a b"), learned=DEMO[:1], percents=(1.0, 3.0))
    assert len([name for name in found if name.startswith("label_efficiency_a-b")]) == 2


def test_every_model_looks_different() -> None:
    seen = palette(72)
    assert len({(look.colour, look.marker) for look in seen}) == 72
    assert len({look.colour for look in seen[:8]}) == 8
    models = analyse(Sweep(tasks=("fly",), num_test=20, percents=(1.0,)).data(), 2).models
    lines = {model.family: look.line for model, look in looks(models).items()}
    assert len(set(map(str, lines.values()))) == 3


def test_tick_labels_keep_the_last_and_never_meet() -> None:
    places, widths = [0.0, 10.0, 12.0, 30.0, 33.0], [6.0] * 5
    chosen = fitting_ticks(places, widths)
    assert chosen == [0, 1, 4]
    assert fitting_ticks([5.0], [6.0]) == [0]


def test_names_are_cut_in_the_middle_to_fit() -> None:
    assert shortened("short", 100.0) == "short"
    cut = shortened("a" * 40 + "b" * 40, 30.0)
    assert len(cut) == 20
    assert cut.startswith("aaa")
    assert cut.endswith("bbb")


def test_legends_use_the_width_they_have() -> None:
    short = ["abc"] * 6
    assert legend_columns(short, PAGE_MM) == 6
    assert legend_columns(["x" * 60] * 6, COLUMN_MM) == 1
    assert legend_height_mm(short, PAGE_MM) < legend_height_mm(["x" * 60] * 6, PAGE_MM)
