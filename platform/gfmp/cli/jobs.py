"""`gfmp plan` and `gfmp submit`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfmp.cli.completing import complete_runs
from gfmp.cli.options import (
    JOB,
    Place,
    cluster_option,
    json_option,
    place_options,
    set_option,
    supervised,
    workspace_option,
)
from gfmp.errors import SpecError, UsageError
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from gfmp.cli.loading import JobSpec
    from gfmp.cli.remote import Asked
    from gfmp.ledger.run import Run
    from gfmp.plan.facts import Machine
    from gfmp.plan.values import Plan, Where
    from gfmp.spec.cluster import ClusterSpec
    from gfmp.spec.corpus import CorpusJobSpec
    from gfmp.spec.pretrain import PretrainSpec
    from gfmp.storage.documents import Document


@click.command()
@click.argument("job", type=JOB)
@click.option(
    "--calibrate", is_flag=True, help="Measure some of JOB's steps here first, for its estimates."
)
@set_option
@cluster_option
@json_option
@workspace_option
def plan(
    job: Path,
    calibrate: bool,
    assignments: tuple[str, ...],
    cluster: str,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Print what JOB would do: every number with its reason. Runs nothing.

    With a cluster, also what it takes of that: nodes, network, failures, storage and money.

    With --calibrate a few of its own steps are taken and forgotten; what they cost is kept in the
    workspace, and every later plan of the same kind on this machine is estimated by it.
    """
    from gfmp.cli.loading import load_job
    from gfmp.cli.remote import planned_for
    from gfmp.cli.render.plan import show_plan
    from gfmp.cli.render.text import as_json as show_json
    from gfmp.cluster.place import chosen
    from gfmp.plan.resolve import resolve
    from gfmp.plan.survey import survey
    from gfmp.spec.pretrain import PretrainSpec
    from gfmp.training.parent import expected_parent

    spec, document = load_job(job, assignments)
    if not isinstance(spec, PretrainSpec):
        _only_pretraining(cluster, spec)
        _plan_other(spec, document, workspace, as_json)
        return
    parent = expected_parent(spec, workspace)
    found = survey(spec, document.path, workspace, parent)
    elsewhere = chosen(cluster, spec.cluster, document.path)
    if elsewhere is not None:
        _here_only(calibrate, elsewhere)
        made = planned_for(spec, found.known, document, elsewhere)
    else:
        made = resolve(spec, found.known, document.where)
    if calibrate:
        from gfmp.cluster.calibrate import Asked
        from gfmp.cluster.calibrate import calibrate as measure
        from gfmp.plan.calibration import remember

        remember(workspace, measure(Asked(made, found, document.path)))
        made = resolve(spec, survey(spec, document.path, workspace, parent).known, document.where)
    if as_json:
        show_json(made.to_json())
    else:
        show_plan(made)


def _only_pretraining(cluster: str, spec: JobSpec) -> None:
    if cluster:
        raise UsageError(
            f"--cluster {cluster} says nothing about a job of kind {spec.kind}",
            why="what a job takes of a cluster is known of pretraining only",
            fix="leave --cluster out; gfmp submit takes it for every kind",
        )


def _here_only(calibrate: bool, cluster: ClusterSpec) -> None:
    if calibrate:
        raise UsageError(
            f"--calibrate measures this machine, not cluster {cluster.name}",
            why="its numbers would say nothing about the other",
            fix="leave one of the two out; on a node of the cluster, measure with --cluster local"
            " in the job's place",
        )


def _plan_other(spec: JobSpec, document: Document, workspace: Workspace, as_json: bool) -> None:
    """Print what a job would do that pretrains nothing."""
    from gfmp.cli.motifs import plan_motifs
    from gfmp.cli.render.plan import show_corpus_target
    from gfmp.cli.sweeps import plan_sweep
    from gfmp.cli.variants import plan_variants
    from gfmp.plan.survey import find_corpus
    from gfmp.spec.corpus import CorpusJobSpec
    from gfmp.spec.motifs import MotifsSpec
    from gfmp.spec.sweep import FinetuneSpec, SweepSpec
    from gfmp.spec.variant_effect import VariantEffectSpec

    if isinstance(spec, CorpusJobSpec):
        show_corpus_target(find_corpus(spec.corpus, document.path, workspace), as_json)
    elif isinstance(spec, VariantEffectSpec):
        plan_variants(spec, document, workspace, as_json)
    elif isinstance(spec, MotifsSpec):
        plan_motifs(spec, document, workspace, as_json)
    else:
        assert isinstance(spec, FinetuneSpec | SweepSpec), "the other kinds are handled above"
        plan_sweep(spec, document, workspace, as_json)


