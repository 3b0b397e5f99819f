"""The leak audit stands in every report, and what was allowed is said."""

from __future__ import annotations

import dataclasses

import pytest
from made_up_sweeps import Sweep

from gfmp.report.analysis import analyse
from gfmp.report.comparisons import Findings
from gfmp.report.leaks import leaks_section, warnings
from gfmp.report.markdown import report_markdown
from gfmp.report.write import report_files
from gfmp.tasks.audit import Overlap
from gfmp.tasks.exposure import Exposure
from gfmp.tasks.leaks import LeakReport, TaskLeaks

SMALL = Sweep(tasks=("fly",), num_test=40, percents=(1.0, 100.0))
CLEAN = Overlap("train", "test", 40, 0, 0, 0)
LEAKY = Overlap("train", "test", 40, 1, 2, 0, near=3)
READ = Exposure("demo<b>", "test", 40, 30, 5, 1)


def _findings(leaks: LeakReport | None) -> Findings:
    return Findings.of(analyse(dataclasses.replace(SMALL.data(), leaks=leaks), 20))


def test_counts_and_shares_are_those_of_the_audit() -> None:
    report = LeakReport((TaskLeaks("fly", (CLEAN, LEAKY), (READ,), True),), ("strange/",))
    page = leaks_section(_findings(report))
    assert "<td>1</td><td>2</td><td>3</td>" in page
    assert "15.0%" in page and "90.0%" in page
    assert "corpus demo&lt;b&gt;" in page
    assert "strange/: what it was pretrained on is not known here." in page
    assert "(allow_leaks)" in page


@pytest.mark.parametrize(("overlap", "told"), [(CLEAN, 0), (LEAKY, 1)])
def test_only_what_is_not_believed_is_warned_of(overlap: Overlap, told: int) -> None:
    findings = _findings(LeakReport((TaskLeaks("fly", (overlap,), (), True),)))
    assert len(warnings(findings)) == told
    assert ("(allow_leaks)" in report_markdown(findings)) == bool(told)


def test_a_sweep_without_an_audit_says_so() -> None:
    assert "before audits were kept" in leaks_section(_findings(None))


def test_the_section_is_on_the_page() -> None:
    data = dataclasses.replace(SMALL.data(), leaks=LeakReport((TaskLeaks("fly", (CLEAN,)),)))
    assert b"Leak audit" in report_files(data, 20)["report.html"]
