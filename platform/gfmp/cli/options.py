"""Options that several commands share."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from gfmp.cli.completing import complete_clusters
from gfmp.storage.workspace import Workspace

Command = TypeVar("Command", bound=Callable[..., Any])


def _workspace(context: click.Context, parameter: click.Parameter, value: str | None) -> Workspace:
    return Workspace.at(value)


def workspace_option(command: Command) -> Command:
    """Add `--workspace`; the command receives a `Workspace`."""
    return click.option(
        "--workspace",
        callback=_workspace,
        metavar="FOLDER",
        help="Where gfmp keeps what it writes. [default: $GFMP_WORKSPACE or ./workspace]",
    )(command)


def json_option(command: Command) -> Command:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(
        command
    )


def set_option(command: Command) -> Command:
    """Add `--set key.path=value`, which may be repeated."""
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a value of the job, e.g. compute.workers=4; checked and recorded with it.",
    )(command)


def cluster_option(command: Command) -> Command:
    """Add `--cluster`; empty when it is not given."""
    return click.option(
        "--cluster",
        default="",
        metavar="NAME",
        shell_complete=complete_clusters,
        help="Cluster it runs on: a file in specs/clusters/, or a path to one.",
    )(command)


# The names of `cluster.manifests.choice`, which a test compares: `gfmp --help` imports no rooms.
RENDERED = ("kuberay", "kuberay-cluster", "slurm", "aws", "gcp")


@dataclass(frozen=True)
class Place:
    """Where a command runs.

    Attributes:
        cluster: `--cluster`; empty when it is not given.
        render: `--render`; empty when it is not given.
    """

    cluster: str
    render: str


def place_options(command: Command) -> Command:
    """Add `--cluster` and `--render`; the command receives a `Place`."""

    @functools.wraps(command)
    def _run(cluster: str, render: str | None, **named: Any) -> object:  # noqa: ANN401 - click's
        return command(place=Place(cluster, render or ""), **named)

    added = click.option(
        "--render",
        type=click.Choice(RENDERED),
        help="Print what starts the cluster of JOB there instead, and run nothing.",
    )(_run)
    return cluster_option(added)  # type: ignore[return-value]  # a command once click has it


FROM_SHELL = "shell"


def supervised(command: Command) -> Command:
    """Run the command in a process of its own, which is started again when it dies.

    The command has the parameters `resume` and `workspace`. Called from Python instead of from a
    shell it runs where it is.
    """

    @functools.wraps(command)
    def _run(*positional: object, **named: Any) -> object:  # noqa: ANN401 - what click gives
        if click.get_current_context().find_root().obj is not FROM_SHELL:
            with in_use(named["workspace"]):
                return command(*positional, **named)
        from gfmp.cluster import supervise

        if supervise.become_driver():
            with in_use(named["workspace"]):
                return command(*positional, **named)
        given = supervise.Command(tuple(sys.argv[1:]), named["workspace"], named["resume"], _say)
        return supervise.supervise(given)

    return _run  # type: ignore[return-value]  # a function of the same parameters


@contextlib.contextmanager
def in_use(workspace: Workspace) -> Iterator[None]:
    """Keep `gfmp gc` from taking away what a command is about to use."""
    from gfmp.storage.locks import shared

    # Where nothing is yet, nothing can be cleared away, and a refused command leaves nothing.
    if not workspace.root.is_dir() or not any(workspace.root.iterdir()):
        yield
        return
    with shared(workspace.use_lock):
        yield


def _say(line: str) -> None:
    click.echo(line, err=True)


# Existence is checked by the loader, whose error says what is near.
JOB = click.Path(path_type=Path)
