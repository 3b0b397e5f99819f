"""What the tests of the matrix found, as one table.

Merge the records of parts run apart (`pytest tests/faults --fault-record PART.json`):
    python tests/faults/fault_table.py PART1.json PART2.json > platform/FAULTS.md
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fault_rows import MATRIX_IDS, QUIET_IDS, ROWS, Row

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"
COLUMNS = ("row", "fault", "outcome", "exit", "seconds", "lost")


@dataclass(frozen=True)
class TestRecord:
    """What one test of one row found.

    Attributes:
        row: The row.
        test: Node id of the test.
        result: `passed`, `skipped` or `failed`.
        seconds: Duration of the test without its fixtures.
        exits: Exit statuses it saw.
        outcomes: What happened, in words.
        lost: What it counted as lost, by noun.
        reason: Why it was skipped or how it failed.
    """

    __test__ = False

    row: str
    test: str
    result: str
    seconds: float
    exits: tuple[int, ...]
    outcomes: tuple[str, ...]
    lost: Mapping[str, int]
    reason: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> TestRecord:
        """Read what `asdict` wrote."""
        record = cls(**values)  # type: ignore[arg-type] # written by asdict
        return cls(**{**asdict(record), "exits": tuple(record.exits)})


@dataclass(frozen=True)
class RowResult:
    """All tests of one row together: the worst result, every status, the sum of what was lost."""

    row: Row
    records: tuple[TestRecord, ...]

    @property
    def ran(self) -> tuple[TestRecord, ...]:
        """The tests that were not skipped."""
        return tuple(r for r in self.records if r.result != SKIPPED)

    @property
    def result(self) -> str:
        """`failed` if any failed, `not run` if none ran."""
        if not self.ran:
            return "not run"
        return FAILED if any(r.result == FAILED for r in self.ran) else PASSED

    def cells(self) -> tuple[str, ...]:
        """Return the row's text by column."""
        words = _distinct(word for r in self.ran for word in r.outcomes)
        if self.result == FAILED:
            red = [r.test.rpartition("::")[2] for r in self.ran if r.result == FAILED]
            words = [f"FAILED: {', '.join(red)}", *words]
        if not self.ran:
            words = ["not run"]
        elif len(self.ran) < len(self.records):
            words.append(f"({len(self.records) - len(self.ran)} more not run)")
        exits = _distinct(str(status) for r in self.ran for status in sorted(set(r.exits)))
        seconds = sum(r.seconds for r in self.ran)
        return (
            self.row.id,
            self.row.fault,
            "; ".join(words),
            " ".join(exits) or "-",
            f"{seconds:.1f}" if self.ran else "-",
            self._lost(),
        )

    def _lost(self) -> str:
        if not self.ran:
            return "-"
        total: dict[str, int] = {}
        for record in self.ran:
            for noun, count in record.lost.items():
                total[noun] = total.get(noun, 0) + count
        return ", ".join(f"{count} {noun}" for noun, count in total.items() if count) or "nothing"


def _distinct(words: object) -> list[str]:
    return list(dict.fromkeys(words))  # type: ignore[call-overload, no-any-return]


def by_row(records: Sequence[TestRecord]) -> list[RowResult]:
    """Group records into all rows; of one test, the last run that was not skipped counts."""
    chosen: dict[tuple[str, str], TestRecord] = {}
    for record in records:
        key = (record.row, record.test)
        if key not in chosen or record.result != SKIPPED:
            chosen[key] = record
    return [
        RowResult(row, tuple(r for r in chosen.values() if r.row == row.id))
        for row in ROWS.values()
    ]


def as_text(results: Sequence[RowResult]) -> list[str]:
    """Return the table for a terminal; the outcome column is cut to keep lines short."""
    table = [COLUMNS, *(result.cells() for result in results)]
    limits = (4, 44, 72, 12, 8, 24)
    widths = [min(limits[i], max(len(line[i]) for line in table)) for i in range(len(COLUMNS))]
    return [
        " | ".join(_fitted(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]


def _fitted(cell: str, width: int) -> str:
    return (cell if len(cell) <= width else f"{cell[: width - 3]}...").ljust(width)


def as_markdown(parts: Sequence[Mapping[str, object]], results: Sequence[RowResult]) -> str:
    """Return the page with the table, the dates and versions of the parts, and the machine."""
    last = parts[-1]
    versions = last["versions"]
    machine = last["machine"]
    assert isinstance(versions, dict) and isinstance(machine, dict), "written by the session"
    lines = [
        "# The fault matrix, as last run",
        "",
        "Each row is a fault that is really made and what came of it; the tests are in",
        "`tests/faults/`. `lost` is what the tests counted. Rows Q1 to Q14 show a library failing",
        "quietly beside gfmp holding.",
        "",
        f"- dates: {', '.join(_distinct(str(part['date']) for part in parts))}",
        f"- revision: {', '.join(_distinct(_revision(part) for part in parts))}",
        f"- versions: {', '.join(f'{name} {found}' for name, found in versions.items())}",
        f"- machine: {machine['cores']} cores, {machine['memory_gib']} GiB",
        "",
    ]
    for title, ids in (("Matrix", MATRIX_IDS), ("Quiet failures", QUIET_IDS)):
        lines += [f"## {title}", "", _markdown_line(COLUMNS), _markdown_line(["---"] * 6)]
        lines += [_markdown_line(r.cells()) for r in results if r.row.id in ids] + [""]
    return "\n".join(lines)


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _revision(part: Mapping[str, object]) -> str:
    return f"{part['revision']}{' with changes' if part['dirty'] else ''}"


def merged(parts: Sequence[Mapping[str, object]], mixed: bool) -> str:
    """Merge parts into the page.

    Raises:
        ValueError: a row is red or was not run, or the parts are of several revisions.
    """
    parts = sorted(parts, key=lambda part: str(part["date"]))
    revisions = _distinct(_revision(part) for part in parts)
    if len(revisions) > 1 and not mixed:
        raise ValueError(f"several revisions: {', '.join(revisions)}; --mixed allows it")
    records: list[TestRecord] = []
    for part in parts:
        tests = part["tests"]
        assert isinstance(tests, list), "written by the session"
        records += [TestRecord.from_json(test) for test in tests]
    results = by_row(records)
    wrong = [f"{r.row.id} {r.result}" for r in results if r.result != PASSED]
    if wrong:
        raise ValueError(f"not green: {', '.join(wrong)}")
    return as_markdown(parts, results)


def main() -> int:
    """Print the merged page; 1 when it may not be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", nargs="+", type=Path)
    parser.add_argument("--mixed", action="store_true", help="allow parts of several revisions")
    arguments = parser.parse_args()
    parts = [json.loads(path.read_text()) for path in arguments.records]
    try:
        print(merged(parts, arguments.mixed))
    except ValueError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
