"""A job handed to a cluster: its driver runs there, and this process may end."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime

from gfmp.cluster.jobs import JobsClient, RemoteJob, already_there
from gfmp.cluster.parcel import Parcel, Project, packed
from gfmp.cluster.ray_token import CONSENT_VARIABLE
from gfmp.ledger.submitted import Submitted, remember
from gfmp.spec.cluster import JobsConnection
from gfmp.storage.owners import JOB_VARIABLE
from gfmp.storage.workspace import ENVIRONMENT_VARIABLE, Workspace

# Read by Ray's supervisor of the job: seconds between SIGTERM and SIGKILL.
_STOP_VARIABLE = "RAY_JOB_STOP_WAIT_TIME_S"
# Read by Ray Train: it gives up after a minute, in which no cloud starts a node.
START_VARIABLE = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"


@dataclass(frozen=True)
class Handover:
    """A command that runs on a cluster instead of here.

    Attributes:
        verb: `submit` or `sweep`.
        name: Name of the run.
        kind: Kind of the job.
        project: The job and its specs; no job where a run is resumed, which has its own record.
        arguments: What follows the job on the command line there.
        again: Another job of this name may be there.
    """

    verb: str
    name: str
    kind: str
    project: Project
    arguments: tuple[str, ...]
    again: bool = False


def hand_over(wanted: Handover, connection: JobsConnection, workspace: Workspace) -> Submitted:
    """Give a cluster what it needs to run a command, and record that in the workspace.

    Raises:
        ExistsError: the name was submitted before, and `again` is not set.
        RefusedError: a token is missing, refused, or would travel unencrypted.
        ServiceError: the cluster does not answer or does not take the job.
        MissingInputError: gfmp is not installed here.
        StorageError: the disk refused.
    """
    client = JobsClient(connection)
    now = datetime.now(UTC)
    job_id = submission_id(wanted, now)
    if any(state.id == job_id for state in client.states()):
        raise already_there(wanted.name, job_id)
    with packed(wanted.project) as parcel:
        client.submit(_job(wanted, job_id, connection, parcel))
    done = Submitted(job_id, wanted.name, wanted.kind, now.isoformat(), connection)
    remember(workspace, done)
    return done


def submission_id(wanted: Handover, now: datetime) -> str:
    """Return the id under which a cluster knows the job; the cluster refuses a second of one id."""
    plain = f"gfmp-{wanted.name}"
    return f"{plain}-{now:%Y%m%d-%H%M%S}" if wanted.again else plain


def entrypoint(wanted: Handover, connection: JobsConnection) -> str:
    """Return the shell command that the cluster runs.

    The consent that a person gave for the address of the Jobs API counts for the driver, which
    joins the same cluster under its inner address; only there is that known.
    """
    job = (wanted.project.job,) if wanted.project.job else ()
    words = (connection.python, "-P", "-m", "gfmp", wanted.verb, *job, *wanted.arguments)
    command = shlex.join((*words, "--workspace", connection.workspace))
    if os.environ.get(CONSENT_VARIABLE) == connection.address:
        return f'{CONSENT_VARIABLE}="$RAY_ADDRESS" {command}'
    return command


def _job(wanted: Handover, job_id: str, connection: JobsConnection, parcel: Parcel) -> RemoteJob:
    environment = {
        START_VARIABLE: str(connection.start_seconds),
        **connection.environment,
        JOB_VARIABLE: job_id,
        ENVIRONMENT_VARIABLE: connection.workspace,
        _STOP_VARIABLE: str(connection.stop_seconds),
    }
    return RemoteJob(
        id=job_id,
        name=wanted.name,
        entrypoint=entrypoint(wanted, connection),
        environment=environment,
        project=parcel.project,
        modules=parcel.modules,
    )
