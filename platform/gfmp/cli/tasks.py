"""`gfmp tasks list | show | fetch | check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfmp.cli.completing import complete_corpora, complete_tasks
from gfmp.cli.options import json_option, workspace_option
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from gfmp.tasks.exposure import Exposure
    from gfmp.tasks.task import Task


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
@click.argument("name", shell_complete=complete_tasks)
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
@click.argument("name", shell_complete=complete_tasks)
@json_option
def fetch(name: str, as_json: bool) -> None:
    """Download the public files of the task NAME to where its YAML says they are.

    A download that was cut goes on where it stopped; every file is compared with its sha256, or
    with that of its first download. Where there is no plain download the way by hand is told and
    the status is 66.
    """
    from gfmp.cli.render.fetching import progress_of, show_delivery
    from gfmp.errors import MissingInputError
    from gfmp.tasks.catalogue import find_task
    from gfmp.tasks.fetching import fetch_task

    target = find_task(name, Path.cwd(), check_files=False)
    delivery = fetch_task(target, progress_of)
    show_delivery(target, delivery, as_json)
    if delivery.missing:
        others = f" and {len(delivery.missing) - 1} others" if len(delivery.missing) > 1 else ""
        raise MissingInputError(
            f"there is no file {delivery.missing[0]}{others}",
            where=str(target.where),
            why="no plain download brings it",
            fix=delivery.instruction or "see the words of the task file",
        )


@tasks.command()
@click.argument("name", shell_complete=complete_tasks)
@click.option(
    "--corpus",
    "corpora",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_corpora,
    help="Look for its rows in this corpus.",
)
@click.option("--allow-leaks", is_flag=True, help="End with status 0 whatever leaks.")
@json_option
@workspace_option
def check(
    name: str, corpora: tuple[str, ...], allow_leaks: bool, as_json: bool, workspace: Workspace
) -> None:
    """Read all of the task NAME and count leaks between its splits.

    Rows that are the same, the same on the other strand, or share a stretch of sequence. Wrong
    data ends with status 65, and so do test rows that repeat rows that are learned from.
    """
    from gfmp.cli.render.tasks import show_audit
    from gfmp.errors import DataError
    from gfmp.tasks.audit import audit
    from gfmp.tasks.catalogue import find_task
    from gfmp.tasks.leaks import TaskLeaks
    from gfmp.tasks.store import TaskStore

    target = find_task(name, Path.cwd())
    task = TaskStore(workspace).prepare(target)
    found = audit(task)
    read = tuple(one for corpus in corpora for one in _exposures(corpus, task, workspace))
    show_audit(task, found, TaskLeaks(task.name, found.overlaps, read, allow_leaks), as_json)
    problems = found.problems(str(target.where), task.name)
    if problems and not allow_leaks:
        raise DataError.of(problems)


def _exposures(name: str, task: Task, workspace: Workspace) -> tuple[Exposure, ...]:
    from gfmp.genome.corpus import Corpus
    from gfmp.plan.survey import find_corpus
    from gfmp.tasks.exposure import exposures

    corpus = Corpus.open(find_corpus(name, Path.cwd(), workspace).path)
    return exposures(name, corpus, {task.name: task})[task.name]
