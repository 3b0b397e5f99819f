"""Variant-effect jobs: the plan, the lines of progress, the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gfmp.cli.render.text import as_json, duration, echo, number, wrapped
from gfmp.errors import Problem
from gfmp.ledger.run import Run
from gfmp.plan.variant_effect import RESULTS_FOLDER, EffectPlan

_MEAN = "/mean"


def show_effect_plan(plan: EffectPlan, missing: Sequence[Problem], json: bool) -> None:
    """Print what a job would score and how, and what is missing for it."""
    if json:
        as_json({**plan.to_json(), "missing": [problem.message for problem in missing]})
        return
    what, where = plan.what, plan.where
    echo(f"plan {plan.name}  (identity {what.fingerprint[:12]})")
    echo(wrapped(f"  variants:  {where.variants_path}", 4))
    echo(wrapped(f"  reference: {where.reference_path}", 4))
    echo(f"  unusable alternates: {what.unusable}")
    echo()
    for derived in plan.derived:
        unit = f" {derived.unit}" if derived.unit else ""
        echo(wrapped(f"{derived.name}: {number(derived.value)}{unit}", 4))
        echo(wrapped(f"    {derived.reason}", 4))
    echo()
    for problem in missing:
        place = f" ({problem.where})" if problem.where else ""
        echo(wrapped(f"missing: {problem.message}{place}; {problem.fix}", 2))
    if not missing:
        echo("Everything it needs is there.")


def surveyed_line(fields: Mapping[str, object]) -> str:
    """Return what a VCF holds in one line."""
    kinds = _named(fields, "kind/")
    skipped = _named(fields, "skipped/")
    over = f"; passed over: {skipped}" if skipped else ""
    seconds = fields.get("survey_seconds", 0.0)
    assert isinstance(seconds, int | float), "the ledger stores seconds as a number"
    return (
        f"{_count(fields, 'records')} records, {_count(fields, 'alleles')} alternates: "
        f"{kinds or 'none'}{over} ({seconds:.1f} s)"
    )


def _count(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name, 0)
    return f"{value:,}" if isinstance(value, int) else "?"


def _named(fields: Mapping[str, object], prefix: str) -> str:
    parts = (
        f"{value:,} {name.removeprefix(prefix)}"
        for name, value in fields.items()
        if name.startswith(prefix) and isinstance(value, int) and value
    )
    return ", ".join(parts)


def scoring_line(records: int, total: int, rate: float) -> str:
    """Return how far a job is in one line."""
    return f"{records:,}/{total:,} records, {rate:,.1f} alternates a second"


def effect_lines(run: Run) -> tuple[str, ...]:
    """Return how a job ended and what to do next."""
    ended = run.lifecycle()[-1]
    seconds = ended.fields.get("seconds", 0.0)
    assert isinstance(seconds, int | float), "the ledger stores seconds as a number"
    found = run.report() or {}
    return (
        f"variant effects {run.id} {ended.kind} in {duration(seconds)}",
        *_rates(found),
        *(
            f"  r = {value:+.3f}  {name.removeprefix('agreement/').removesuffix(_MEAN)}"
            for name, value in found.items()
            if name.startswith("agreement/") and name.endswith(_MEAN) and isinstance(value, float)
        ),
        f"  scores:          {run.path / RESULTS_FOLDER}",
        f"  the report:      {run.path / 'report' / 'report.html'}",
        "  look at it:      gfmp ui",
        f"  do it again:     {run.repeat_command}",
    )


def _rates(found: Mapping[str, object]) -> tuple[str, ...]:
    rate, hours = found.get("alternates_per_second"), found.get("all_usable_hours")
    if not isinstance(rate, int | float) or not rate or not isinstance(hours, int | float):
        return ()
    usable = found.get("usable")
    return (
        f"  {rate:,.1f} alternates a second; all {usable:,} usable ones take"
        f" {duration(hours * 3600)} at that rate",
    )
