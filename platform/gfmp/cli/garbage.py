"""`gfmp gc`: what a workspace can do without."""

from __future__ import annotations

import click

from gfmp.cli.options import json_option, workspace_option
from gfmp.storage.workspace import Workspace

_SECONDS_PER_DAY = 86_400.0


@click.command()
@click.option("--delete", is_flag=True, help="Take it away. Without this, nothing changes.")
@click.option(
    "--keep-days",
    type=click.FloatRange(min=0.0),
    default=1.0,
    show_default=True,
    help="What nothing refers to stays so long, in case somebody is about to use it.",
)
@json_option
@workspace_option
def gc(delete: bool, keep_days: float, as_json: bool, workspace: Workspace) -> None:
    """Show what the workspace can do without, how much that frees, and why.

    Nothing goes that a finished result, a run that can be resumed or a registered
    vocabulary refers to, nor the record of a run that did anything. A kill in between
    leaves every single thing whole or gone. MLflow's own files are left to `mlflow gc`.
    """
    from gfmp.cli.render.garbage import show_cleared
    from gfmp.cluster.garbage import clear, survey

    work = clear if delete else survey
    show_cleared(work(workspace, keep_days * _SECONDS_PER_DAY), delete, as_json)