@click.command()
@click.argument("job", type=JOB, required=False)
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Continue this run at the exact next sample.",
)
@click.option("--new", is_flag=True, help="Begin another run beside an unfinished one of JOB.")
@click.option(
    "--profile-startup", is_flag=True, help="Show where the time up to the first step went."
)
@set_option
@place_options
@workspace_option
@supervised
def submit(
    job: Path | None,
    resume: str | None,
    new: bool,
    profile_startup: bool,
    assignments: tuple[str, ...],
    place: Place,
    workspace: Workspace,
) -> None:
    """Run JOB: build what it needs, train, evaluate, track.

    With --resume RUN an interrupted run goes on, also with another number of workers:
    gfmp submit --resume RUN --set compute.workers=4

    On a cluster that takes jobs, the driver runs there and this command ends.

    A driver that is killed or crashes is started again from the last checkpoint.
    """
    if (job is None) == (resume is None):
        raise UsageError(
            "give either a job file or --resume RUN",
            why="a resumed run takes its job from its own record",
            fix="gfmp submit jobs/pretrain.yaml   or   gfmp submit --resume RUN",
        )
    how = _How(assignments, workspace, new, profile_startup, place)
    if resume is not None:
        _resume(resume, how)
    else:
        assert job is not None, "checked above"
        _start(job, how)


@dataclass(frozen=True)
class _How:
    """What a person added to a submission.

    Attributes:
        assignments: Changes of the job.
        workspace: Where everything goes.
        new: Begin another run beside an unfinished one.
        profile_startup: Show where the time up to the first step went.
        place: Where it runs.
    """

    assignments: tuple[str, ...]
    workspace: Workspace
    new: bool
    profile_startup: bool
    place: Place

    @property
    def asked(self) -> Asked:
        """What of it concerns a cluster."""
        from gfmp.cli.remote import Asked

        return Asked(self.place.cluster, self.assignments, self.new, self.workspace)


def _start(job: Path, how: _How) -> None:
    from gfmp.cli.loading import JOBS, load_job
    from gfmp.cli.remote import handed_over, render
    from gfmp.spec.corpus import CorpusJobSpec
    from gfmp.spec.motifs import MotifsSpec
    from gfmp.spec.pretrain import PretrainSpec
    from gfmp.spec.sweep import FinetuneSpec
    from gfmp.spec.variant_effect import VariantEffectSpec

    spec, document = load_job(job, how.assignments, JOBS)
    if how.place.render:
        render(spec, document, how.asked, how.place.render)
    elif handed_over(spec, document, how.asked):
        return
    elif isinstance(spec, CorpusJobSpec):
        _build_corpus(spec, document, how.workspace)
    elif isinstance(spec, FinetuneSpec):
        from gfmp.cli.sweeps import start_sweep

        start_sweep(spec, document, how.workspace)
    elif isinstance(spec, VariantEffectSpec):
        from gfmp.cli.variants import start_variants

        start_variants(spec, document, how.workspace)
    elif isinstance(spec, MotifsSpec):
        from gfmp.cli.motifs import start_motifs

        start_motifs(spec, document, how.workspace)
    else:
        assert isinstance(spec, PretrainSpec), "the other kinds of jobs are handled above"
        _pretrain(spec, document, how)


def _build_corpus(spec: CorpusJobSpec, document: Document, workspace: Workspace) -> None:
    from gfmp.cli.progress import shown
    from gfmp.plan.survey import find_corpus

    target = find_corpus(spec.corpus, document.path, workspace)
    with shown(workspace) as console:
        from gfmp.cluster.build import Builder

        corpus = Builder(workspace, console.say).corpus(target)
        console.say(f"corpus {target.settings.name} is in {corpus.path}")


