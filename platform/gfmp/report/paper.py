"""What a report says first of a sweep that does a part of the paper again."""

from __future__ import annotations

from gfmp.report.comparisons import Findings
from gfmp.report.page import paragraph

NOT_THE_PAPERS = "not the paper's data"


def paper_words(findings: Findings) -> list[str]:
    """Say of which figure of the paper this is the kind, and which data are not the paper's."""
    said = findings.analysis.data.paper
    if said is None:
        return []
    told = [f"The kind of {said.figure} of Ye et al., Genomics-FM, computed here."]
    return told + [
        f"{NOT_THE_PAPERS[0].upper()}{NOT_THE_PAPERS[1:]}: {task} stands in for {what}."
        for task, what in said.stand_ins.items()
    ]


def paper_section(findings: Findings) -> str:
    """Say the same on the page; data that are not the paper's stand out."""
    said, *stand_ins = paper_words(findings) or ("",)
    warned = "".join(paragraph(text, "warning") for text in stand_ins)
    return (paragraph(said) if said else "") + warned
