"""`gfmp doctor`: is this machine fit, and what to do where it is not."""

from __future__ import annotations

import click

from gfmp.cli.options import json_option, workspace_option
from gfmp.storage.workspace import Workspace


@click.command()
@json_option
@workspace_option
def doctor(as_json: bool, workspace: Workspace) -> int:
    """Look at this machine and workspace: each line is ok, or has its fix.

    A note works, but slower or with less than there could be. Something bad would end
    a job; the status is then the one that job would end with, else 0. Changes nothing.
    """
    from gfmp.cli.render.doctor import show_findings
    from gfmp.cluster.doctor.examine import examine
    from gfmp.cluster.doctor.findings import exit_status

    found = tuple(examine(workspace))
    show_findings(found, as_json)
    return exit_status(found)
