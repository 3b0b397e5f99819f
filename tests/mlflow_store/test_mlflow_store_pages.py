"""Reports, figures and words for MLflow: every shape a run can have, long, short or empty."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gfmp.errors import SpecError
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.ledger.series import Point, SeriesBook
from gfmp.ledger.status import Status
from gfmp.mlflow_store import payload
from gfmp.mlflow_store.artifacts import collect_files, report_markdown
from gfmp.mlflow_store.client import MAX_PARAM_CHARACTERS
from gfmp.mlflow_store.figures import (
    _PANELS,
    COLOURS,
    _dress,
    draw_figures,
    heldout_lines,
    learning_rate_lines,
    loss_lines,
    throughput_lines,
)
from gfmp.storage.atomic import atomic_write
from gfmp.storage.workspace import Workspace


def book_of(num_steps: int, **fields: float) -> SeriesBook:
    book = SeriesBook()
    book.add(step(n, 0, **{k: v / n for k, v in fields.items()}) for n in range(1, num_steps + 1))
    return book


def step(number: int, segment: int, **fields: float) -> Event:
    return Event(0, 0.0, segment, "rank0", "step", {"step": number, **fields})


def drawn(name: str, book: SeriesBook) -> Axes:
    axes = Figure().subplots()
    _PANELS[name][0](axes, book)
    _dress(axes, book)
    return axes


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize(("num_steps", "window"), [(1, 1), (2, 1), (29, 1), (50, 2), (5000, 250)])
def test_the_smoothing_grows_with_the_run(num_steps: int, window: int) -> None:
    axes = drawn("loss", book_of(num_steps, **{"loss/kmer6": 9.0}))
    assert f"(mean of {window} steps)" in axes.get_title(loc="left")
    raw, smooth = axes.get_lines()
    assert len(raw.get_xdata()) == len(smooth.get_xdata()) == num_steps
    assert list(raw.get_ydata()) == [9.0 / n for n in range(1, num_steps + 1)]
    assert legend(axes) == ["kmer6"]
    assert axes.get_xlim()[0] == 0


def test_more_vocabularies_than_colours_stay_apart() -> None:
    names = [f"v{i:02d}" for i in range(len(COLOURS) + 3)]
    book = book_of(3, **{f"loss/{name}": 1.0 + i for i, name in enumerate(names)})
    axes = drawn("loss", book)
    assert legend(axes) == names
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.get_lines()[1::2]}
    assert len(looks) == len(names)


def test_restarts_are_marked_once_in_the_legend() -> None:
    book = book_of(10, loss=1.0)
    for segment, start in ((1, 6), (2, 4)):
        book.add(step(n, segment, loss=1.0) for n in range(start, 9))
    axes = drawn("loss", book)
    assert legend(axes) == ["loss", "resumed"]
    restarts = [line.get_xdata()[0] for line in axes.get_lines()[2:]]
    assert restarts == [6, 4]


def test_the_median_and_the_newest_value_are_told() -> None:
    book = SeriesBook()
    speeds = (1000.0, 5000.0, 3000.0)
    book.add(step(n, 0, tokens_per_second=v, learning_rate=1e-3) for n, v in enumerate(speeds, 1))
    book.add([Event(0, 0.0, 0, "rank0", "evaluation", {"step": 2, "heldout/bpe/loss": 1.23456})])
    assert legend(drawn("throughput", book)) == ["median 3,000"]
    assert legend(drawn("heldout", book)) == ["bpe (now 1.235)"]
    assert drawn("learning_rate", book).get_legend() is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_curves_without_a_finite_number_have_no_panel(tmp_path: Path, value: float) -> None:
    fields = {"loss": value, "loss/a": value, "learning_rate": value, "tokens_per_second": value}
    book = SeriesBook()
    book.add([step(1, 0, **fields), step(2, 0, **fields)])
    book.add([Event(0, 0.0, 0, "rank0", "evaluation", {"step": 2, "heldout/a/loss": value})])
    for lines in (loss_lines, heldout_lines, learning_rate_lines, throughput_lines):
        assert lines(book) == []
    assert draw_figures(book, tmp_path / "figures", "demo") == ()
    assert not (tmp_path / "figures").exists()


def test_one_panel_needs_no_overview_and_is_replaced_whole(tmp_path: Path) -> None:
    (path,) = draw_figures(book_of(1, loss=1.0), tmp_path, "demo")
    assert path == tmp_path / "loss.png"
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG")
    assert struct.unpack(">II", first[16:24]) == (1080, 630)
    assert draw_figures(book_of(4000, loss=1.0), tmp_path, "a-very-long-name-" * 5) == (path,)
    assert path.read_bytes() != first
    assert [p.name for p in tmp_path.iterdir()] == ["loss.png"]


def rows(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("| ")]


def test_a_report_is_a_page_with_checks_first() -> None:
    checks = [
        {"name": "loss fell", "passed": True, "last": 0.123456789},
        {"name": "no NaN", "passed": False, "found": 3},
        {},
        "a bare word",
    ]
    fields = {"b": 1234567.0, "a": 3, "checks": checks, "good": True, "note": "x", "nan": math.nan}
    page = report_markdown("demo-1", {**fields, "list": [1], "none": None})
    assert page.startswith("# Report of demo-1\n\n")
    assert page.endswith("|\n")
    assert rows(page) == [
        "| check | result | detail |",
        "| loss fell | passed | last 0.123457 |",
        "| no NaN | **failed** | found 3 |",
        "|  | **failed** |  |",
        "| a bare word | | |",
        "| number | value |",
        "| a | 3 |",
        "| b | 1.23457e+06 |",
        "| good | True |",
        "| nan | nan |",
        "| note | x |",
    ]


@pytest.mark.parametrize("checks", [None, [], (), 3])
def test_a_report_without_checks_has_no_empty_table(checks: object) -> None:
    page = report_markdown("demo", {"checks": checks, "loss": 0.5})
    assert "check |" not in page
    assert "| loss | 0.5 |" in page
    assert rows(report_markdown("demo", {})) == ["| number | value |"]


def test_files_are_those_that_are_there(run: Run, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert sorted(collect_files(run, None, scratch)) == [
        "environment.json",
        "plan.json",
        "spec.yaml",
    ]
    for name in ("loss.png", "b.png", "notes.txt", ".tmp-loss.png-1"):
        atomic_write(run.figures_path / name, b"x")
    run.plan_path.unlink()
    report = {"loss": math.nan, "best": math.inf, "what": "caf\xe9"}
    files = collect_files(run, report, scratch)
    assert {"figures/b.png", "figures/loss.png", "report.json", "report.md"} <= set(files)
    assert not {"plan.json", "figures/notes.txt"} & set(files)
    assert repr(json.loads(files["report.json"].read_text())) == repr(dict(sorted(report.items())))
    environment = json.loads(files["environment.json"].read_text())
    assert environment == json.loads(json.dumps(run.header.to_json()["provenance"]))


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=4),
        st.none() | st.integers() | st.text(max_size=4) | st.lists(st.booleans(), max_size=3),
        max_size=5,
    )
)
def test_equal_plans_have_no_changes_and_each_change_is_told(plan: dict[str, object]) -> None:
    params = payload.flat_params(plan)
    assert all(isinstance(value, str) for value in params.values())
    assert payload.changed_params(params, payload.flat_params(plan)) == {}
    other = {key: f"{value}!" for key, value in params.items()}
    changed = payload.changed_params(params, other)
    assert set(changed) == {f"gfmp.resume.{key}" for key in params}
    assert payload.changed_params({}, params) == {}


@pytest.mark.parametrize("length", [0, 1, MAX_PARAM_CHARACTERS, MAX_PARAM_CHARACTERS + 1])
def test_a_long_word_is_compared_as_mlflow_keeps_it(length: int) -> None:
    params = payload.flat_params({"note": "n" * length})
    assert len(params["note"]) == min(length, MAX_PARAM_CHARACTERS)
    kept = {key: value[:MAX_PARAM_CHARACTERS] for key, value in params.items()}
    assert payload.changed_params(kept, params) == {}


@pytest.mark.parametrize(
    ("num_steps", "stride"), [(1, 1), (1998, 1), (1999, 2), (3996, 2), (3997, 3)]
)
def test_the_stride_changes_exactly_where_it_must(num_steps: int, stride: int) -> None:
    kept = list(filter(payload.step_filter(num_steps), range(1, num_steps + 1)))
    assert kept == sorted({1, num_steps, *range(stride, num_steps + 1, stride)})
    assert len(kept) <= payload.MAX_POINTS_PER_CURVE


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("ab", min_size=1), st.lists(st.floats(), max_size=30), max_size=3))
def test_no_point_is_lost_between_curves_and_tags(values: dict[str, list[float]]) -> None:
    curves = {
        name: [Point(i, v, 0.0) for i, v in enumerate(column)] for name, column in values.items()
    }
    finite, tags = payload.split_nonfinite(curves)
    assert set(finite) == set(curves)
    for name, points in curves.items():
        others = [p for p in points if not math.isfinite(p.value)]
        assert [*finite[name]] == [p for p in points if math.isfinite(p.value)]
        words = tags.get(f"nonfinite.{name}", "").split()
        assert [w for w in words if "@" in w] == [f"{p.value}@{p.step}" for p in others[:20]]
        if len(others) > 20:
            assert words[-3:] == ["and", str(len(others) - 20), "more"]


def test_a_corpus_without_a_name_in_the_spec_still_has_one(run: Run, workspace: Workspace) -> None:
    for spec, name in ((b"kind: x\n", "corpus"), (b"corpus: yeast\n", "yeast")):
        atomic_write(run.spec_path, spec)
        corpus = payload.corpus_input(run, workspace, {"what": {"corpus": "cd" * 40}})
        assert corpus is not None
        assert (corpus.name, corpus.digest) == (name, "cd" * 16)
        assert len(corpus.digest) <= 36  # mlflow.entities.Dataset
    atomic_write(run.spec_path, b"corpus: [")
    with pytest.raises(SpecError):
        payload.corpus_input(run, workspace, {"what": {"corpus": "cd"}})


def test_newest_words_become_tags_and_missing_ones_do_not() -> None:
    assert payload.latest_tags({}, ()) == {}
    bare = {"step": step(1, 0), "checkpoint": Event(0, 0.0, 0, "rank0", "checkpoint", {})}
    assert payload.latest_tags(bare, ()) == {"gfmp.checkpoint": "unknown"}
    full = {"step": Event(0, 0.0, 0, "rank0", "step", {"step": 1, "order_hash": 17})}
    tags = payload.latest_tags(full, (3, 4, 9))
    assert tags == {"gfmp.order_hash": "17", "gfmp.recomputed": "3 steps in 3..9"}
    fields = {"step": 8, "message": "spike 1e+06 at step 8", "policy": "skip"}
    unsound = {"incident": Event(0, 0.0, 0, "rank0", "incident", fields)}
    assert payload.latest_tags(unsound, ()) == {"gfmp.incident": "spike 1e+06 at step 8 (skip)"}


@pytest.mark.parametrize("status", list(Status))
def test_the_error_of_a_run_is_told_only_when_it_failed(status: Status) -> None:
    events = [Event(0, 0.0, 0, "driver", "failed", {})]
    tags = payload.state_tags(status, events)
    assert tags.get("gfmp.error") == ("unknown" if status is Status.FAILED else None)
    assert tags["gfmp.status"] == str(status)
    assert tags["gfmp.restarts"] == "0"


@pytest.mark.parametrize(("at", "expected"), [(7, 7), (None, 0), ("7", 0), (1.5, 0)])
def test_a_report_without_a_step_stands_at_the_beginning(at: object, expected: int) -> None:
    event = Event(0, 2.0, 0, "rank0", "report", {"step": at, "x": 1})
    assert payload.report_curves(event) == {"x": (Point(expected, 1.0, 2.0),)}
