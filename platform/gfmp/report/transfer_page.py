"""The section of the report on models that are scored on other tasks, and its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from gfmp.report.analysis import Analysis, Model
from gfmp.report.comparisons import Findings
from gfmp.report.figures import Picture
from gfmp.report.page import Datum, heading, paragraph, table, with_interval
from gfmp.report.style import rendered, styled
from gfmp.report.tables import Row, Table
from gfmp.report.transfer import Crossed, Tested, TransferFindings, transfers
from gfmp.report.transfer_figure import matrix_figure, score_figure
from gfmp.tasks.metrics import METRICS

_EXPLAINED: Final = (
    "Score: the model learned from one task, on the test rows of another. Ceiling: the same kind of"
    " model learned from that other task itself, on the same test rows. Ratio: score over ceiling"
    " (the performance ratio of Ye et al., S9 to S11). Intervals as everywhere here; score and"
    " ceiling are paired on their test rows. All at the largest share of labels."
)
_TESTS: Final = (
    "Two-sided paired t-tests over the tasks that were scored, of mean scores over seeds, as in the"
    " stars of Ye et al., Fig. 4: * p < 0.05, ** p < 0.01, *** p < 0.001. The test takes the scored"
    " tasks for independent of each other, which species and tissues are not; p-values are not"
    " corrected for their number."
)
_SCORES: Final = (
    "Scores on the test rows of tasks that were not learned from (filled) beside the same model"
    " learned from each (open), nearest first; right: their ratio. Bars are 95 % bootstrap"
    " intervals."
)
# With more, the matrix says the same on one page.
_MOST_SOURCES: Final = 4
_SEVERAL: Final = 2
_MATRIX: Final = (
    "Score by task that was learned from (row) and task that was scored (column); bold: both are"
    " the same. One scale of colours for all models."
)


def transfer_pictures(findings: Findings) -> tuple[Picture, ...]:
    """Draw scores beside their ceilings and, from two sources on, the matrix; often nothing."""
    found = transfers(findings.analysis)
    if found is None:
        return ()
    drawn = []
    with styled():
        if len(found.sources) <= _MOST_SOURCES:
            files = rendered(score_figure(findings.analysis, found))
            drawn.append(Picture("transfer", "Models on other tasks", _SCORES, files))
        if len(found.sources) > 1:
            files = rendered(matrix_figure(findings.analysis, found))
            drawn.append(Picture("transfer_matrix", "Learned from x scored on", _MATRIX, files))
    return tuple(drawn)


def transfer_section(findings: Findings) -> str:
    """Tabulate scores, ceilings, ratios and tests of models on other tasks; often nothing."""
    found = transfers(findings.analysis)
    if found is None:
        return ""
    parts = [heading("Models on other tasks"), paragraph(_EXPLAINED)]
    parts += [_source(findings.analysis, found, source) for source in found.sources]
    parts.append(_averages(found))
    if found.tested:
        parts.append(paragraph(_TESTS))
        header = ("Learned from", "Scored on", "Model", "Against", "Tasks", "Difference", "p")
        parts.append(table("Models compared over tasks", header, [_test(t) for t in found.tested]))
    return "".join(parts)


def _source(analysis: Analysis, found: TransferFindings, source: str) -> str:
    crossed = {(c.model, c.target): c for c in found.crossed if c.source == source}
    rows: list[list[Datum | str]] = []
    for model in found.models:
        for target in found.targets:
            one = crossed.get((model, target))
            if one is not None:
                rows.append([model.name, target, found.groups[target], *_numbers(one)])
        rows += _means(found, source, model)
    metric = METRICS[analysis.data.tasks[source].metric].title
    header = ("Model", "Scored on", "Group", f"{metric} [95 %]", "Ceiling [95 %]", "Ratio [95 %]")
    return table(f"Learned from {source}", header, rows)


def _numbers(one: Crossed) -> list[Datum]:
    ceiling = with_interval(one.ceiling.estimate()) if one.ceiling else Datum("-")
    ratio = with_interval(one.ratio) if one.ratio else Datum("-")
    return [with_interval(one.score.estimate()), ceiling, ratio]


def _means(found: TransferFindings, source: str, model: Model) -> list[list[Datum | str]]:
    """Return the mean ratio of each group, and of all targets (Ye et al., Fig. 4b)."""
    mine = [c for c in found.crossed if (c.source, c.model) == (source, model)]
    names = list(dict.fromkeys(found.groups[c.target] for c in mine))
    rows: list[list[Datum | str]] = []
    for group in (*(n for n in names if n), ""):
        here = [c for c in mine if not group or found.groups[c.target] == group]
        ratios = [c.ratio.value for c in here if c.ratio is not None]
        mean = f"{np.mean(ratios):.3f}" if ratios else "-"
        score = f"{np.mean([c.score.value for c in here]):.3f}"
        told = f"mean of {len(here)}"
        rows.append([model.name, Datum(told, bold=True), group or "all", score, "", mean])
    return rows if len(mine) > 1 else []


def _averages(found: TransferFindings) -> str:
    """Tabulate what a model scores on average over tasks (Ye et al., S17); from two sources on."""
    if len(found.sources) < _SEVERAL:
        return ""
    rows: list[list[Datum | str]] = []
    for model in found.models:
        mine = found.of(model)
        ceilings = {one.target: one.ceiling.value for one in mine if one.ceiling is not None}
        parts = (
            ("the task itself", list(ceilings.values())),
            ("one other task", [o.score.value for o in mine if o.source not in found.pools]),
            ("all other tasks", [o.score.value for o in mine if o.source in found.pools]),
        )
        rows += [
            [model.name, words, str(len(values)), f"{np.mean(values):.3f}"]
            for words, values in parts
            if values
        ]
    return table("Averages", ("Model", "Learned from", "Scores", "Mean"), rows)


def _test(one: Tested) -> list[Datum | str]:
    known = np.isfinite(one.p_value)
    p_value = f"{one.p_value:.3g} {one.stars}".rstrip() if known else "undefined"
    decided = bool(one.stars)
    tone = ("better" if one.difference > 0 else "worse") if decided else ""
    return [
        one.source,
        one.group or "all",
        one.model.name,
        one.other.name,
        str(one.num_targets),
        f"{one.difference:+.3f}",
        Datum(p_value, bold=decided, tone=tone),
    ]


def transfer_tables(findings: Findings) -> Mapping[str, bytes]:
    """Return transfer.csv; nothing where no model was scored on another task."""
    found = transfers(findings.analysis)
    if found is None:
        return {}
    words = dict.fromkeys(("learned_from", "scored_on", "group", "model", "metric"), str)
    numbers = [f"{what}{end}" for what in ("score", "ceiling", "ratio") for end in _ENDS]
    columns = {**words, "label_percent": float, **dict.fromkeys(numbers, float)}
    rows = [_row(findings.analysis, found, one) for one in found.crossed]
    return {"transfer.csv": Table.of(columns, rows).csv()}


_ENDS: Final = ("", "_low", "_high")


def _row(analysis: Analysis, found: TransferFindings, one: Crossed) -> Row:
    ceiling = one.ceiling.estimate() if one.ceiling else None
    shown = (("score", one.score.estimate()), ("ceiling", ceiling), ("ratio", one.ratio))
    numbers = {
        f"{what}{end}": value
        for what, e in shown
        for end, value in zip(_ENDS, (e.value, e.low, e.high) if e else (np.nan,) * 3, strict=True)
    }
    return {
        "learned_from": one.source,
        "scored_on": one.target,
        "group": found.groups[one.target],
        "model": one.model.name,
        "metric": analysis.data.tasks[one.target].metric,
        "label_percent": float(one.percent),
        **numbers,
    }
