"""`gfmp replay DUMP` and `gfmp reproduce RUN`: compute again what was recorded, and compare."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from gfmp.cli.completing import complete_runs
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
@click.argument("run", shell_complete=complete_runs)
@workspace_option
def reproduce(run: str, workspace: Workspace) -> int:
    """Train RUN again from its record as a new run, and compare weights and numbers.

    Ends with status 0 when all are equal and with 70 when one is not.
    """
    from gfmp.cli.render.replay import show_reproduced
    from gfmp.cluster.reproduce import compare, repeat
    from gfmp.cluster.supervise import Command, supervise
    from gfmp.ledger.store import RunStore

    old = RunStore(workspace).get(run)
    new = repeat(old, workspace, ("gfmp", *sys.argv[1:]))
    say = partial(click.echo, err=True)
    say(f"{new.id} repeats {old.id}")
    trains = (*new.resume_arguments, "--workspace", str(workspace.root))
    status = supervise(Command(trains, workspace, new.id, say))
    if status == 0:
        show_reproduced(compare(old, new))
    return status
