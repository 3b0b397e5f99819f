"""Jobs on a cluster, through Ray's own client of its Jobs API."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfmp.cluster.reach import checked, headers, silent
from gfmp.errors import ExistsError, GfmpError, MissingInputError
from gfmp.spec.cluster import JobsConnection

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

# An upload of the packages, or a long log, over a slow line.
_REQUEST_SECONDS = 60.0
_POLL_SECONDS = 1.0
_TERMINAL = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
# Key of a job's metadata: the name of gfmp's run.
NAME_KEY = "gfmp_name"


@dataclass(frozen=True)
class RemoteJob:
    """A job as it is handed to a cluster.

    Attributes:
        id: Submission id, which no other job of the cluster may have.
        name: Name of the run.
        entrypoint: Shell command of the driver.
        environment: Variables of the driver and its workers.
        project: Folder that becomes the driver's working folder.
        modules: Python packages that travel.
    """

    id: str
    name: str
    entrypoint: str
    environment: Mapping[str, str]
    project: Path
    modules: tuple[Path, ...]


@dataclass(frozen=True)
class JobState:
    """What a cluster says of a job.

    Attributes:
        id: Its submission id.
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        name: Name of gfmp's run; empty for jobs of others.
        message: The cluster's last words on it.
        exit_status: Of the driver; None while it runs, or when it was killed.
        started_seconds: Unix time; 0 when not known.
        ended_seconds: Unix time; 0 before the end.
    """

    id: str
    status: str
    name: str
    message: str
    exit_status: int | None
    started_seconds: float
    ended_seconds: float

    @property
    def over(self) -> bool:
        """True when nothing more will happen to it."""
        return self.status in _TERMINAL


class JobsClient:
    """The jobs of one cluster; no call but `follow` takes longer than about a minute."""

    def __init__(self, connection: JobsConnection) -> None:
        """Check the cluster, then open Ray's client.

        Raises:
            GfmpError: see `reach.checked`.
        """
        self.connection = connection
        token = checked(connection)
        with self._told():
            self._client = _open(connection, token)

    def submit(self, job: RemoteJob) -> None:
        """Hand over a job, which the cluster then runs whatever becomes of this process.

        Raises:
            ExistsError: the cluster has a job of this id, finished or not.
            ServiceError: the cluster refuses it, or is gone.
        """
        wanted: dict[str, Any] = {
            "working_dir": str(job.project),
            "py_modules": [str(path) for path in job.modules],
            "env_vars": dict(job.environment),
        }
        try:
            with self._told():
                self._client.submit_job(
                    entrypoint=job.entrypoint,
                    submission_id=job.id,
                    runtime_env=wanted,
                    metadata={NAME_KEY: job.name},
                )
        except GfmpError as fault:
            if "already exists" in str(fault.__cause__):
                raise already_there(job.name, job.id) from fault
            raise

    def states(self) -> tuple[JobState, ...]:
        """Return the jobs that were submitted to the cluster since it started, oldest first.

        Raises:
            ServiceError: the cluster is gone.
        """
        with self._told():
            found = [_state(job) for job in self._client.list_jobs() if job.submission_id]
        return tuple(sorted(found, key=lambda state: (state.started_seconds, state.id)))

    def find(self, wanted: str) -> JobState:
        """Return the newest job of this run name, or the one with this submission id.

        Raises:
            MissingInputError: there is none; names those that are there.
            ServiceError: the cluster is gone.
        """
        states = self.states()
        found = [state for state in states if wanted in (state.id, state.name)]
        if found:
            return found[-1]
        names = ", ".join(sorted({state.name for state in states if state.name})) or "none"
        raise MissingInputError(
            f"the cluster has no job of a run {wanted!r}",
            where=self.connection.address,
            why=f"runs it knows: {names}; a cluster forgets them when its head starts anew",
            fix="what a run wrote stays in the workspace on the cluster's storage",
        )

    def logs(self, job_id: str) -> str:
        """Return what the driver of a job printed so far.

        Raises:
            ServiceError: the cluster is gone, or forgot the job.
        """
        with self._told():
            return str(self._client.get_job_logs(job_id))

    def follow(self, job_id: str) -> Iterator[str]:
        """Yield what the driver of a job prints, from its start until it ends.

        Raises:
            ServiceError: the cluster goes away meanwhile.
        """
        with self._told(), asyncio.Runner() as runner:
            pieces = self._client.tail_job_logs(job_id)
            while (piece := runner.run(_next(pieces))) is not None:
                yield piece

    def stop(self, job_id: str) -> JobState:
        """Tell a job to end, and wait until it has; returns how it ended.

        Its driver gets SIGTERM, on which a run commits; the cluster kills what is left of it
        after `stop_seconds`.

        Raises:
            ServiceError: the cluster is gone, or the job does not end.
        """
        limit = self.connection.stop_seconds + _REQUEST_SECONDS
        with self._told():
            self._client.stop_job(job_id)
            until = time.monotonic() + limit
            while not (state := _state(self._client.get_job_info(job_id))).over:
                if time.monotonic() > until:
                    raise silent(self.connection, f"job {job_id} did not end in {limit:g} s")
                time.sleep(_POLL_SECONDS)
        return state

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Tell faults of Ray's client in gfmp's words.

        Raises:
            ServiceError: the block failed; says why.
        """
        try:
            yield
        except GfmpError:
            raise
        except Exception as fault:
            # Ray raises RuntimeError around the server's whole answer, or what its HTTP library
            # raised; of a trace the last line is the cause.
            lines = [line.strip() for line in str(fault).splitlines() if line.strip(" .")]
            raise silent(self.connection, (lines or [type(fault).__name__])[-1][:300]) from fault


async def _next(pieces: AsyncIterator[str]) -> str | None:
    return await anext(pieces, None)


def already_there(name: str, job_id: str) -> ExistsError:
    """Return the error for a run name that was submitted before."""
    return ExistsError(
        f"run exists: {name} was submitted to this cluster before",
        where=job_id,
        why="two drivers of one run would only repeat each other",
        fix=f"`gfmp runs status {name}` says how it is; `gfmp submit --resume RUN` goes on with it,"
        " `gfmp submit JOB --new` begins another",
    )


def _open(connection: JobsConnection, token: str) -> JobSubmissionClient:
    from ray.job_submission import JobSubmissionClient

    class _Client(JobSubmissionClient):
        """Ray's client, whose requests would wait for ever."""

        def _do_request(self, method: str, endpoint: str, **given: Any) -> Any:  # noqa: ANN401
            return super()._do_request(method, endpoint, timeout=_REQUEST_SECONDS, **given)

    verify: str | bool = True
    if connection.ca_path:
        verify = str(Path(connection.ca_path).expanduser())
    return _Client(connection.address, headers=headers(token), verify=verify)


def _state(job: JobDetails) -> JobState:
    code = job.driver_exit_code
    return JobState(
        id=str(job.submission_id),
        status=str(job.status.value),
        name=str((job.metadata or {}).get(NAME_KEY, "")),
        message=str(job.message or ""),
        exit_status=None if code is None else int(code),
        started_seconds=(job.start_time or 0) / 1000.0,
        ended_seconds=(job.end_time or 0) / 1000.0,
    )
