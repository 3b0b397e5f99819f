"""`gfmp sweep` and `gfmp report`; fine-tuning jobs of `gfmp submit` are sweeps of one cell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfmp.cli.completing import complete_runs
from gfmp.cli.options import (
    JOB,
    cluster_option,
    json_option,
    set_option,
    supervised,
    workspace_option,
)
from gfmp.errors import UsageError
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from gfmp.cluster.sweep_inputs import SweepNames
    from gfmp.ledger.run import Run
    from gfmp.plan.cells import Cell
    from gfmp.spec.sweep import FinetuneSpec, SweepSpec
    from gfmp.storage.documents import Document


@click.command()
@click.argument("spec", type=JOB, required=False)
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Run what this sweep has no result for yet.",
)
@set_option
@cluster_option
@workspace_option
@supervised
def sweep(
    spec: Path | None,
    resume: str | None,
    assignments: tuple[str, ...],
    cluster: str,
    workspace: Workspace,
) -> None:
    """Run the cells of SPEC: task x vocabulary x label ratio x seed x model.

    A cell that was finished before, by any sweep, is never run again. The report
    is written at the end; exit status 3 says that some cells failed. A driver that is
    killed or crashes is started again; what is finished stays finished.
    """
    from gfmp.cli.loading import SWEEPS, load_job
    from gfmp.cli.remote import Asked, handed_over, resumed_there
    from gfmp.spec.sweep import SweepSpec

    if (spec is None) == (resume is None):
        raise UsageError(
            "give either a sweep spec or --resume RUN",
            why="a resumed sweep takes its spec from its own record",
            fix="gfmp sweep specs/label_efficiency.yaml   or   gfmp sweep --resume RUN",
        )
    asked = Asked(cluster, assignments, False, workspace, "sweep")
    if resume is not None:
        from gfmp.ledger.store import RunStore

        if resumed_there(resume, asked):
            return
        resume_sweep(RunStore(workspace).get(resume), assignments, workspace)
        return
    assert spec is not None, "checked above"
    read, document = load_job(spec, assignments, SWEEPS)
    assert isinstance(read, SweepSpec), "the only kind that is taken"
    if handed_over(read, document, asked):
        return
    start_sweep(read, document, workspace)


@click.command()
@click.argument("run", shell_complete=complete_runs)
@json_option
@workspace_option
def report(run: str, as_json: bool, workspace: Workspace) -> None:
    """Write one page with tables and figures of RUN, whatever its kind.

    Of a sweep or a pretraining run also before it is finished. It is one file that
    needs nothing but itself, in the folder `report` of the run.

    MLflow gets it too, unless another process drives the run and does that.
    """
    from gfmp.cli.render.sweeps import show_report
    from gfmp.cluster.reports import report as write
    from gfmp.ledger.status import Status
    from gfmp.ledger.store import RunStore
    from gfmp.mlflow_store.sweeps import mirror_of

    found = RunStore(workspace).get(run)
    show_report(write(found, workspace), as_json)
    if found.status() is not Status.RUNNING:
        mirror_of(found, workspace).sync()


def start_sweep(spec: SweepSpec | FinetuneSpec, document: Document, workspace: Workspace) -> None:
    """Run a new sweep, or a fine-tuning job as the sweep of one cell.

    Raises:
        GfmpError: see `cluster.sweep.start`.
    """
    from gfmp.cli.sweep_progress import shown
    from gfmp.cluster.submit import recorded_text
    from gfmp.cluster.sweep import SweepJob, start
    from gfmp.mlflow_store.address import preflight, tracking_uri
    from gfmp.spec.sweep import FinetuneSpec

    preflight(tracking_uri(workspace))
    grid = spec.as_sweep() if isinstance(spec, FinetuneSpec) else spec
    text = recorded_text(document)
    job = SweepJob(grid, document, text, workspace, spec.kind, ("gfmp", *sys.argv[1:]))
    with shown(workspace) as console:
        console.finished(start(job, console))


def resume_sweep(run: Run, assignments: tuple[str, ...], workspace: Workspace) -> None:
    """Run the cells of a sweep that have no result yet.

    Raises:
        GfmpError: see `cluster.sweep.resume`.
    """
    from gfmp.cli.loading import KINDS, job_of_run
    from gfmp.cli.sweep_progress import shown
    from gfmp.cluster.sweep import resume
    from gfmp.mlflow_store.address import preflight, tracking_uri
    from gfmp.spec.load import validate
    from gfmp.spec.sweep import FinetuneSpec, SweepSpec

    preflight(tracking_uri(workspace))
    document = job_of_run(run, assignments)
    spec = validate(document, KINDS[run.header.kind])
    assert isinstance(spec, SweepSpec | FinetuneSpec), "the run says what it is"
    grid = spec.as_sweep() if isinstance(spec, FinetuneSpec) else spec
    with shown(workspace) as console:
        console.finished(resume(run, document, grid, workspace, console))


def plan_sweep(
    spec: SweepSpec | FinetuneSpec, document: Document, workspace: Workspace, as_json: bool
) -> None:
    """Print the cells of a sweep and how many of them are finished; runs and prepares nothing."""
    from gfmp.cli.render.sweeps import show_sweep_plan
    from gfmp.cluster.advising import undecided
    from gfmp.cluster.sweep_inputs import look_up
    from gfmp.spec.sweep import FinetuneSpec

    grid = spec.as_sweep() if isinstance(spec, FinetuneSpec) else spec
    names = look_up(grid, document, workspace)
    unprepared = names.unprepared(workspace)
    open_ends = unprepared or names.missing or names.folders or undecided(names)
    cells = _bound(names, workspace) if not open_ends else ()
    show_sweep_plan(names, cells, workspace, as_json)


def _bound(names: SweepNames, workspace: Workspace) -> tuple[Cell, ...]:
    """Return the cells whose settings are known: those of searches once they have chosen."""
    from gfmp.cluster.materials import foreign_ingredient
    from gfmp.cluster.searching import chosen_settings
    from gfmp.cluster.sweep_inputs import bind_grid
    from gfmp.cluster.transfers import prepared
    from gfmp.tasks.store import TaskStore

    tasks = prepared(names.every, names.pools, TaskStore(workspace))
    grid = bind_grid(names, tasks, lambda folder, name: foreign_ingredient(names, folder, name))
    return grid.cells(chosen_settings(grid.searches, workspace))
