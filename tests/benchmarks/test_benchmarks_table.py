"""The common table: figures in, Markdown out and back, parts merged, fallen ratios named."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from figure import Figure
from table import (
    TABLE,
    Row,
    cpu_model,
    fallen,
    figures,
    machine,
    merged,
    read,
    scripts,
    written,
)

KMER = Figure(
    "1",
    "encoding",
    "peer",
    2.0,
    30.0,
    "MB per CPU s",
    15.0,
    "ratio >= 12, of limit >= 0.25",
    "u8 copy",
    0.25,
)
STEP = Figure("5", "step", "", 0.0, 30.0, "tokens per CPU s", 0.0, "")
ROWS = [
    Row(KMER, "kmer", "2026-01-02", "CPU one, 2 cores"),
    Row(STEP, "step", "2026-01-03", "CPU two, 4 cores"),
]


def test_a_table_is_read_as_it_was_written() -> None:
    assert read(written(ROWS)) == ROWS
    assert read(written([])) == []


def test_figures_are_found_among_other_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print("warming up")
    KMER.print()
    STEP.print()
    assert figures(capsys.readouterr().out.splitlines()) == [KMER, STEP]
    assert set(asdict(KMER)) >= {"item", "work", "peer", "ratio", "goal", "limit"}


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        ("ratio >= 15", True),
        ("ratio >= 15.1", False),
        ("ratio <= 14", False),
        ("rate <= 30", True),
        ("ratio >= 12, of limit >= 0.25", True),
        ("ratio >= 12, of limit >= 0.3", False),
    ],
)
def test_a_goal_names_what_it_bounds_and_from_which_side(goal: str, met: bool) -> None:
    figure = replace(KMER, goal=goal)
    assert figure.met is met
    (line,) = [x for x in written([replace(ROWS[0], figure=figure)]).splitlines() if goal in x]
    assert f"| {goal} | {'yes' if met else 'no'} |" in line


def test_a_part_that_is_run_again_replaces_its_rows_and_no_others() -> None:
    again = replace(ROWS[0], figure=replace(KMER, work="encoding, renamed"))
    assert merged(ROWS, [again]) == [again, ROWS[1]]
    assert merged(ROWS, []) == ROWS
    elsewhere = replace(again, machine="CPU three")
    assert merged(ROWS, [elsewhere]) == [ROWS[0], elsewhere, ROWS[1]]
    assert merged(ROWS, [replace(ROWS[0], machine="CPU three")]) == [
        replace(ROWS[0], machine="CPU three"),
        ROWS[1],
    ]


@pytest.mark.parametrize(
    ("goal", "ratio", "named"),
    [
        ("ratio >= 12", 15.0, False),
        ("ratio >= 12", 13.6, False),
        ("ratio >= 12", 13.4, True),
        ("", 13.4, True),
        ("ratio <= 20", 13.4, False),
        ("ratio <= 20", 16.6, False),
        ("ratio <= 20", 16.7, True),
    ],
)
def test_a_ratio_that_became_worse_by_a_tenth_is_named(
    goal: str, ratio: float, named: bool
) -> None:
    now = [replace(ROWS[0], figure=replace(KMER, goal=goal, ratio=ratio))]
    lines = fallen(ROWS, now)
    assert bool(lines) is named
    assert all(f"encoding against peer: 15 -> {ratio}" in line for line in lines)


def test_the_committed_table_names_scripts_that_exist() -> None:
    rows = read(TABLE.read_text(encoding="utf-8"))
    assert rows
    assert {row.script for row in rows} <= set(scripts())
    assert all(row.machine and row.date for row in rows)


def test_this_machine_has_a_name() -> None:
    assert cpu_model() in machine()
    assert "numpy" in machine() and "\n" not in machine()
