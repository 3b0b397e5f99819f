"""What `gfmp doctor` found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from gfmp.cli.render.text import as_json, counted, echo, wrapped
from gfmp.cluster.doctor.findings import Finding, State


def show_findings(findings: Sequence[Finding], json: bool) -> None:
    """Print one line for each, with its fix below where there is one, and the sum."""
    if json:
        as_json([asdict(found) for found in findings])
        return
    width = max(len(found.name) for found in findings)
    for found in findings:
        echo(wrapped(f"{found.state:<5} {found.name:<{width}}  {found.found}", width + 8))
        if found.fix:
            echo(wrapped(f"      {'':<{width}}  fix: {found.fix}", width + 13))
    echo()
    amiss = [found for found in findings if found.state is State.BAD]
    notes = sum(found.state is State.NOTE for found in findings)
    verdict = f"{counted(len(amiss), 'problem')} to mend first" if amiss else "fit for gfmp"
    echo(f"{verdict}, {counted(notes, 'note')}, {len(findings)} looks")
