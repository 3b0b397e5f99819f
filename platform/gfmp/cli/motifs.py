"""Motif jobs of `gfmp plan` and `gfmp submit`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gfmp.errors import MissingInputError
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from gfmp.ledger.run import Run
    from gfmp.plan.motifs import MotifPlan
    from gfmp.spec.motifs import MotifsSpec
    from gfmp.storage.documents import Document


def planned_motifs(spec: MotifsSpec, document: Document, workspace: Workspace) -> MotifPlan:
    """Decide everything about a job; nothing runs and torch is not imported.

    Raises:
        MissingInputError: the model, its task or the library is not there.
        SpecError: the model has no such output, or the search cannot be done.
        DataError: a side has too few rows.
    """
    from gfmp.inference.motif_inputs import look_up
    from gfmp.plan.motifs import resolve_motifs

    return resolve_motifs(spec, look_up(spec, document, workspace), document.where)


def plan_motifs(spec: MotifsSpec, document: Document, workspace: Workspace, as_json: bool) -> None:
    """Print what a job would do, or what it asks for and what has to be made first."""
    from gfmp.cli.render.motifs import show_gaps, show_motif_plan

    try:
        plan = planned_motifs(spec, document, workspace)
    except MissingInputError as fault:
        show_gaps(spec, fault.problems, as_json)
        return
    show_motif_plan(plan, as_json)


def start_motifs(spec: MotifsSpec, document: Document, workspace: Workspace) -> None:
    """Find the motifs of a job.

    Raises:
        GfmpError: see `planned_motifs` and `cluster.motifs.start`.
    """
    from gfmp.cli.motif_progress import shown
    from gfmp.mlflow_store.address import preflight, tracking_uri

    plan = planned_motifs(spec, document, workspace)
    preflight(tracking_uri(workspace))
    with shown(workspace) as console:
        from gfmp.cluster.motifs import MotifJob, start

        command = ("gfmp", *sys.argv[1:])
        console.finished(start(MotifJob(plan, spec.seed, document, workspace, command), console))


def resume_motifs(run: Run, workspace: Workspace) -> None:
    """Bring a run to its end.

    Raises:
        GfmpError: see `cluster.motifs.resume`.
    """
    from gfmp.cli.motif_progress import shown

    with shown(workspace) as console:
        from gfmp.cluster.motifs import resume

        console.finished(resume(run, workspace, console))
