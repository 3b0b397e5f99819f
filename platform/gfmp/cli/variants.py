"""Variant-effect jobs of `gfmp plan`, `gfmp submit` and `gfmp report`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gfmp.errors import MissingInputError
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from gfmp.ledger.run import Run
    from gfmp.spec.variant_effect import VariantEffectSpec
    from gfmp.storage.documents import Document


def plan_variants(
    spec: VariantEffectSpec, document: Document, workspace: Workspace, as_json: bool
) -> None:
    """Print what a job would score and how, and what is missing for it; torch is not imported.

    Raises:
        SpecError: a scorer cannot read its model.
    """
    from gfmp.cli.render.variants import show_effect_plan
    from gfmp.inference.names import look_up
    from gfmp.plan.variant_effect import resolve_effects

    facts = look_up(spec, document, workspace)
    show_effect_plan(resolve_effects(spec, facts, document.where), facts.missing, as_json)


def start_variants(spec: VariantEffectSpec, document: Document, workspace: Workspace) -> None:
    """Score the variants of a job.

    Raises:
        MissingInputError: a file or a model is not there; lists them all.
        GfmpError: see `cluster.variant_effect.start`.
    """
    from gfmp.cli.variant_progress import shown
    from gfmp.inference.names import look_up
    from gfmp.mlflow_store.address import preflight, tracking_uri
    from gfmp.plan.variant_effect import resolve_effects

    facts = look_up(spec, document, workspace)
    if facts.missing:
        raise MissingInputError.of(facts.missing)
    plan = resolve_effects(spec, facts, document.where)
    preflight(tracking_uri(workspace))
    with shown(workspace) as console:
        from gfmp.cluster.variant_effect import EffectJob, start

        command = ("gfmp", *sys.argv[1:])
        console.finished(start(EffectJob(plan, spec.seed, document, workspace, command), console))


def resume_variants(run: Run, workspace: Workspace) -> None:
    """Score what a run has not committed yet.

    Raises:
        GfmpError: see `cluster.variant_effect.resume`.
    """
    from gfmp.cli.variant_progress import shown

    with shown(workspace) as console:
        from gfmp.cluster.variant_effect import resume

        console.finished(resume(run, workspace, console))
