"""MLflow's own pages on this machine, for `gfmp ui`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import ServiceError, UsageError
from gfmp.ledger.provenance import redacted
from gfmp.mlflow_store.address import VARIABLE, is_server, tracking_uri
from gfmp.mlflow_store.client import prepare, quiet_environment
from gfmp.storage.atomic import storage_faults
from gfmp.storage.workspace import Workspace

HOST = "127.0.0.1"
START_SECONDS = 90.0
STOP_SECONDS = 10.0
_TAIL_LINES = 5


@dataclass(frozen=True)
class UiServer:
    """A running MLflow server.

    Attributes:
        url: Address to open in a browser on this machine.
        process: Leader of the process group of the server.
        log_path: Everything the server prints.
    """

    url: str
    process: subprocess.Popen[bytes]
    log_path: Path

    def stop(self) -> None:
        """End the server and its workers; safe to call when they are gone."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            os.killpg(self.process.pid, number)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue


def serve(workspace: Workspace, port: int) -> UiServer:
    """Start MLflow's server on 127.0.0.1 and return when it answers.

    Args:
        workspace: Whose runs are shown.
        port: Wanted port; another free one is taken when it is in use.

    Raises:
        UsageError: the tracking store already is a server with pages of its own.
        ServiceError: the server ends or stays silent.
    """
    uri = tracking_uri(workspace)
    if is_server(uri):
        raise UsageError(
            "the tracking store is a server and has its own pages",
            where=redacted(uri),
            why=f"{VARIABLE} names it",
            fix=f"open {redacted(uri)} in a browser, or unset {VARIABLE}",
        )
    prepare(workspace)
    chosen = free_port(port)
    log_path = workspace.root / "logs" / "mlflow-ui.log"
    with storage_faults(log_path):
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("wb") as log:
            process = _start(workspace, uri, chosen, log.fileno())
    server = UiServer(f"http://{HOST}:{chosen}", process, log_path)
    try:
        _await(server)
    except BaseException:
        server.stop()
        raise
    return server


def free_port(wanted: int) -> int:
    """Return `wanted` when nothing listens there on 127.0.0.1, else a free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError):
                continue
            return int(probe.getsockname()[1])
    raise ServiceError(
        f"no free port on {HOST}",
        why="the MLflow pages need one",
        fix="end a program that listens on this machine",
    )


def _start(workspace: Workspace, uri: str, port: int, output: int) -> subprocess.Popen[bytes]:
    arguments = {
        "--artifacts-destination": workspace.mlflow_artifacts.as_uri(),
        "--host": HOST,
        "--port": str(port),
        "--workers": "1",
    }
    # No job runner: gfmp uses none of the features that need one, and it costs processes.
    # The address may hold a password, which other users could read on a command line.
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_BACKEND_STORE_URI": uri}
    return subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *(w for p in arguments.items() for w in p)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=workspace.root,
        env=os.environ | quiet_environment() | own,
        start_new_session=True,
    )


def _await(server: UiServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=2.0):
                return
        except OSError:
            time.sleep(0.2)
    tail = server.log_path.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    raise ServiceError(
        f"the MLflow server did not start: {' / '.join(tail) or 'it said nothing'}",
        where=str(server.log_path),
        why=f"it answers within {START_SECONDS:g} seconds",
        fix="read the log; gfmp ui --port takes another port",
    )
