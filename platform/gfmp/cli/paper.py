"""`gfmp verify [TABLE]`: the paper's numbers, how far to trust them, and ours beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfmp.cli.completing import complete_runs
from gfmp.cli.options import json_option, workspace_option
from gfmp.errors import UsageError
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from gfmp.paper.numbers import PaperTable
    from gfmp.report.beside import Measured, Pairing


@click.command("verify")
@click.argument("table", required=False)
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    shell_complete=complete_runs,
    help="Lay this sweep's scores beside.",
)
@click.option(
    "--numbers",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="Lay these numbers beside: name,value and low,high,model,metric,quantity.",
)
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    metavar="NAME=TASK",
    help="TASK is laid beside what the paper calls NAME, e.g. mouse=fly_simulans.",
)
@json_option
@workspace_option
def verify_paper(
    table: str | None,
    runs: tuple[str, ...],
    files: tuple[Path, ...],
    pairs: tuple[str, ...],
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Show the numbers of TABLE in Genomics-FM, and ours beside them.

    Without TABLE, lists what there is. Every printed number has a trust: confirmed (it
    follows from other printed ones), unchecked, doubtful or wrong, and the reason. A
    number that nothing was run for stays alone. (Are the files of a run as they were
    written? That is `gfmp runs verify`.)
    """
    from gfmp.cli.render.paper import show_laid, show_printed, show_tables
    from gfmp.paper.numbers import find_table, tables

    ours = bool(runs or files)
    if table is None:
        if ours or pairs:
            raise UsageError(
                "--run, --numbers and --pair need a table",
                why="numbers are laid beside those of one table",
                fix="gfmp verify lists the tables",
            )
        show_tables(tables(), as_json)
        return
    found = find_table(table)
    if not ours:
        show_printed(found, as_json)
        return
    from gfmp.report.beside import comparable, lay

    _check_comparable(found, comparable(found))
    measured, pairing = _ours(found, runs, files, workspace)
    pairing = _with_pairs(pairing, pairs, comparable(found))
    show_laid(found, lay(found, measured, pairing), as_json)


def _check_comparable(table: PaperTable, names: tuple[str, ...]) -> None:
    if not names:
        raise UsageError(
            f"nothing can be laid beside {table.name}",
            why=f"it is of {table.entry.title!r}, which no run measures",
            fix=f"gfmp verify {table.name} shows its numbers",
        )


def _ours(
    table: PaperTable, runs: tuple[str, ...], files: tuple[Path, ...], workspace: Workspace
) -> tuple[tuple[Measured, ...], Pairing]:
    """Return all that was computed, and what the runs say of their tasks."""
    from gfmp.report.beside import Pairing
    from gfmp.report.measured import measured_in_file

    measured = [one for path in files for one in measured_in_file(path, table)]
    pairing = Pairing()
    for name in runs:
        scores, said = _of_run(name, workspace)
        measured += scores
        pairing = Pairing(
            {**pairing.tasks, **said.tasks},
            {**pairing.stand_ins, **said.stand_ins},
            said.declared and (pairing.declared or name == runs[0]),
        )
    return tuple(measured), pairing


def _of_run(name: str, workspace: Workspace) -> tuple[tuple[Measured, ...], Pairing]:
    from gfmp.cluster.sweep_report import data_of
    from gfmp.ledger.store import RunStore
    from gfmp.report.analysis import analyse
    from gfmp.report.beside import Pairing
    from gfmp.report.measured import measured_in

    run = RunStore(workspace).get(name)
    if run.header.kind not in ("sweep", "finetune"):
        raise UsageError(
            f"run {run.id} is a {run.header.kind} run",
            why="only the scores of a sweep stand beside the paper's",
            fix="name a sweep: gfmp runs list",
        )
    data = data_of(run, workspace)
    said = data.paper
    pairing = Pairing(said.rows, said.stand_ins, declared=True) if said else Pairing()
    return measured_in(analyse(data)), pairing


def _with_pairs(pairing: Pairing, pairs: tuple[str, ...], names: tuple[str, ...]) -> Pairing:
    from gfmp.report.beside import Pairing
    from gfmp.storage.documents import did_you_mean

    tasks = dict(pairing.tasks)
    for pair in pairs:
        name, _, task = pair.partition("=")
        if name not in names or not task:
            raise UsageError(
                f"--pair {pair!r} names nothing of the table",
                why=f"it is NAME=TASK; the names are {', '.join(names)}",
                fix=did_you_mean(name, names) or "correct the name",
            )
        tasks[name] = task
    return Pairing(tasks, pairing.stand_ins, pairing.declared)
