"""The report of a variant-effect job: what the VCF held, and how scores agree with measurements."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gfmp.report.agreement import Agreement, has_sign
from gfmp.report.page import (
    Datum,
    bullets,
    definitions,
    document,
    escaped,
    figure,
    heading,
    number,
    paragraph,
    shell,
    table,
)
from gfmp.report.paper_elements import TABLES, kind_of, paper_name, paper_rows
from gfmp.report.published import publish
from gfmp.report.variant_figure import agreement_picture

_AVERAGE = "Average"


@dataclass(frozen=True)
class EffectData:
    """What the report of a variant-effect job is made of.

    Attributes:
        name: Of the job.
        run_id: Of the run.
        commands: How to repeat it.
        facts: Name -> value, such as records and the rate; shown as they are.
        scores: Column -> what it is.
        agreements: Of every score with the measured effects; none without measurements.
        files: Where the scored VCF and the table lie.
    """

    name: str
    run_id: str
    commands: tuple[str, ...]
    facts: Mapping[str, str]
    scores: Mapping[str, str]
    agreements: tuple[Agreement, ...]
    files: tuple[str, ...]


def write_effect_report(data: EffectData, folder: Path) -> tuple[Path, ...]:
    """Write the report; equal data give equal bytes.

    Returns:
        report.html first, then agreements.csv and, for `gfmp verify`, one CSV for each table of
        the paper that has a counterpart.

    Raises:
        StorageError: the disk refused.
    """
    return publish(effect_files(data), folder)


def effect_files(data: EffectData) -> dict[str, bytes]:
    """Return the files of a report by their path in its folder, report.html first."""
    picture = agreement_picture(data.agreements)
    page = effect_page(data)
    drawn = {}
    if picture is not None:
        page = page.replace(_PLACE, figure(picture))
        drawn = {f"figures/{picture.name}.{end}": data for end, data in picture.files.items()}
    return {
        "report.html": page.replace(_PLACE, "").encode("utf-8"),
        "agreements.csv": _agreements_csv(data.agreements),
        **{f"numbers_{TABLES[kind][0]}.csv": text for kind, text in _numbers(data.agreements)},
        **drawn,
    }


_PLACE = "<!-- figure -->"


def effect_page(data: EffectData) -> str:
    """Return the page; a mark stands where the figure goes."""
    facts = list(data.facts.items())
    body = [
        f"<h1>Variant effects: {escaped(data.name)}</h1>\n",
        paragraph(f"Run {data.run_id}."),
        heading("What the VCF holds"),
        table("Every alternate is scored, or counted by the reason why not.", ("", ""), facts),
    ]
    if data.agreements:
        body += [_PLACE, heading("Agreement with measured effects"), *_tables(data.agreements)]
        body.append(bullets(_READING))
    body += [
        heading("Scores"),
        definitions(list(data.scores.items())),
        heading("Files and how to repeat"),
        bullets(data.files),
        shell(data.commands),
    ]
    return document(f"{data.name} - variant effects", "".join(body))


_READING = (
    "Distances are correlated with the size of an effect, which has no sign; a log-likelihood ratio"
    " and a head with the effect itself. In brackets: 95 % intervals by Fisher's z. Both"
    " correlations of every score are in agreements.csv.",
    "The paper's numbers stand beside ours to be read, not to be beaten: its models had other"
    " corpora, and 919 or 75,000 chromatin features to be fine-tuned on. It does not say whether it"
    " took the sign of an effect, nor how a dot product became a distance; ours is its negative.",
    "The captions of Tables S1 and S2 are read as exchanged: the text gives the averages of S1 for"
    " zero-shot prediction. The averages of the baselines in S1 and S3-S5 are printed under each"
    " other's names.",
)


def _tables(found: Sequence[Agreement]) -> Iterable[str]:
    """Yield one table for each kind of score, the paper's columns to the right."""
    columns = list(dict.fromkeys(one.column for one in found))
    kinds = list(dict.fromkeys(kind_of(column) for column in columns))
    for kind in kinds:
        chosen = [column for column in columns if kind_of(column) == kind]
        yield _table(found, chosen, kind)


def _table(found: Sequence[Agreement], columns: Sequence[str], kind: str) -> str:
    paper = paper_rows(kind)
    models = list(next(iter(paper.values()))) if paper else []
    cells = {(one.group, one.column): one for one in found if one.column in columns}
    groups = [*sorted({group for group, _ in cells if group}), ""]
    rows: list[list[Datum | str]] = []
    for group in groups:
        beside = paper.get(paper_name(group, paper) if group else _AVERAGE, {})
        ours = [_datum(cells.get((group, column))) for column in columns]
        pairs = max((c.pairs for (g, _), c in cells.items() if g == group), default=0)
        printed = [f"{beside[m]:.3f}" if m in beside else "" for m in models]
        rows.append([group or _AVERAGE, f"{pairs:,}", *ours, *printed])
    what = "with the effect" if has_sign(columns[0]) else "with the size of the effect"
    caption = f"Pearson r {what}" + (f"; beside it {TABLES[kind][1]}" if kind else "")
    return table(caption, ["Element", "n", *columns, *(f"paper: {m}" for m in models)], rows)


def _datum(one: Agreement | None) -> Datum:
    if one is None or math.isnan(one.headline):
        return Datum("undefined")
    interval = f"[{number(one.low)}, {number(one.high)}]"
    details = (interval,) if math.isfinite(one.low) else ()
    return Datum(number(one.headline), details=details)


def _agreements_csv(found: Sequence[Agreement]) -> bytes:
    names = ("column", "group", "pairs", "signed", "absolute", "low", "high")
    rows = ([vars(one)[name] for name in names] for one in found)
    return _csv(names, rows)


def _numbers(found: Sequence[Agreement]) -> Iterable[tuple[str, bytes]]:
    """Yield, for each table of the paper with a counterpart, our numbers under its names."""
    for kind in TABLES:
        paper = paper_rows(kind)
        rows = [
            (name, one.headline, one.low, one.high, one.column, "pearson_r")
            for one in found
            if kind_of(one.column) == kind and math.isfinite(one.headline)
            for name in [paper_name(one.group, paper) if one.group else _AVERAGE]
            if name
        ]
        if rows:
            yield kind, _csv(("name", "value", "low", "high", "model", "metric"), rows)


def _csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(
        [f"{v:.6g}" if isinstance(v, float) and math.isfinite(v) else _plain(v) for v in row]
        for row in rows
    )
    return out.getvalue().encode("utf-8")


def _plain(value: object) -> str:
    return "" if isinstance(value, float) else str(value)
