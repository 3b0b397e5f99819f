"""Figures: the right sizes, the same bytes every time, texts that do not meet."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import matplotlib as mpl
import pytest
from made_up_sweeps import DEMO, Sweep

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


def test_many_tasks_take_several_pages() -> None:
    names = tuple(f"t{number}" for number in range(10))
    found = drawn(tasks=names, learned=DEMO[:1], percents=(1.0,), seeds=(1,))
    assert {"all_tasks_1", "all_tasks_2"} <= set(found)


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
