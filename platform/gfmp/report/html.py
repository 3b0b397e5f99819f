"""The report as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence

from gfmp.report import sections
from gfmp.report.advised import advised_section
from gfmp.report.comparisons import Findings
from gfmp.report.figures import Picture
from gfmp.report.leaks import leaks_section
from gfmp.report.page import document, escaped, figure, heading
from gfmp.report.paper import paper_section
from gfmp.report.transfer_page import transfer_section


def report_page(findings: Findings, drawn: Sequence[Picture]) -> str:
    """Return the page: answers first, then figures and tables, then how to repeat them."""
    name = findings.analysis.data.name
    title = f"<h1>Label efficiency: {escaped(name)}</h1>\n"
    figures = heading("Figures") + "".join(map(figure, drawn)) if drawn else ""
    body = (
        title,
        paper_section(findings),
        sections.state(findings),
        sections.headlines(findings),
        figures,
        transfer_section(findings),
        sections.differences(findings),
        sections.vocabularies(findings),
        advised_section(findings),
        sections.reductions(findings),
        sections.results(findings),
        sections.tasks(findings),
        leaks_section(findings),
        sections.gaps(findings),
        sections.repeating(findings),
        sections.glossary(findings),
    )
    return document(f"{name} - label efficiency", "".join(body))
