"""The mirror beside a run: it ends when it must, and says what is missing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gfmp.cluster import mirror
from gfmp.cluster.mirror import mirrored
from gfmp.errors import InterruptedRunError
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.mlflow_store.address import VARIABLE
from gfmp.storage.workspace import Workspace

PLAN = {"format_version": 1, "name": "demo", "what": {"steps": 4}, "derived": [], "to_build": []}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def run(workspace: Workspace) -> Run:
    spec = b"kind: pretrain\nname: demo\ncorpus: demo\n"
    new = NewRun("demo", "pretrain", 7, "3f9a" + "0" * 60, spec, PLAN, ("gfmp", "submit"))
    return RunStore(workspace).create(new)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def steps(run: Run) -> None:
    """Write what a short training writes."""
    with run.open_writer("driver") as driver, run.open_writer("rank0") as rank0:
        driver.append("started", {"segment": 0})
        for step in range(1, 5):
            rank0.append("step", {"step": step, "loss": 1.0 / step})
        driver.append("finished", {"step": 4, "seconds": 1.0})


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "mlflow-mirror" and not t.daemon]


def test_a_silent_server_holds_nobody_up(
    run: Run, workspace: Workspace, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, silent_server)
    said: list[str] = []
    with mirrored(run, workspace, said.append, grace_seconds=1.0):
        steps(run)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert threads() == [], "what is left cannot keep the process alive"
    (line,) = said
    assert line.startswith("MLflow is behind") and f"gfmp runs sync {run.id}" in line


def test_a_stop_waits_less(
    run: Run, workspace: Workspace, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, silent_server)
    monkeypatch.setattr(mirror, "STOPPED_SECONDS", 0.5)
    said: list[str] = []
    with pytest.raises(InterruptedRunError), mirrored(run, workspace, said.append):
        began = time.monotonic()
        raise InterruptedRunError("stopped")
    assert time.monotonic() - began < 10 < mirror.GRACE_SECONDS
    assert "did not answer for 0.5 s" in said[0]


def test_a_server_that_refuses_is_told_with_the_remedy(
    run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{free.getsockname()[1]}")
    said: list[str] = []
    with mirrored(run, workspace, said.append):
        steps(run)
    assert "does not answer" in said[0] and "nothing is lost" in said[0]


def test_a_store_that_answers_has_everything_at_the_end(
    run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    said: list[str] = []
    with mirrored(run, workspace, said.append, grace_seconds=240):
        steps(run)
    assert said == []
    from gfmp.mlflow_store.client import Tracked, connect

    client = connect(f"sqlite:///{workspace.mlflow_database}")
    tracked = Tracked.find(client, "demo", run.id)
    assert tracked is not None and tracked.status == "FINISHED"
    history = client.get_metric_history(tracked.id, "loss")
    assert [(m.step, m.value) for m in history] == [(s, 1.0 / s) for s in range(1, 5)]
