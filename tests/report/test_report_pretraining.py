"""The page of a pretraining run: itself alone, whatever the names, and the same each time."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gfmp.ledger.events import Event
from gfmp.ledger.goodput import goodput
from gfmp.ledger.series import Point, SeriesBook
from gfmp.plan.values import Derived
from gfmp.report.lineage import Link, Stage, lineage_html
from gfmp.report.pretrain_data import Check, PretrainData
from gfmp.report.pretrain_figures import (
    bits_lines,
    looks_of,
    run_pictures,
    thinned,
    time_parts,
)
from gfmp.report.pretrain_page import run_files, run_page, seconds_text, short

EVIL = "<script>alert('x')</script> & \"co\""


def events(steps: int = 40) -> tuple[Event, ...]:
    """Return a run of two vocabularies, evaluated four times."""
    told: list[tuple[str, dict[str, object]]] = []
    for step in range(1, steps + 1):
        numbers = {"loss": 3.0 / step, "loss/a": 2.0 / step, "loss/b": 4.0 / step}
        speed = {"tokens": 100, "tokens_per_second": 50.0 + step, "seconds": 2.0}
        told.append(("step", {"step": step, **numbers, **speed, "learning_rate": 0.01 / step}))
        if step % (steps // 4) == 0:
            bits = {f"heldout/{v}/bits_per_base": 2.0 - step / 100 for v in "ab"}
            loss = {f"heldout/{v}/loss": 5.0 - step / 100 for v in "ab"}
            told.append(("evaluation", {"step": step, **bits, **loss}))
    rank0 = [Event(i, 10.0 + 2.0 * i, 0, "rank0", k, f) for i, (k, f) in enumerate(told)]
    return (Event(0, 5.0, 0, "driver", "started", {}), *rank0)


def numbers(name: str) -> dict[str, float]:
    """Return a held-out report in which the model beats order 0 and loses to order 5."""
    found = {"bits_per_base": 1.91, "order0_bits": 1.95, "order5_bits": 1.9, "loss": 4.6}
    found |= {"unigram_loss": 5.5, "hidden_bases": 900.0, "targets": 300.0, "windows": 12.0}
    found |= {"accuracy": 0.25, "loss_minus_unigram": -0.9}
    gaps = {"bits_minus_order0": -0.04, "bits_minus_order5": 0.01, "loss_minus_unigram": -0.9}
    for gap, value in gaps.items():
        found |= {gap: value, f"{gap}/low": value - 0.005, f"{gap}/high": value + 0.005}
    return {f"report/{name}/{key}": value for key, value in found.items()}


@pytest.fixture(scope="module")
def data() -> PretrainData:
    told = events()
    book = SeriesBook()
    book.add(told)
    return PretrainData(
        name="demo",
        run_id="demo-1",
        status="finished",
        step=40,
        planned_steps=40,
        vocabularies=("a", "b"),
        book=book,
        numbers=numbers("a") | numbers("b"),
        checks=(Check("a loss < unigram", 4.6, 5.5, -1.0, -0.8, True),),
        time=goodput(told),
        parameters=1_605_534,
        plan=(Derived("steps", 40, "steps", "the job says so"),),
        checkpoints=(("40", "checkpoints/step-000000040", "1.0 MB"),),
        history=(("2026-01-01 00:00:00", "started"),),
        provenance=(("Seed", "0"),),
        lineage=(Stage("Corpus", (Link("c", ("10 bases",)),)), Stage("Figures", ())),
        commands=(("gfmp reproduce demo-1", "again"),),
    )


class _Tags(HTMLParser):
    """Checks that what is opened is closed, and keeps what would be fetched."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a tag."""
        self.seen.add(tag)
        self.fetched += [str(v) for k, v in attrs if k in ("src", "href", "srcset", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        assert self.open.pop() == tag


def parsed(page: str) -> _Tags:
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


@pytest.fixture(scope="module")
def files(data: PretrainData) -> dict[str, bytes]:
    return run_files(data)


def test_the_page_is_one_file_that_fetches_nothing(files: dict[str, bytes]) -> None:
    page = files["report.html"].decode("utf-8")
    assert next(iter(files)) == "report.html"
    tags = parsed(page)
    assert len(tags.fetched) == 6
    assert all(one.startswith("data:image/svg+xml;base64,") for one in tags.fetched)
    assert "url(" not in page and "@import" not in page and "script" not in tags.seen
    assert page.isascii()


def test_equal_data_gives_equal_bytes(data: PretrainData, files: dict[str, bytes]) -> None:
    assert run_files(replace(data, numbers=dict(data.numbers))) == files


def test_names_of_people_are_only_text(data: PretrainData) -> None:
    evil = replace(
        data,
        name=EVIL,
        run_id=EVIL,
        history=((EVIL, EVIL),),
        provenance=((EVIL, EVIL),),
        lineage=(Stage(EVIL, (Link(EVIL, (EVIL,)),)),),
        commands=((EVIL, EVIL),),
    )
    page = run_page(evil, ())
    assert "script" not in parsed(page).seen
    assert "&lt;script&gt;" in page


def test_better_and_worse_are_told_by_their_intervals(data: PretrainData) -> None:
    page = run_page(data, ())
    rows = re.findall(r"<tr><td>a</td>.*?</tr>", page)
    tones = [re.search(r'class="(\w+)"', row) for row in rows[:3]]
    assert [tone[1] if tone else "" for tone in tones] == ["better", "worse", "better"]
    assert "-0.040" in rows[0] and "[-0.045, -0.035]" in rows[0]
    assert "1.61 M" in page and "<td>25.0%</td>" in page


def test_a_run_without_anything_has_a_page(data: PretrainData) -> None:
    empty = replace(
        data,
        status="planned",
        step=0,
        book=SeriesBook(),
        numbers={},
        checks=(),
        time=goodput(()),
        checkpoints=(),
        history=(),
        plan=(),
    )
    assert run_pictures(empty) == ()
    page = run_page(empty, ())
    parsed(page)
    assert "is planned at step 0 of 40" in page
    assert "<h2>Curves" not in page and "<h2>Plan" not in page and "<h2>Time" not in page
    assert run_files(empty)["curves.csv"] == b"curve,step,value\n"


def test_numbers_that_are_not_finite_are_left_out_of_figures(data: PretrainData) -> None:
    book = SeriesBook()
    fields = {"step": 1, "heldout/a/bits_per_base": math.nan, "heldout/b/bits_per_base": 1.9}
    book.add([Event(0, 1.0, 0, "rank0", "evaluation", fields)])
    odd = replace(data, book=book)
    assert [line.label for line in bits_lines(odd)] == ["b"]
    assert {picture.name for picture in run_pictures(odd)} == {"bits_per_base", "time"}
    assert "undefined" in run_page(odd, ())


def test_the_parts_of_the_time_are_all_of_it(data: PretrainData) -> None:
    parts = dict(time_parts(data))
    assert sum(parts.values()) == pytest.approx(data.time.wall_seconds)
    assert parts["productive"] > 0


def test_many_points_become_few_and_keep_their_ends() -> None:
    points = tuple(Point(step, 1.0, 0.0) for step in range(1, 100_001))
    kept = thinned(points)
    assert len(kept) <= 1001
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert thinned(points[:3]) == points[:3]
    assert thinned(()) == ()


def test_vocabularies_look_the_same_everywhere() -> None:
    looks = looks_of(("a", "b", "c"))
    assert len({(look.colour, look.marker) for look in looks.values()}) == 3


def test_an_empty_stage_says_so() -> None:
    page = lineage_html([Stage("Figures", (), "none so far"), Stage("Now", (), present=True)])
    assert "none so far" in page and 'class="present"' in page


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1605534, "1.61 M"), (39_200_000, "39.2 M")]
)
def test_counts_are_short(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04, "0.0 s"), (59.0, "59.0 s"), (3811.0, "1 h 3 min"), (86400.0, "1 d"), (60.0, "1 min")],
)
def test_durations_have_two_units(value: float, text: str) -> None:
    assert seconds_text(value) == text
