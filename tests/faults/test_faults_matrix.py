"""The matrix itself: its rows, its tests, its table."""

from __future__ import annotations

import ast
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from fault_rows import MATRIX_IDS, QUIET_IDS, ROWS
from fault_table import TestRecord, as_text, by_row, merged

pytestmark = pytest.mark.ci

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "platform" / "FAULTS.md"


def _marked_rows() -> set[str]:
    """Return the rows that some test is marked with, read from the code."""
    found = set()
    for path in FOLDER.glob("test_faults_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                found |= {ast.literal_eval(argument) for argument in node.args}
    return found


def test_the_matrix_has_38_rows_and_14_quiet_ones() -> None:
    assert (len(MATRIX_IDS), len(QUIET_IDS), len(ROWS)) == (38, 14, 52)
    assert all(row.cost in {"s", "m", "l"} and row.fault and row.bare for row in ROWS.values())


def test_every_row_has_a_test_and_every_mark_a_row() -> None:
    assert _marked_rows() == set(ROWS)


def test_the_page_lists_every_row_with_date_and_versions() -> None:
    if not PAGE.exists():
        pytest.skip("no page yet")
    text = PAGE.read_text()
    listed = re.findall(r"^\| ([A-Z]\d+) \|", text, re.MULTILINE)
    assert listed == list(ROWS)
    assert re.search(r"^- dates: \d{4}-\d\d-\d\d", text, re.MULTILINE)
    assert re.search(r"^- versions: python 3\.11", text, re.MULTILINE)


def _record(row: str, test: str = "test_a", result: str = "passed") -> TestRecord:
    return TestRecord(row, test, result, 1.5, (78,), ("refused",), {"files": 0})


def _part(*tests: TestRecord, revision: str = "abc", date: str = "2030-01-01") -> dict[str, object]:
    return {
        "date": date,
        "revision": revision,
        "dirty": False,
        "versions": {"python": "3.11.9"},
        "machine": {"cores": 2, "memory_gib": 23.5},
        "tests": [asdict(test) for test in tests],
    }


def test_a_row_is_as_bad_as_its_worst_test() -> None:
    good, bad = _record("C1"), replace(_record("C1", "x::test_b", "failed"), exits=(70,))
    row = by_row([good, bad])[0]
    assert row.result == "failed"
    assert row.cells()[2:] == ("FAILED: test_b; refused", "78 70", "3.0", "nothing")
    lossy = replace(good, lost={"steps": 2, "files": 0})
    assert by_row([lossy])[0].cells()[-1] == "2 steps"


def test_a_skipped_test_is_not_a_result_and_hides_none() -> None:
    skipped = _record("C1", result="skipped")
    assert by_row([skipped])[0].result == "not run"
    assert by_row([_record("C1"), skipped])[0].result == "passed"
    assert by_row([skipped, _record("C1", result="failed")])[0].result == "failed"


def test_rows_without_a_test_are_in_the_table() -> None:
    lines = as_text(by_row([_record("K2")]))
    assert len(lines) == 1 + len(ROWS)
    assert sum("not run" in line for line in lines) == len(ROWS) - 1


def test_the_page_is_made_of_green_parts_of_one_revision() -> None:
    half = len(ROWS) // 2
    rows = [_record(row) for row in ROWS]
    page = merged([_part(*rows[:half]), _part(*rows[half:])], mixed=False)
    assert re.findall(r"^\| ([A-Z]\d+) \|", page, re.MULTILINE) == list(ROWS)
    with pytest.raises(ValueError, match="not green: C1 not run"):
        merged([_part(*rows[1:])], mixed=False)
    other = _part(*rows[half:], revision="def")
    with pytest.raises(ValueError, match="several revisions"):
        merged([_part(*rows[:half]), other], mixed=False)
    assert "revision: abc, def" in merged([_part(*rows[:half]), other], mixed=True)


def test_of_one_test_the_newest_run_counts() -> None:
    rows = [_record(row) for row in ROWS]
    red = _part(_record("C1", result="failed"), date="2030-01-01")
    green = _part(*rows, date="2030-01-02")
    assert merged([green, red], mixed=False)
    with pytest.raises(ValueError, match="C1 failed"):
        merged([_part(*rows, date="2029-01-01"), red], mixed=False)
