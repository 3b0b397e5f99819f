"""Downloads of public files: lines while they come, and what is here in the end."""

from __future__ import annotations

import time

import click

from gfmp.cli.render.text import as_json, echo, table, wrapped
from gfmp.storage.download import Download, Progress
from gfmp.tasks.catalogue import TaskTarget
from gfmp.tasks.fetching import Delivery

_LINE_SECONDS = 2.0
_MEGABYTE = 1_000_000


def progress_of(wanted: Download) -> Progress:
    """Tell on the console which file comes, and every two seconds how much of it is here."""
    click.echo(f"{wanted.path.name} <- {wanted.url}", err=True)
    last = time.monotonic()

    def said(here: int, total: int) -> None:
        """Write a line when the last one is old enough."""
        nonlocal last
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            of = f" of {total / _MEGABYTE:,.0f}" if total else ""
            click.echo(f"  {here / _MEGABYTE:,.0f}{of} MB", err=True)

    return said


def show_delivery(target: TaskTarget, delivery: Delivery, json: bool) -> None:
    """Print which files are here, with their digests, and which are not."""
    if json:
        as_json(
            {
                "name": target.name,
                "fetched": [
                    {
                        "path": str(one.path),
                        "sha256": one.sha256,
                        "bytes": one.num_bytes,
                        "resumed_from": one.num_resumed,
                        "was_there": one.was_there,
                    }
                    for one in delivery.fetched
                ],
                "unpacked": [str(path) for path in delivery.unpacked],
                "missing": [str(path) for path in delivery.missing],
                "instruction": delivery.instruction,
            }
        )
        return
    if delivery.fetched:
        headings = ("FILE", "MB", "SHA256", "")
        rows = [
            (
                one.path.name,
                f"{one.num_bytes / _MEGABYTE:,.1f}",
                one.sha256[:16],
                _how(one.was_there, one.num_resumed),
            )
            for one in delivery.fetched
        ]
        table(headings, rows)
    for path in delivery.unpacked:
        echo(wrapped(f"unpacked: {path}", 4))
    if not delivery.missing:
        echo(f"Everything is here: gfmp tasks check {target.name}")


def _how(was_there: bool, num_resumed: int) -> str:
    if was_there:
        return "was here"
    return f"went on after {num_resumed / _MEGABYTE:,.1f} MB" if num_resumed else "fetched"
