"""The report as Markdown, for a document or an issue: one table a task and what it amounts to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gfmp.report import answers
from gfmp.report.analysis import Analysis, Model
from gfmp.report.comparisons import Findings
from gfmp.report.leaks import warnings
from gfmp.report.page import with_interval
from gfmp.report.paper import paper_words
from gfmp.report.tables import counted, percent_text
from gfmp.tasks.metrics import METRICS


def report_markdown(findings: Findings) -> str:
    """Return scores with 95 % intervals by task, model and labels, then the sums of comparisons."""
    analysis = findings.analysis
    parts = ["".join(f"* {sentence}\n" for sentence in paper_words(findings))]
    parts += [_task(analysis, task) for task in analysis.tasks]
    sums = answers.totals(findings)
    if sums:
        header = ("Model", "Against", "Comparisons", "Better", "Worse", "Not decided")
        parts.append(_table(header, [tuple(map(str, row)) for row in sums]))
    sentences = (*answers.overall(findings), *answers.savings(findings))
    parts.append("".join(f"* {sentence}\n" for sentence in sentences))
    parts.append("".join(f"* {sentence}\n" for sentence in warnings(findings)))
    return "\n".join(part for part in parts if part)


def _task(analysis: Analysis, task: str) -> str:
    facts = analysis.data.tasks[task]
    curves = analysis.curves(task)
    percents = sorted({point.percent for _, curve in curves for point in curve})
    seeds = max(len(point.seeds) for _, curve in curves for point in curve)
    title = (
        f"**{task}**: {METRICS[facts.metric].title} on {facts.num_test:,} test rows,"
        f" {counted(seeds, 'seed')}, by percent of {facts.num_train:,} training rows\n"
    )
    header = ("Model", *(f"{percent_text(percent)} %" for percent in percents))
    return f"{title}\n" + _table(header, [_row(analysis, task, m, percents) for m, _ in curves])


def _row(analysis: Analysis, task: str, model: Model, percents: Sequence[float]) -> tuple[str, ...]:
    scores = {
        point.percent: with_interval(analysis.main(point).estimate())
        for point in analysis.curve(task, model)
    }
    shown = (scores.get(percent) for percent in percents)
    return (model.name, *(" ".join((s.text, *s.details)) if s else "" for s in shown))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (header, ["---"] * len(header), *rows)
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)
