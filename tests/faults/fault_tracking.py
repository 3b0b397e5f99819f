"""A real MLflow server for tests, which can be killed and comes back at the same address."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from fault_project import Command, Project, wait_until

if TYPE_CHECKING:
    from mlflow import MlflowClient

START_SECONDS = 400.0


@dataclass
class Tracker:
    """An MLflow server of its own store.

    Attributes:
        project: Whose mark its processes carry.
        folder: Where its store is.
        port: Where it listens on 127.0.0.1.
    """

    project: Project
    folder: Path
    port: int
    started: list[Command] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return when it answers."""
        self.folder.mkdir(exist_ok=True)
        store = f"sqlite:///{self.folder / 'mlflow.db'}"
        words = [
            "--backend-store-uri",
            store,
            "--default-artifact-root",
            str(self.folder / "files"),
        ]
        words += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_TRACKING_URI": ""}
        server = [sys.executable, "-m", "mlflow", "server", *words]
        command = self.project.start_program(server, quiet)
        self.started.append(command)
        wait_until(self.answers, command, START_SECONDS)

    def answers(self) -> bool:
        """Return True when it does."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2):
            return True
        return False

    def kill(self) -> None:
        """Kill it with all its workers, as a crash does."""
        command = self.started[-1]
        leader = psutil.Process(command.pid)
        for process in (*leader.children(recursive=True), leader):
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(process.pid, signal.SIGKILL)
        command.process.wait()
        while self.answers():
            time.sleep(0.05)

    def client(self) -> MlflowClient:
        """Return a client of the running server."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.url)


def points(client: MlflowClient, experiment: str, name: str) -> dict[int, float]:
    """Return one metric of the only run of an experiment, by step."""
    found = client.get_experiment_by_name(experiment)
    assert found is not None, experiment
    (run,) = client.search_runs([found.experiment_id])
    return {m.step: m.value for m in client.get_metric_history(run.info.run_id, name)}
