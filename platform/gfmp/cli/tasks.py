"""`gfmp tasks list | show | check`."""

from __future__ import annotations

from pathlib import Path

import click

from gfmp.cli.options import json_option, workspace_option
from gfmp.storage.workspace import Workspace


@click.group()
def tasks() -> None:
    """Look at the labelled tasks that models are compared on."""


@tasks.command("list")
@json_option
@workspace_option
def list_(as_json: bool, workspace: Workspace) -> None:
    """List the tasks of specs/tasks/, prepared or not."""
    from gfmp.cli.render.tasks import show_listing
    from gfmp.tasks.catalogue import known_tasks
    from gfmp.tasks.store import TaskStore

    store = TaskStore(workspace)
    show_listing([(task, store.num_rows(task)) for task in known_tasks(Path.cwd())], as_json)


@tasks.command()
@click.argument("name")
@json_option
@workspace_option
def show(name: str, as_json: bool, workspace: Workspace) -> None:
    """Show source, splits, classes and a row of the task NAME.

    NAME is a name in specs/tasks/, a YAML file, or a folder in the layout of GUE. The first look
    prepares the task.
    """
    from gfmp.cli.render.tasks import show_task
    from gfmp.tasks.catalogue import find_task
    from gfmp.tasks.store import TaskStore

    show_task(TaskStore(workspace).prepare(find_task(name, Path.cwd())), as_json)


@tasks.command()
@click.argument("name")
@json_option
@workspace_option
def check(name: str, as_json: bool, workspace: Workspace) -> None:
    """Read all of the task NAME and count leaks between splits.

    Wrong data ends with status 65. Leaks are findings: they are counted and the verdict says so.
    """
    from gfmp.cli.render.tasks import show_audit
    from gfmp.tasks.audit import audit
    from gfmp.tasks.catalogue import find_task
    from gfmp.tasks.store import TaskStore

    task = TaskStore(workspace).prepare(find_task(name, Path.cwd()))
    show_audit(task, audit(task), as_json)
