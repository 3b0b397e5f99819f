"""The report of a run of any kind."""

from __future__ import annotations

from pathlib import Path

from gfmp.errors import MissingInputError, UsageError
from gfmp.ledger.run import Run
from gfmp.mlflow_store.sweeps import CELL_KINDS
from gfmp.plan.motifs import KIND as MOTIFS
from gfmp.plan.motifs import RESULTS_FOLDER
from gfmp.storage.workspace import Workspace


def report(run: Run, workspace: Workspace) -> tuple[Path, ...]:
    """Write the report of a run and return its files, the page first.

    The page of a motif job is made of what the model showed row by row, which is too much to keep:
    it is written when the job ends, and returned as it is.

    Raises:
        UsageError: this gfmp does not know its kind.
        MissingInputError: there is nothing to report yet, or something it rests on is gone.
        CorruptArtefactError: plan, ledger or results are not as they were written.
        StorageError: the disk refused.
    """
    kind = run.header.kind
    if kind == MOTIFS:
        return _motifs(run)
    if kind == "pretrain":
        from gfmp.cluster.pretrain_report import report as write_run

        return write_run(run, workspace)
    if kind == "variant_effect":
        from gfmp.cluster.variant_report import report as write_effects

        return write_effects(run)
    if kind not in CELL_KINDS:
        raise UsageError(
            f"run {run.id} is a {kind} run",
            where=str(run.path),
            why="this gfmp draws pages of pretraining, sweeps, fine-tuning, variants and motifs",
            fix=f"gfmp runs show {run.id} shows its numbers",
        )
    from gfmp.cluster.sweep_report import report as write_sweep

    return write_sweep(run, workspace)


def _motifs(run: Run) -> tuple[Path, ...]:
    folder = run.path / RESULTS_FOLDER
    page = folder / "report.html"
    if not page.is_file():
        raise MissingInputError(
            f"run {run.id} has no page yet",
            where=str(folder),
            why="the page of a motif job is written when its motifs are found",
            fix=run.resume_command,
        )
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != page)
    return (page, *files)
