"""The report of a sweep, from its ledger and its cells."""

from __future__ import annotations

from pathlib import Path

from gfmp.cluster.leaks import recorded
from gfmp.ledger.advice import planned_advice
from gfmp.ledger.cells import CellStore
from gfmp.ledger.comparison import planned_paper, planned_transfer
from gfmp.ledger.run import Run
from gfmp.ledger.sweep import failures_of, results_of
from gfmp.report.data import SweepData, TaskFacts
from gfmp.report.write import write_report
from gfmp.storage.workspace import Workspace
from gfmp.tasks.store import TaskStore


def report(run: Run, workspace: Workspace) -> tuple[Path, ...]:
    """Write the tables, figures and page of a sweep, finished or not; return their paths.

    Raises:
        CorruptArtefactError: the plan, a cell or a task is not as it was written.
        MissingInputError: a prepared task is gone.
    """
    return write_report(data_of(run, workspace), run.path / "report")


def data_of(run: Run, workspace: Workspace) -> SweepData:
    """Return what the report of a sweep is made of; raises as `report` does."""
    found = results_of(run, CellStore(workspace))
    store = TaskStore(workspace)
    made_of = [one for cell, _ in found.finished for one in (cell.task, *cell.also_on)]
    wanted = {one.name: one.fingerprint for one in made_of}
    tasks = {name: TaskFacts.of(store.get(name, content)) for name, content in wanted.items()}
    return SweepData(
        name=run.header.name,
        run_id=run.id,
        commands=(run.repeat_command, f"gfmp report {run.id}"),
        tasks=tasks,
        finished=found.finished,
        unfinished=found.unfinished,
        failures=failures_of(run),
        decisions=planned_advice(run),
        leaks=recorded(run),
        paper=planned_paper(run),
        transfer=planned_transfer(run),
    )
