"""The section of the report on leaks: rows that are scored and were learned from, or read."""

from __future__ import annotations

from gfmp.report.comparisons import Findings
from gfmp.report.page import Datum, bullets, heading, paragraph, table
from gfmp.tasks.leaks import LeakReport, TaskLeaks
from gfmp.tasks.near import NEAR_BP

_HEADER = ("Task", "Rows of", "In", "Rows", "Exact", "Other strand", "Near", "Share")
_CAPTION = (
    "Rows that occur in an earlier split or in what a model was pretrained on. Near: they share"
    f" {NEAR_BP} bases or more in a row, or half of a shorter row, on either strand."
)


def leaks_section(findings: Findings) -> str:
    """Tabulate the leak audit; warn of what the sweep was allowed to leave in."""
    report = findings.analysis.data.leaks
    title = heading("Leak audit")
    if report is None:
        said = "This sweep began before audits were kept with sweeps: gfmp tasks check TASK."
        return title + paragraph(said, "warning")
    parts = [paragraph(said, "warning") for said in warnings(findings)]
    rows = [row for one in report.tasks for row in _rows(one)]
    return title + "".join(parts) + table(_CAPTION, _HEADER, rows) + bullets(_unknown(report))


def warnings(findings: Findings) -> list[str]:
    """Say which tasks leak more than is believed, and were allowed to."""
    report = findings.analysis.data.leaks
    found = [] if report is None else [one for one in report.tasks if one.refused]
    return [
        f"{one.task}: the test rows repeat rows that are learned from, and the sweep allows it"
        " (allow_leaks). Its scores say how well rows are remembered."
        for one in found
    ]


def _rows(one: TaskLeaks) -> list[list[Datum | str]]:
    rows: list[list[Datum | str]] = []
    for found in one.overlaps:
        counts = (found.exact, found.reverse_complement, found.near)
        told = _counts(found.rows, counts, found.refused)
        rows.append([one.task, found.later, found.earlier, *told])
    for read in one.exposures:
        counts = (read.exact, read.reverse_complement, read.near)
        rows.append(
            [one.task, read.split, f"corpus {read.corpus}", *_counts(read.rows, counts, False)]
        )
    return rows


def _counts(rows: int, counts: tuple[int, int, int], refused: bool) -> list[Datum | str]:
    share = Datum(f"{sum(counts) / max(1, rows):.1%}", bold=refused, tone="worse" * refused)
    return [f"{rows:,}", *(f"{count:,}" for count in counts), share]


def _unknown(report: LeakReport) -> list[str]:
    return [f"{name}: what it was pretrained on is not known here." for name in report.unknown]
