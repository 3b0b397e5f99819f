"""`gfmp runs list | show | compare | logs | status | stop | sync` and `gfmp ui`."""

from __future__ import annotations

import signal
import sys

import click

from gfmp.cli.completing import complete_runs
from gfmp.cli.options import cluster_option, json_option, workspace_option
from gfmp.storage.workspace import Workspace


@click.group()
def runs() -> None:
    """Look at runs, compare them, stop them, copy them to MLflow."""


@runs.command("list")
@json_option
@workspace_option
def list_(as_json: bool, workspace: Workspace) -> None:
    """List the runs of the workspace, oldest first."""
    from gfmp.cli.render.runs import show_runs
    from gfmp.ledger.store import RunStore

    store = RunStore(workspace)
    show_runs(store.list(), store.broken(), as_json)


@runs.command()
@click.argument("run", shell_complete=complete_runs)
@json_option
@workspace_option
def show(run: str, as_json: bool, workspace: Workspace) -> None:
    """Show one RUN: state, numbers, checkpoints, how to repeat or resume it."""
    from gfmp.cli.render.runs import show_run
    from gfmp.ledger.store import RunStore

    show_run(RunStore(workspace).get(run), as_json)


@runs.command()
@click.argument("run", nargs=-1, required=True, shell_complete=complete_runs)
@json_option
@workspace_option
def compare(run: tuple[str, ...], as_json: bool, workspace: Workspace) -> None:
    """Compare several RUNs: what differs in their plans, and in what came out.

    Differences of numbers are to the first one. Scores of sweeps are means over
    seeds; `gfmp report` has their intervals.
    """
    from gfmp.cli.render.differences import show_comparison
    from gfmp.errors import UsageError
    from gfmp.ledger.differences import compare as side_by_side
    from gfmp.ledger.differences import describe
    from gfmp.ledger.store import RunStore

    if len(run) < 2:
        raise UsageError(
            f"one run alone, {run[0]}, cannot be compared",
            why="a comparison is of two runs or more",
            fix=f"gfmp runs compare {run[0]} OTHER; gfmp runs list shows all",
        )
    found = [RunStore(workspace).get(one) for one in run]
    show_comparison(side_by_side([describe(one, workspace) for one in found]), as_json)


@runs.command()
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--lines",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    help="Last lines of each log.",
)
@click.option("--follow", "-f", is_flag=True, help="Go on until RUN ends.")
@cluster_option
@workspace_option
def logs(run: str, lines: int, follow: bool, cluster: str, workspace: Workspace) -> None:
    """Print the end of what the workers of RUN logged; of its driver, on a cluster."""
    from gfmp.cli.remote import found_remote, show_remote_logs

    remote = found_remote(run, cluster, workspace)
    if remote is not None:
        show_remote_logs(remote, lines, follow)
        return
    from gfmp.cli.render.following import follow_logs
    from gfmp.cli.render.runs import show_logs
    from gfmp.ledger.store import RunStore

    found = RunStore(workspace).get(run)
    show_logs(found, lines)
    if follow:
        follow_logs(found)


@runs.command()
@click.argument("run", shell_complete=complete_runs)
@cluster_option
@json_option
@workspace_option
def status(run: str, cluster: str, as_json: bool, workspace: Workspace) -> None:
    """Say how RUN is, here or on the cluster it was handed to."""
    from gfmp.cli.remote import found_remote, show_remote_status

    remote = found_remote(run, cluster, workspace)
    if remote is not None:
        show_remote_status(remote, as_json)
        return
    from gfmp.cli.render.runs import show_status
    from gfmp.ledger.store import RunStore

    show_status(RunStore(workspace).get(run), as_json)


@runs.command()
@click.argument("run", shell_complete=complete_runs)
@cluster_option
@workspace_option
def stop(run: str, cluster: str, workspace: Workspace) -> None:
    """Ask RUN to commit a checkpoint at the end of its step and stop.

    On a cluster its driver is told so, and its job ends.
    """
    from gfmp.cli.remote import found_remote, stop_remote

    remote = found_remote(run, cluster, workspace)
    if remote is not None:
        stop_remote(remote)
        return
    from gfmp.cli.render.runs import show_stopping
    from gfmp.ledger.store import RunStore

    show_stopping(RunStore(workspace).request_stop(run))


@runs.command()
@click.argument("run", required=False, shell_complete=complete_runs)
@workspace_option
def sync(run: str | None, workspace: Workspace) -> None:
    """Make MLflow equal the ledger of RUN, or of every run (after the server was down)."""
    from gfmp.cli.render.runs import show_synced
    from gfmp.ledger.store import RunStore
    from gfmp.mlflow_store.sweeps import mirror_of, sync_workspace

    if run is not None:
        show_synced(mirror_of(RunStore(workspace).get(run), workspace).sync())
        return
    done, failed = sync_workspace(workspace)
    for synced in done:
        show_synced(synced)
    if failed:
        raise failed[0]


@click.command()
@click.option("--port", default=5000, show_default=True, help="Taken port: the next free one.")
@workspace_option
def ui(port: int, workspace: Workspace) -> None:
    """Open MLflow's own page on the runs of the workspace (Ctrl-C ends it)."""
    from gfmp.cli.render.runs import show_serving
    from gfmp.mlflow_store.server import serve

    # SIGTERM must end the server too, so it leaves by the same door as Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(signal.SIGTERM))
    served = serve(workspace, port)
    show_serving(served.url)
    try:
        served.process.wait()
    finally:
        served.stop()
