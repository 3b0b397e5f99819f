"""A real cluster on loopback, closed by a token, takes a job, runs its driver and stops it.

What stands in for a cluster elsewhere in this room is Ray itself here.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from click.testing import CliRunner
from cluster_world import make_world

from gfmp.cli.main import gfmp
from gfmp.cluster.jobs import JobsClient
from gfmp.errors import ExistsError, GfmpError, RefusedError
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.ledger.submission import job_of
from gfmp.spec.cluster import JobsConnection
from gfmp.storage.owners import JOB_VARIABLE
from gfmp.storage.workspace import Workspace

pytestmark = pytest.mark.long
RAY = Path(sys.executable).with_name("ray")
START_SECONDS = 120.0
RUN_SECONDS = 300.0


@dataclass(frozen=True)
class There:
    """A cluster and the project that is submitted to it.

    Attributes:
        project: Folder of the job and its specs.
        spec: The file that says how the cluster is reached.
        connection: The same, read.
    """

    project: Path
    spec: Path
    connection: JobsConnection

    @property
    def workspace(self) -> Workspace:
        """Where runs are written on the cluster, which is this machine."""
        return Workspace(Path(self.connection.workspace))

    def give(self, *words: str, workspace: Path | None = None) -> str:
        """Give a command; returns what it prints, raises what it raises."""
        here = ("--workspace", str(workspace or self.project / "laptop"))
        done = CliRunner().invoke(gfmp, [*words, *here])
        if isinstance(done.exception, GfmpError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    def run(self, name: str) -> Run:
        """Return the run of this name once there is one."""
        store = RunStore(self.workspace)
        until = time.monotonic() + RUN_SECONDS
        while not (found := [run for run in store.list() if run.header.name == name]):
            assert time.monotonic() < until, "no run was created"
            time.sleep(0.5)
        return found[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    """Start a head with a token and its dashboard on loopback; nothing of it stays."""
    project = make_world(tmp_path_factory.mktemp("jobs")).folder
    # Data does not travel: what the corpus is read from has one path everywhere.
    corpus = project / "specs" / "corpora" / "small.yaml"
    text = corpus.read_text()
    corpus.write_text(text.replace("files: [{path: ", f"files: [{{path: {corpus.parent}/"))
    token = secrets.token_hex(16)
    port = _free_port()
    environment = {
        **os.environ,
        **{"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0"},
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    environment.pop("RAY_ADDRESS", None)
    words = ["start", "--head", "--block", "--node-ip-address=127.0.0.1", "--num-cpus=4"]
    words += [f"--port={_free_port()}", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"]
    folder = tmp_path_factory.mktemp("r")
    head = subprocess.Popen(
        [RAY, *words, "--disable-usage-stats"],
        env=environment,
        stdout=(folder / "out").open("wb"),
        stderr=subprocess.STDOUT,
    )
    spec = project / "there.yaml"
    reached = {
        **{"kind": "jobs_api", "address": f"http://127.0.0.1:{port}"},
        **{"workspace": str(project / "shared"), "python": sys.executable},
    }
    spec.write_text(yaml.dump({"kind": "cluster", "name": "there", "connection": reached}))
    made = There(project, spec, JobsConnection.model_validate(reached))
    family = [psutil.Process(head.pid)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", token)
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.delenv(JOB_VARIABLE, raising=False)
        patch.chdir(project)
        try:
            _wait(made.connection, folder / "out")
            family += psutil.Process(head.pid).children(recursive=True)
            yield made
        finally:
            head.terminate()
            _, alive = psutil.wait_procs(family, timeout=30)
            for process in alive:
                process.kill()


def _wait(connection: JobsConnection, output: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            JobsClient(connection).states()
            return
        except GfmpError:
            assert time.monotonic() < until, output.read_text()
            time.sleep(1)


def test_a_strange_token_is_refused_by_ray_itself(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "not-the-token-of-this-cluster")
    with pytest.raises(RefusedError, match="does not take the token"):
        there.give("runs", "status", "tiny", "--cluster", str(there.spec))


def test_a_job_goes_there_and_back(there: There) -> None:
    there.give("submit", "job.yaml", "--cluster", str(there.spec))
    with pytest.raises(ExistsError, match="submitted to this cluster before"):
        there.give("submit", "job.yaml", "--cluster", str(there.spec))
    said = there.give("runs", "logs", "-f", "tiny")  # until the job ends
    run = there.run("tiny")
    assert run.status() is Status.FINISHED and run.last_step() == 10
    assert f"run {run.id} finished" in said and "job gfmp-tiny: SUCCEEDED" in said
    assert job_of(run.path) == "gfmp-tiny"
    elsewhere = there.project / "nowhere"
    words = ("runs", "status", "tiny", "--cluster", str(there.spec), "--json")
    status = json.loads(there.give(*words, workspace=elsewhere))
    assert (status["status"], status["exit_status"]) == ("succeeded", 0)
    assert there.give("runs", "logs", "tiny").splitlines()
    assert len(JobsClient(there.connection).states()) == 1


def test_a_run_that_is_stopped_commits_leaves_no_process_and_goes_on(there: There) -> None:
    long = ("--set", "name=long", "--set", "steps=100000", "--set", "checkpoint.every_steps=50000")
    there.give("submit", "job.yaml", "--cluster", str(there.spec), *long)
    run = there.run("long")
    _until_step(run, 3)
    assert "stopped" in there.give("runs", "stop", "long")
    assert run.status() is Status.INTERRUPTED
    committed = run.committed_step()
    assert committed >= 3 and run.lifecycle()[-1].fields["signal"] == "SIGTERM"
    assert not _drivers("gfmp-long")
    there.give("submit", "--resume", run.id, "--cluster", str(there.spec))
    _until_step(run, committed + 1)
    resumed = [event.fields["step"] for event in run.events("resumed")]
    assert resumed == [committed]
    there.give("runs", "stop", run.id)
    assert run.status() is Status.INTERRUPTED and run.committed_step() > committed


def _until_step(run: Run, step: int) -> None:
    until = time.monotonic() + RUN_SECONDS
    while run.last_step() < step:
        assert time.monotonic() < until, f"step {run.last_step()} of {step}"
        time.sleep(0.5)


def _drivers(job: str) -> list[int]:
    """Return the processes of gfmp that carry this job's id: its driver and the parent of that."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            carries = process.environ().get(JOB_VARIABLE) == job
            if carries and "gfmp" in process.cmdline() and process.status() != "zombie":
                found.append(process.pid)
        except psutil.Error:
            continue  # gone meanwhile, or another user's
    return found
