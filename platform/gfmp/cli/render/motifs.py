"""Motif jobs: the plan, what is missing for one, the end."""

from __future__ import annotations

from collections.abc import Sequence

from gfmp.cli.render.text import as_json, counted, duration, echo, number, wrapped
from gfmp.errors import Problem
from gfmp.ledger.run import Run
from gfmp.plan.motifs import RESULTS_FOLDER, MotifPlan
from gfmp.report.motif_page import p_text
from gfmp.spec.motifs import MotifsSpec


def show_motif_plan(plan: MotifPlan, json: bool) -> None:
    """Print what a job would do."""
    if json:
        as_json(plan.to_json())
        return
    echo(f"plan {plan.name}  (identity {plan.what.fingerprint[:12]})")
    echo(f"  model: {plan.where.folder}")
    echo()
    for derived in plan.derived:
        unit = f" {derived.unit}" if derived.unit else ""
        echo(wrapped(f"{derived.name}: {number(derived.value)}{unit}", 4))
        echo(wrapped(f"    {derived.reason}", 4))
    echo()
    echo("Everything it needs is there.")


def show_gaps(spec: MotifsSpec, problems: Sequence[Problem], json: bool) -> None:
    """Print what a job asks for and what has to be made first."""
    if json:
        missing = [problem.message for problem in problems]
        as_json({"name": spec.name, "missing": missing, "spec": spec.model_dump(mode="json")})
        return
    library = f", compared with {spec.library}" if spec.library else ""
    echo(f"plan {spec.name}: motifs in what {spec.model!r} looks at{library}")
    echo(wrapped(f"  map {spec.map}, {spec.split} rows, at most {spec.max_rows:,} a side", 4))
    echo()
    echo("To be made first:")
    for problem in problems:
        echo(wrapped(f"  {problem.message}: {problem.fix}", 4))


def motif_lines(run: Run) -> tuple[str, ...]:
    """Return what a job found and what to do next."""
    found, ended = run.report() or {}, run.lifecycle()[-1]
    seconds, motifs = ended.fields.get("seconds", 0.0), found.get("motifs", 0)
    assert isinstance(seconds, int | float) and isinstance(motifs, int), "the ledger has numbers"
    return (
        f"motifs {run.id} {ended.kind} in {duration(seconds)}: {counted(motifs, 'motif')}",
        *(_line(found, f"motif-{rank}") for rank in range(1, motifs + 1)),
        f"  the report:      {run.path / RESULTS_FOLDER / 'report.html'}",
        "  look at it:      gfmp ui",
        f"  do it again:     {run.repeat_command}",
    )


def _line(found: dict[str, object], name: str) -> str:
    log10_p, focus = found[f"{name}/log10_p"], found[f"{name}/focus"]
    assert isinstance(log10_p, float) and isinstance(focus, float), "the ledger has numbers"
    match = f"  like {found[f'{name}/match']}" if f"{name}/match" in found else ""
    told = f"{found[f'{name}/consensus']}  {found[f'{name}/sites']} sites"
    return f"  {name:<9} {told}  p {p_text(log10_p)}  focus {focus:.2f}{match}"
