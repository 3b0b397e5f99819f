"""The database is made once; the pages are real; an outage costs no number."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gfmp.errors import ServiceError, UsageError
from gfmp.ledger.run import Run
from gfmp.mlflow_store import client as client_module
from gfmp.mlflow_store import mirror as mirror_module
from gfmp.mlflow_store import server as server_module
from gfmp.mlflow_store.address import VARIABLE
from gfmp.mlflow_store.client import connect, prepare, quiet_environment
from gfmp.mlflow_store.mirror import Mirror
from gfmp.mlflow_store.server import free_port, serve
from gfmp.storage.workspace import Workspace

Compute = Callable[[Run, Iterable[int], int], None]

SOURCE = Path(__file__).parents[2] / "platform"
PREPARE = """
import sys
from pathlib import Path
from gfmp.mlflow_store.client import prepare
from gfmp.storage.workspace import Workspace
prepare(Workspace(Path(sys.argv[1])), "demo")
"""


@pytest.mark.long
def test_processes_that_prepare_at_once_make_one_store(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE}
    command = [sys.executable, "-W", "ignore", "-c", PREPARE, str(tmp_path)]
    started = [
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [process.communicate(timeout=120)[0] for process in started] == ["", ""]
    assert [process.returncode for process in started] == [0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.lock"]
    client = connect(f"sqlite:///{tmp_path}/mlflow.db")
    names = [found.name for found in client.search_experiments()]
    assert sorted(names) == ["Default", "demo"]
    location = client.get_experiment_by_name("demo").artifact_location
    assert location == (tmp_path / "mlartifacts" / "demo").as_uri()


def test_a_store_is_published_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, data: bytes) -> None:
        assert data.startswith(b"SQLite format 3")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(client_module, "atomic_write", killed)
        prepare(Workspace(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.lock"]


def test_telemetry_is_off_and_what_a_person_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
    found = quiet_environment()
    assert found["DO_NOT_TRACK"] == found["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert found["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        assert free_port(wanted) != wanted
    assert free_port(wanted) == wanted
    assert 0 < free_port(99999) < 65536


def test_a_store_that_is_a_server_has_its_own_pages(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "https://me:s3cret@mlflow.example.org")
    with pytest.raises(UsageError) as caught:
        serve(workspace, 5000)
    assert "mlflow.example.org" in caught.value.problems[0].fix
    assert "s3cret" not in repr(caught.value.problems)


def test_a_server_that_dies_is_an_error_with_its_last_words(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(workspace)
    monkeypatch.setattr(server_module.sys, "executable", "/bin/false")
    with pytest.raises(ServiceError, match="did not start") as caught:
        serve(workspace, free_port(0))
    assert caught.value.problems[0].where.endswith("mlflow-ui.log")


@pytest.mark.long
def test_an_outage_of_a_real_server_costs_no_number(
    workspace: Workspace, run: Run, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server down at the start, up, down again, up: MLflow ends equal to the ledger."""
    monkeypatch.setattr(mirror_module, "INTERVAL_SECONDS", 0.2)
    monkeypatch.setattr(mirror_module, "MAX_INTERVAL_SECONDS", 0.5)
    port, stop = free_port(0), threading.Event()
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, f"http://127.0.0.1:{port}")
        mirror = Mirror(run, workspace)
    thread = threading.Thread(target=mirror.follow, args=(stop,), daemon=True)
    with run.own(), run.open_writer("driver") as driver:
        driver.append("started", {})
        thread.start()
        compute(run, range(1, 5), 0)
        _wait(lambda: "does not answer" in mirror.problem)
        first = serve(workspace, port)
        assert first.url == f"http://127.0.0.1:{port}"
        _wait(lambda: _steps(port) == [1, 2, 3, 4])
        first.stop()
        compute(run, range(5, 9), 4)
        _wait(lambda: mirror.problem != "")
        second = serve(workspace, port)
        try:
            _wait(lambda: _steps(port) == list(range(1, 9)))
            driver.append("finished", {"step": 8})
            stop.set()
            thread.join(60)
            assert mirror.problem == ""
            assert b"<title>MLflow</title>" in _page(second.url)
            (found,) = connect(second.url).search_runs(["1"])
            assert found.info.status == "FINISHED"
            figure = f"get-artifact?path=figures/overview.png&run_id={found.info.run_id}"
            assert _page(f"{second.url}/{figure}").startswith(b"\x89PNG")
        finally:
            second.stop()
    assert first.process.poll() is not None
    assert second.process.poll() is not None


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.2)


def _page(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def _steps(port: int) -> list[int]:
    client = connect(f"http://127.0.0.1:{port}")
    experiment = client.get_experiment_by_name("demo")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    points = client.get_metric_history(runs[0].info.run_id, "loss") if runs else []
    return [point.step for point in points]
