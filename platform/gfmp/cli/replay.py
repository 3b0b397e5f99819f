"""`gfmp replay DUMP` and `gfmp reproduce RUN`: compute again what was recorded, and compare."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gfmp.cli.options import workspace_option
from gfmp.storage.workspace import Workspace


@click.command()
@click.argument("dump", type=click.Path(path_type=Path))
def replay(dump: Path) -> None:
    """Compute the bad step in DUMP again: is it the data, or was it the machine?

    DUMP is the folder that the error named. Ends with status 0 when the same numbers come out
    again, so that data and weights are at fault, and with 70 when they do not.
    """
    from gfmp.cli.render.replay import show_replayed
    from gfmp.training.replay import replay as compute_again

    show_replayed(dump, compute_again(dump))


@click.command()
@click.argument("run")
@workspace_option
def reproduce(run: str, workspace: Workspace) -> None:
    """Train RUN again from its record as a new run, and compare weights and numbers.

    Ends with status 0 when all are equal and with 70 when one is not.
    """
    from gfmp.cli.progress import shown
    from gfmp.cli.render.replay import show_reproduced
    from gfmp.cluster.reproduce import compare, repeat
    from gfmp.cluster.submit import resume
    from gfmp.ledger.store import RunStore

    old = RunStore(workspace).get(run)
    new = repeat(old, workspace, tuple(sys.argv))
    with shown(workspace, new.plan().what.steps) as console:
        console.say(f"repeats {old.id} as {new.id}")
        resume(new, None, workspace, console)
    show_reproduced(compare(old, new))
