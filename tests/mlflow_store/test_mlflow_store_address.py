"""The tracking store is checked before anything starts."""

from __future__ import annotations

import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gfmp.errors import ServiceError
from gfmp.mlflow_store import address
from gfmp.mlflow_store.address import VARIABLE, is_server, preflight, tracking_uri
from gfmp.storage.workspace import Workspace

SOURCE = Path(__file__).parents[2] / "platform"


class Forbidding(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(200 if self.path == "/good/health" else 403)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's name
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forbidding) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_the_store_is_in_the_workspace_unless_the_variable_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path)
    assert tracking_uri(workspace) == f"sqlite:///{tmp_path}/mlflow.db"
    assert tracking_uri(workspace).startswith("sqlite:////")
    monkeypatch.setenv(VARIABLE, "https://mlflow.example.org")
    assert tracking_uri(workspace) == "https://mlflow.example.org"


@pytest.mark.parametrize("uri", ["sqlite:////tmp/x.db", "postgresql+psycopg2://u:p@host/db"])
def test_a_database_needs_no_server(uri: str) -> None:
    preflight(uri)
    assert not is_server(uri)


def test_a_server_that_answers_is_enough(server: str) -> None:
    preflight(f"{server}/good/")
    assert is_server(server)


def test_a_server_that_refuses_this_name_says_so(server: str) -> None:
    with pytest.raises(ServiceError, match="403") as caught:
        preflight(server)
    assert "--allowed-hosts" in caught.value.problems[0].why


def test_a_dead_port_is_refused_at_once_with_the_variable_named() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ServiceError) as caught:
            preflight(f"http://me:s3cret@127.0.0.1:{bound.getsockname()[1]}")
    problem = caught.value.problems[0]
    assert caught.value.exit_status == 69
    assert f"unset {VARIABLE}" in problem.fix
    assert "s3cret" not in repr(problem)


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address.TIMEOUT_SECONDS == 5.0
    monkeypatch.setattr(address, "TIMEOUT_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(ServiceError, match="timed out"):
            preflight(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - began < 4.0


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "databricks", "http://"])
def test_other_addresses_are_refused(uri: str) -> None:
    with pytest.raises(ServiceError):
        preflight(uri)


def test_importing_the_room_loads_neither_mlflow_nor_matplotlib() -> None:
    code = (
        "import sys, gfmp.mlflow_store.mirror, gfmp.mlflow_store.server, gfmp.ledger.store;"
        "sys.exit(', '.join({'mlflow', 'matplotlib', 'pandas', 'torch'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr
