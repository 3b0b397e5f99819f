"""Jobs of `gfmp submit` and `gfmp sweep` that run on a cluster, and what is rendered for one."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfmp.cli.render.text import as_json as show_json
from gfmp.cli.render.text import echo
from gfmp.errors import MissingInputError, TrainingError, UsageError
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from gfmp.cli.loading import JobSpec
    from gfmp.cluster.jobs import JobState
    from gfmp.cluster.parcel import Project
    from gfmp.plan.facts import Known
    from gfmp.plan.values import Plan
    from gfmp.spec.cluster import ClusterSpec, JobsConnection
    from gfmp.spec.pretrain import PretrainSpec
    from gfmp.storage.documents import Document


@dataclass(frozen=True)
class Asked:
    """What a person asked of a cluster.

    Attributes:
        cluster: `--cluster`; empty leaves it to the job.
        assignments: `--set`, repeated on the cluster.
        new: `--new`, likewise.
        workspace: Where the submission is recorded.
        verb: The command, `submit` or `sweep`.
    """

    cluster: str
    assignments: tuple[str, ...]
    new: bool
    workspace: Workspace
    verb: str = "submit"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the job on the command line of the cluster."""
        words = [word for value in self.assignments for word in ("--set", value)]
        return (*words, "--new") if self.new else tuple(words)


def handed_over(spec: JobSpec, document: Document, asked: Asked) -> bool:
    """Give a job to the cluster that it or the person names; False when it runs from here.

    Then Ray sessions of this process are where the cluster's spec says.

    Raises:
        SpecError: the job cannot be done, on this cluster or at all.
        GfmpError: see `cluster.remote.hand_over`.
    """
    from gfmp.cluster.parcel import project_of
    from gfmp.cluster.place import chosen, enter

    cluster = chosen(asked.cluster, spec.cluster, document.path)
    connection = enter(cluster) if cluster else None
    if cluster is None or connection is None:
        return False
    _planned(spec, document, cluster, asked.workspace)
    _hand_over(asked, connection, (run_name(spec), spec.kind), project_of(document.path))
    return True


def resumed_there(run: str, asked: Asked) -> bool:
    """Let a cluster go on with one of its runs; False without a cluster, or one of this machine.

    Raises:
        GfmpError: see `cluster.remote.hand_over`.
    """
    from gfmp.cluster.parcel import specs_near
    from gfmp.cluster.place import chosen, enter

    cluster = chosen(asked.cluster, "", Path.cwd())
    connection = enter(cluster) if cluster else None
    if connection is None:
        return False
    _hand_over(asked, connection, (run, "resumed"), specs_near(Path.cwd()), ("--resume", run))
    return True


def _hand_over(
    asked: Asked,
    connection: JobsConnection,
    what: tuple[str, str],
    project: Project,
    more: tuple[str, ...] = (),
) -> None:
    from gfmp.cluster.remote import Handover, hand_over

    name, kind = what
    again = asked.new or bool(more)
    wanted = Handover(asked.verb, name, kind, project, (*asked.arguments, *more), again)
    done = hand_over(wanted, connection, asked.workspace)
    echo(f"{name} is job {done.id} on {connection.address}; its driver runs there.")
    for purpose, words in (("follow it", "logs -f"), ("how it is", "status"), ("stop it", "stop")):
        echo(f"  {purpose + ':':<12} gfmp runs {words} {name}")


def run_name(spec: JobSpec) -> str:
    """Return the name of the run that a job becomes; a corpus is known by its own."""
    from gfmp.spec.corpus import CorpusJobSpec

    return f"corpus-{Path(spec.corpus).stem}" if isinstance(spec, CorpusJobSpec) else spec.name


def _planned(
    spec: JobSpec, document: Document, cluster: ClusterSpec, workspace: Workspace
) -> Plan | None:
    """Plan a pretraining job for a cluster; None where what it names is only there.

    Raises:
        SpecError: it cannot be done.
    """
    from gfmp.plan.survey import survey
    from gfmp.spec.pretrain import PretrainSpec
    from gfmp.training.parent import expected_parent

    if not isinstance(spec, PretrainSpec):
        return None
    try:
        parent = expected_parent(spec, workspace)
        known = survey(spec, document.path, workspace, parent).known
    except MissingInputError as fault:
        click.echo(f"not planned here, but there: {fault.problems[0].message}", err=True)
        return None
    return planned_for(spec, known, document, cluster)


def planned_for(spec: PretrainSpec, known: Known, document: Document, cluster: ClusterSpec) -> Plan:
    """Plan a pretraining job for a cluster, with what it takes of that.

    Raises:
        SpecError: it cannot be done, or does not fit.
    """
    from gfmp.plan.capacity import capacity, machine_of
    from gfmp.plan.resolve import resolve

    machine = machine_of(cluster)
    if machine is not None:  # what was measured here says nothing about other machines
        known = replace(known, machine=machine, calibrations=())
    plan = resolve(spec, known, document.where)
    return replace(plan, derived=(*plan.derived, *capacity(plan, cluster)))


def render(spec: JobSpec, document: Document, asked: Asked, kind: str) -> None:
    """Print what another program needs to start the cluster of a job.

    Raises:
        UsageError: nobody names a cluster.
        SpecError: its spec lacks something, or the job does not fit it.
    """
    from gfmp.cluster.manifests.choice import RENDERERS
    from gfmp.cluster.manifests.order import Order, nodes_of
    from gfmp.cluster.parcel import project_of
    from gfmp.cluster.place import chosen

    cluster = chosen(asked.cluster, spec.cluster, document.path)
    if cluster is None:
        raise UsageError(
            f"--render {kind} needs a cluster",
            why="what is rendered comes from its spec",
            fix=f"gfmp submit {document.path} --cluster NAME --render {kind}",
        )
    nodes = nodes_of(_planned(spec, document, cluster, asked.workspace))
    project = project_of(document.path)
    order = Order(run_name(spec), project, cluster, asked.arguments, nodes)
    click.echo(RENDERERS[kind](order), nl=False)


@dataclass(frozen=True)
class Remote:
    """A run on a cluster.

    Attributes:
        wanted: Its name, or its submission id.
        connection: How the cluster is reached.
    """

    wanted: str
    connection: JobsConnection


def found_remote(run: str, cluster: str, workspace: Workspace) -> Remote | None:
    """Return the run when `cluster` or a record of this workspace says that it is on a cluster.

    Raises:
        GfmpError: the cluster's spec cannot be read.
    """
    from gfmp.cluster.place import find_cluster
    from gfmp.ledger.submitted import recall
    from gfmp.spec.cluster import JobsConnection

    if cluster:
        connection = find_cluster(cluster, Path.cwd()).connection
        return Remote(run, connection) if isinstance(connection, JobsConnection) else None
    known = recall(workspace, run)
    return Remote(known.id, known.connection) if known else None


def show_remote_logs(remote: Remote, lines: int, follow: bool) -> None:
    """Print what a driver printed, and go on with it on request.

    Raises:
        TrainingError: it was followed to its end and failed.
        GfmpError: see `cluster.jobs`.
    """
    from gfmp.cluster.jobs import JobsClient

    client = JobsClient(remote.connection)
    job = client.find(remote.wanted)
    if not follow:
        for line in client.logs(job.id).splitlines()[-lines:]:
            echo(line)
        return
    for piece in client.follow(job.id):
        click.echo(piece, nl=False)
    _ended(client.find(job.id))


def _ended(job: JobState) -> None:
    if job.status == "FAILED":
        raise TrainingError(
            f"job {job.id} failed"
            + (f" with status {job.exit_status}" if job.exit_status is not None else ""),
            why=next(iter(job.message.splitlines()), "the cluster gives no reason"),
            fix="its own words are above; `gfmp submit --resume RUN --cluster NAME` goes on",
        )
    echo(f"job {job.id}: {job.status}")


def show_remote_status(remote: Remote, as_json: bool) -> None:
    """Print what the cluster says of a run.

    Raises:
        GfmpError: see `cluster.jobs`.
    """
    from gfmp.cluster.jobs import JobsClient

    job = JobsClient(remote.connection).find(remote.wanted)
    fields = {
        "name": job.name,
        "job": job.id,
        "cluster": remote.connection.address,
        "status": job.status.lower(),
        "exit_status": job.exit_status,
        "started": _when(job.started_seconds),
        "ended": _when(job.ended_seconds),
        "message": next(iter(job.message.splitlines()), ""),
        "workspace": remote.connection.workspace,
    }
    if as_json:
        show_json(fields)
        return
    for name, value in fields.items():
        if value not in (None, ""):
            echo(f"{name}: {value}")


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds)) if seconds else ""


def stop_remote(remote: Remote) -> None:
    """Stop a run on its cluster and wait until it has ended.

    Raises:
        UsageError: it is over.
        GfmpError: see `cluster.jobs`.
    """
    from gfmp.cluster.jobs import JobsClient

    client = JobsClient(remote.connection)
    job = client.find(remote.wanted)
    if job.over:
        raise UsageError(
            f"job {job.id} is {job.status.lower()}, not running",
            where=remote.connection.address,
            why="only a job that runs can be stopped",
            fix=f"gfmp runs status {remote.wanted}",
        )
    seconds = remote.connection.stop_seconds
    echo(f"job {job.id} commits and ends; after {seconds} s it is killed.")
    echo(f"job {job.id}: {client.stop(job.id).status.lower()}")