def _pretrain(spec: PretrainSpec, document: Document, how: _How) -> None:
    from gfmp.cli.progress import shown
    from gfmp.cluster.startup import StartClock
    from gfmp.ledger.store import RunStore
    from gfmp.plan.resolve import resolve
    from gfmp.plan.survey import survey
    from gfmp.training.parent import find_parent

    clock, workspace = StartClock.of_process(), how.workspace
    # Whatever is wrong with the job shows here, before Ray is even imported.
    parent = find_parent(spec, workspace)
    known = survey(spec, document.path, workspace, parent).known
    planned = resolve(spec, known, document.where)
    _check(planned, known.machine, workspace)
    if not how.new:
        RunStore(workspace).refuse_second(spec.name, planned.what.fingerprint)
    clock.ended("parent and driver start, and the driver plans the job")
    with shown(workspace, planned.what.steps, how.profile_startup) as console:
        from gfmp.cluster.submit import Submission, start

        command = ("gfmp", *sys.argv[1:])
        submission = Submission(spec, document, planned, workspace, command, parent, how.new, clock)
        run = start(submission, console)
        console.finished(run)


def _check(plan: Plan, machine: Machine, workspace: Workspace) -> None:
    """Make sure that this machine can hold the plan, and that MLflow answers.

    Raises:
        SpecError: the model states are larger than its memory.
        ServiceError: the tracking store cannot be used.
    """
    from gfmp.mlflow_store.address import preflight, tracking_uri
    from gfmp.plan.preflight import shortfalls

    if lacking := shortfalls(plan, machine):
        raise SpecError.of(lacking)
    preflight(tracking_uri(workspace))


def _resume(wanted: str, how: _How) -> None:
    from gfmp.cli.progress import shown
    from gfmp.cli.remote import resumed_there
    from gfmp.ledger.store import RunStore

    workspace = how.workspace
    if resumed_there(wanted, how.asked):
        return
    run = RunStore(workspace).get(wanted)
    if run.header.kind in ("variant_effect", "motifs"):
        _resume_driven(run, how)
        return
    if run.header.kind != "pretrain":
        from gfmp.cli.sweeps import resume_sweep

        resume_sweep(run, how.assignments, workspace)
        return
    where = _placed(run, how.assignments, workspace)
    with shown(workspace, run.plan().what.steps, how.profile_startup) as console:
        from gfmp.cluster.submit import resume as resume_run

        console.finished(resume_run(run, where, workspace, console))


def _resume_driven(run: Run, how: _How) -> None:
    """Bring a run to its end that its driver computes by itself.

    Raises:
        UsageError: the job is to be changed.
    """
    from gfmp.cli.motifs import resume_motifs
    from gfmp.cli.variants import resume_variants
    from gfmp.mlflow_store.address import preflight, tracking_uri

    if how.assignments:
        raise UsageError(
            f"--set {how.assignments[0]} cannot be applied to run {run.id}",
            why="a run does what it was planned for, and part of it is done",
            fix=f"gfmp submit {run.spec_path} --set ... begins another run",
        )
    preflight(tracking_uri(how.workspace))
    again = resume_motifs if run.header.kind == "motifs" else resume_variants
    again(run, how.workspace)


def _placed(run: Run, assignments: tuple[str, ...], workspace: Workspace) -> Where | None:
    """Return the changed placement of a resumed run, checked before Ray is even imported.

    Raises:
        SpecError: the changes make another model, or the machine cannot hold it.
        ServiceError: the tracking store cannot be used.
    """
    from gfmp.cli.loading import job_of_run
    from gfmp.cluster.submit import new_where
    from gfmp.plan.survey import this_machine

    plan, where = run.plan(), None
    if assignments:
        where = new_where(run, job_of_run(run, assignments), workspace)
        plan = replace(plan, where=where)
    _check(plan, this_machine(), workspace)
    return where
