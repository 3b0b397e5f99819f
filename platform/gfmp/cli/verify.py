"""`gfmp runs verify [RUN]`: is everything that runs rest on still as it was written?"""

from __future__ import annotations

import click

from gfmp.cli.completing import complete_runs
from gfmp.cli.options import json_option, workspace_option
from gfmp.errors import CorruptArtefactError
from gfmp.storage.workspace import Workspace


@click.command()
@click.argument("run", required=False, shell_complete=complete_runs)
@json_option
@workspace_option
def verify(run: str | None, as_json: bool, workspace: Workspace) -> None:
    """Read every file that RUN, or any run, rests on, and compare it with its hash.

    Looks at the record, the ledger, the checkpoints, the corpus and the results of cells.
    Changes nothing. Ends with status 65 when something is damaged or gone.
    """
    from gfmp.cli.render.replay import show_verified
    from gfmp.cluster.verify import verify_runs
    from gfmp.ledger.store import RunStore

    store = RunStore(workspace)
    chosen = store.list() if run is None else (store.get(run),)
    found = verify_runs(chosen, workspace)
    show_verified(found, as_json)
    problems = [*(store.broken() if run is None else ()), *(p for v in found for p in v.problems)]
    if problems:
        raise CorruptArtefactError.of(problems)
