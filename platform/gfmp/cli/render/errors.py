"""Errors as a person reads them: what, where, why, fix; the trace goes to a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from gfmp.cli.render.text import wrapped
from gfmp.errors import GfmpError

_MOST_SHOWN = 12


def show_error(fault: GfmpError) -> None:
    """Print every problem of `fault` to stderr."""
    for problem in fault.problems[:_MOST_SHOWN]:
        click.echo(wrapped(f"error[GFMP-{fault.code}]: {problem.message}", 2), err=True)
        for label, text in (("-->", problem.where), ("why:", problem.why), ("fix:", problem.fix)):
            if text:
                click.echo(wrapped(f"  {label} {text}", 7), err=True)
    hidden = len(fault.problems) - _MOST_SHOWN
    if hidden > 0:
        click.echo(f"  ... and {hidden:,} more", err=True)


def show_bug(trace: str) -> None:
    """Say that gfmp itself is at fault and where the trace is; no secret is in either."""
    from gfmp.ledger.provenance import without_secrets

    trace = without_secrets(trace, os.environ)
    with tempfile.NamedTemporaryFile(
        "w", prefix="gfmp-", suffix=".log", delete=False, encoding="utf-8"
    ) as handle:
        handle.write(trace)
    last = trace.strip().splitlines()[-1]
    click.echo(wrapped(f"error[GFMP-X000]: {last}", 2), err=True)
    click.echo(f"  --> {Path(handle.name)}", err=True)
    click.echo("  why: this is a bug in gfmp; the file above holds the whole trace", err=True)
    click.echo("  fix: report it with that file", err=True)
