"""The page of a pretraining run: what it learned, how, from what, and how to do it again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gfmp.ledger.series import SeriesBook
from gfmp.report import amounts
from gfmp.report.figures import Picture
from gfmp.report.lineage import LINEAGE_STYLE, lineage_html
from gfmp.report.page import (
    Datum,
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
from gfmp.report.pretrain_data import PretrainData
from gfmp.report.pretrain_figures import run_pictures, time_parts
from gfmp.report.published import publish

_STYLE: Final = (
    """
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,9.5rem),1fr));gap:.6rem;
padding:0;margin:1rem 0;list-style:none}
.cards li{border:1px solid #ccc;border-radius:.3rem;padding:.4rem .7rem}
.cards b{display:block;font-size:1.3rem;line-height:1.3;font-variant-numeric:tabular-nums}
.cards span{font-size:.8rem;color:#444}
.panels{display:grid;gap:0 1.5rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr))}
.panels img{width:100%}
@media (max-width:40rem){.stack table,.stack tbody,.stack tr,.stack td{display:block}
.stack thead{display:none}.stack tr{border-bottom:1px solid #ddd;padding:.3rem 0}
.stack td{border:0;padding:.05rem 0;overflow-wrap:anywhere}.stack td:first-child{font-weight:600}
.stack table{min-width:0}.stack caption{display:block}th,td{padding:.2rem .25rem}}
@media print{.panels{grid-template-columns:1fr 1fr}.cards{grid-template-columns:repeat(3,1fr)}
pre{white-space:pre-wrap;overflow-wrap:anywhere}}
"""
    + LINEAGE_STYLE
)
_TERMS: Final = (
    (
        "bits per base",
        "Nats of a hidden token turned into bits and shared among the bases that only it shows, so"
        " that vocabularies compare; 2 is a guess, lower is better.",
    ),
    (
        "order 0, order 5",
        "Models counted on the training bases: composition alone, and what follows the last five"
        " bases. Both are asked for the same hidden bases.",
    ),
    ("unigram", "How often each token is in training; asked for the same hidden tokens."),
    (
        "difference",
        "Model minus baseline on the same windows, with its 95 % interval by the paired bootstrap"
        " over windows; below zero the model is better.",
    ),
    (
        "productive",
        "ETTR, effective training time ratio: time of steps that count and of evaluations, over"
        " wall time (Kokolis et al. 2025).",
    ),
    ("goodput", "Tokens of steps that count, for each second of the wall time."),
)


def write_run_page(data: PretrainData, folder: Path) -> tuple[Path, ...]:
    """Write the page of a run, its figures and its curves; equal ledgers give equal bytes.

    Returns:
        The files: report.html first, then curves.csv (curve, step, value: steps counted from 1)
        and figures/*.png, *.svg.

    Raises:
        StorageError: the disk refused.
    """
    return publish(run_files(data), folder)


def run_files(data: PretrainData) -> dict[str, bytes]:
    """Return the files by their path in the folder, report.html first."""
    drawn = run_pictures(data)
    return {
        "report.html": run_page(data, drawn).encode("utf-8"),
        "curves.csv": _curves_csv(data.book),
        **{
            f"figures/{picture.name}.{ending}": content
            for picture in drawn
            for ending, content in picture.files.items()
        },
    }


def run_page(data: PretrainData, drawn: Sequence[Picture]) -> str:
    """Return the page."""
    body = (
        f"<h1>Pretraining: {escaped(data.name)}</h1>\n",
        _state(data),
        _cards(data),
        *_learned(data),
        *([heading("Curves")] if drawn else []),
        '<div class="panels">\n',
        *map(figure, drawn),
        "</div>\n",
        *_time(data),
        heading("Lineage"),
        paragraph("What it was made from, and what this workspace has made from it so far."),
        lineage_html(data.lineage),
        *_kept(data),
        *_plan(data),
        heading("What produced it"),
        stacked(table("Nothing secret is recorded.", ("What", "Value"), data.provenance)),
        heading("To repeat it"),
        shell([f"{command}   # {what}" for command, what in data.commands]),
        heading("Words"),
        definitions(_TERMS),
    )
    return document(f"{data.name} - pretraining", "".join(body), _STYLE)


def _state(data: PretrainData) -> str:
    told = f"Run {data.run_id} is {data.status} at step {data.step:,} of {data.planned_steps:,}."
    if data.status == "finished":
        return paragraph(told)
    return paragraph(f"{told} The numbers below are those on record so far.", "warning")


def _cards(data: PretrainData) -> str:
    items = "".join(
        f"<li><b>{escaped(value)}</b><span>{escaped(what)}</span></li>\n"
        for value, what in _headlines(data)
    )
    return f'<ul class="cards">{items}</ul>\n'


def _headlines(data: PretrainData) -> Iterator[tuple[str, str]]:
    for name in data.vocabularies:
        value, baseline = (data.number(name, key) for key in ("bits_per_base", "order5_bits"))
        if math.isfinite(value):
            yield number(value), f"bits per base, {name} (order 5: {number(baseline)})"
            continue
        points = data.book.series(f"heldout/{name}/bits_per_base")
        if points:
            yield number(points[-1].value), f"bits per base, {name}, at step {points[-1].step:,}"
    if data.parameters:
        yield short(data.parameters), "parameters"
    if data.time.tokens:
        yield short(data.time.tokens), "tokens trained on"
        yield seconds_text(data.time.wall_seconds), f"wall time, {data.time.ettr:.1%} productive"
        yield f"{data.time.tokens_per_second:,.0f}", "useful tokens a second (goodput)"


def short(amount: float) -> str:
    """Return a count in three digits with its thousands: 1.61 M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if amount >= size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount:,.0f}"


def seconds_text(seconds: float) -> str:
    """Return a duration with its two largest units, tenths of a second below a minute."""
    return f"{seconds:.1f} s" if seconds < 60.0 else amounts.duration(seconds)


_PAIRS: Final = (
    ("bits per base", "bits_per_base", "order 0", "order0_bits", "bits_minus_order0"),
    ("bits per base", "bits_per_base", "order 5", "order5_bits", "bits_minus_order5"),
    ("nats per token", "loss", "unigram", "unigram_loss", "loss_minus_unigram"),
)


def _learned(data: PretrainData) -> Iterator[str]:
    yield heading("What it learned")
    if not data.numbers:
        yield paragraph("The held-out report is made when the last step is done.")
        yield from _evaluations(data)
        return
    header: tuple[str, ...] = ("Vocabulary", "Model", "Baseline", "Difference")
    rows = [
        _pair(data, name, pair)
        for name in data.vocabularies
        for pair in _PAIRS
        if math.isfinite(data.number(name, pair[1]))
    ]
    yield table("On held-out contigs, each model on the same hidden bases.", header, rows)
    asked = [
        (
            name,
            *(f"{data.number(name, key):,.0f}" for key in ("hidden_bases", "targets", "windows")),
            f"{data.number(name, 'accuracy'):.1%}",
        )
        for name in data.vocabularies
        if math.isfinite(data.number(name, "windows"))
    ]
    header = ("Vocabulary", "Hidden bases", "Hidden tokens", "Windows", "Tokens right")
    yield table("What the report rests on.", header, asked)
    if data.checks:
        yield _checks(data)
    yield from _evaluations(data)


def _pair(data: PretrainData, name: str, pair: tuple[str, ...]) -> tuple[Datum | str, ...]:
    unit, model, against, baseline, gap = pair
    low, high = (data.number(name, f"{gap}/{end}") for end in ("low", "high"))
    tone = "better" if high < 0 else "worse" if low > 0 else ""
    interval = f"[{number(low, signed=True)}, {number(high, signed=True)}]"
    return (
        name,
        Datum(number(data.number(name, model)), bold=True, details=(unit,)),
        Datum(number(data.number(name, baseline)), details=(against,)),
        Datum(number(data.number(name, gap), signed=True), tone=tone, details=(interval,)),
    )


def _checks(data: PretrainData) -> str:
    rows = [
        (
            check.name,
            number(check.value),
            number(check.baseline),
            Datum("yes") if check.passed else Datum("no", tone="worse"),
        )
        for check in data.checks
    ]
    header = ("Check", "Model", "Baseline", "Passed")
    return table("What a run has to be better than.", header, rows)


def _evaluations(data: PretrainData) -> Iterator[str]:
    curves = {
        (name, key): {p.step: p.value for p in data.book.series(f"heldout/{name}/{key}")}
        for name in data.vocabularies
        for key in ("bits_per_base", "loss")
    }
    steps = sorted({step for curve in curves.values() for step in curve})
    if not steps:
        return
    words = {"bits_per_base": "bits per base", "loss": "nats per token"}
    header = ("Step", *(f"{name}, {words[key]}" for name, key in curves))
    rows = [
        (f"{step:,}", *(number(curve.get(step, math.nan)) for curve in curves.values()))
        for step in steps
    ]
    yield table("Held-out evaluations on the way.", header, rows)


def stacked(content: str) -> str:
    """Return a table whose cells stand below each other on a phone."""
    return f'<div class="stack">{content}</div>\n'


def _time(data: PretrainData) -> Iterator[str]:
    if data.time.wall_seconds <= 0.0:
        return
    yield heading("Time")
    wall = data.time.wall_seconds
    rows = [
        (name, seconds_text(seconds), f"{seconds / wall:.1%}") for name, seconds in time_parts(data)
    ]
    failures = f"{data.time.failures:,} failures of workers or drivers."
    yield table(f"{seconds_text(wall)} in all; {failures}", ("Part", "Time", "Share"), rows)
    yield stacked(table("What happened, in UTC.", ("When", "What"), data.history))


def _kept(data: PretrainData) -> Iterator[str]:
    if data.checkpoints:
        yield heading("Checkpoints")
        header = ("Step", "Path", "Size")
        yield table("On disk now; the newest is the model.", header, data.checkpoints)


def _plan(data: PretrainData) -> Iterator[str]:
    if not data.plan:
        return
    yield heading("Plan")
    rows = [
        (row.name, f"{amounts.number(row.value)} {row.unit}".strip(), row.reason)
        for row in data.plan
    ]
    yield stacked(table("Every number with its reason.", ("Number", "Value", "Why"), rows))


def _curves_csv(book: SeriesBook) -> bytes:
    lines = ["curve,step,value"]
    for name, curve in book.curves().items():
        lines += [f"{name},{point.step},{point.value!r}" for point in curve]
    return ("\n".join(lines) + "\n").encode("utf-8")
