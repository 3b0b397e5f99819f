"""A plan on paper: what will be built, every number and the reason for it."""

from __future__ import annotations

import click

from gfmp.cli.render.text import as_json, echo, number, wrapped
from gfmp.plan.survey import CorpusTarget
from gfmp.plan.values import Plan


def show_plan(plan: Plan) -> None:
    """Print a plan."""
    echo(f"plan {plan.name}  (identity {plan.what.fingerprint[:12]})")
    for item in plan.to_build:
        echo(wrapped(f"  to be built: {item.noun} {item.name} - {item.how}", 4))
    echo()
    for derived in plan.derived:
        unit = f" {derived.unit}" if derived.unit else ""
        echo(wrapped(f"{derived.name}: {number(derived.value)}{unit}", 4))
        echo(wrapped(f"    {derived.reason}", 4))
    echo()
    if plan.complete:
        echo("Everything it needs is there.")
    else:
        echo("Numbers that depend on what is not built yet are bounds or estimates.")


def show_corpus_target(target: CorpusTarget, json: bool) -> None:
    """Print what building a corpus would read and where it would go."""
    sources = target.settings.sources
    if json:
        as_json(
            {
                "corpus": target.settings.name,
                "fingerprint": target.settings.fingerprint,
                "path": str(target.path),
                "built": target.built,
                "sources": [source.origin for source in sources],
            }
        )
        return
    state = "is built" if target.built else "is to be built"
    echo(f"corpus {target.settings.name} {state} in {click.format_filename(target.path)}")
    for source in sources:
        echo(f"  {source.species}, {source.assembly}: {source.origin}")
