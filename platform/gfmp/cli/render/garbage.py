"""What can go, or went: one line for each kind of thing and reason, then the sum."""

from __future__ import annotations

import click

from gfmp.cli.render.text import as_json, counted, echo, wrapped
from gfmp.cluster.garbage import Cleared, grouped
from gfmp.plan.garbage import Thing

_SHOWN = 6
_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_MANY = {
    "corpus": "corpora",
    "search": "searches",
    "vocabulary": "vocabularies",
    "letters": "letters",
}


def show_cleared(cleared: Cleared, deleted: bool, json: bool) -> None:
    """Print what can go or went, what was held back, and how much that frees."""
    if json:
        as_json(
            {
                "deleted": deleted,
                "num_bytes": cleared.num_bytes,
                "things": [_plain(thing) for thing in cleared.things],
                "held_back": [_plain(thing) for thing in cleared.held_back],
                "unreadable": [problem.message for problem in cleared.problems],
            }
        )
        return
    for problem in cleared.problems:
        click.echo(f"warning: {problem.where}: {problem.message}", err=True)
    if not cleared.things:
        echo("Nothing can go: a run or a registered vocabulary needs all there is.")
    for (noun, why), things in grouped(cleared.things).items():
        _group(noun, why, things)
    for (noun, why), things in grouped(cleared.held_back).items():
        echo(wrapped(f"held back: {_named(noun, len(things))}, {why}", 2))
    if cleared.things:
        echo(_sum(cleared, deleted))


def _group(noun: str, why: str, things: tuple[Thing, ...]) -> None:
    size = size_text(sum(thing.num_bytes for thing in things))
    echo(wrapped(f"{_named(noun, len(things))}, {size}: {why}", 2))
    for thing in things[:_SHOWN]:
        echo(f"  {size_text(thing.num_bytes):>8}  {thing.path}")
    if len(things) > _SHOWN:
        echo(f"  {'':>8}  and {len(things) - _SHOWN:,} more; --json lists all")


def _named(noun: str, number: int) -> str:
    if number == 1:
        return counted(1, noun)
    return f"{number:,} {_MANY.get(noun, noun + 's')}"


def _sum(cleared: Cleared, deleted: bool) -> str:
    size = size_text(cleared.num_bytes)
    if deleted:
        return f"{size} freed."
    return f"{size} in all. Nothing was deleted; `gfmp gc --delete` does it."


def size_text(num_bytes: int) -> str:
    """Return a size in the largest unit of which there is one, to three digits."""
    for size, unit in _UNITS:
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes} B"


def _plain(thing: Thing) -> dict[str, object]:
    return {
        "noun": thing.noun,
        "path": thing.path,
        "num_bytes": thing.num_bytes,
        "why": thing.why,
    }
