"""Runs with a real ledger and a real MLflow store of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.mlflow_store.address import VARIABLE
from gfmp.mlflow_store.client import connect, prepare
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

NUM_STEPS = 12
PLAN = {
    "format_version": 1,
    "name": "demo",
    "what": {"steps": NUM_STEPS, "corpus": "ab" * 32, "feed": {"weights": [0.5, 0.5]}},
    "where": {"workers": 2, "device": None},
    "derived": [{"name": "batch_tokens", "value": 4096, "unit": "tokens", "reason": "8 x 512"}],
    "to_build": [],
}
Compute = Callable[[Run, Iterable[int], int], None]


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as `prepare` makes it, copied because its migrations take a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE, raising=False)
        workspace = Workspace(tmp_path_factory.mktemp("template"))
        prepare(workspace)
    return workspace.mlflow_database


@pytest.fixture
def workspace(tmp_path: Path, empty_database: Path) -> Workspace:
    workspace = Workspace(tmp_path / "workspace")
    workspace.root.mkdir()
    shutil.copy(empty_database, workspace.mlflow_database)
    return workspace


@pytest.fixture
def run(workspace: Workspace) -> Run:
    spec = b"kind: pretrain\nname: demo\ncorpus: specs/corpora/demo.yaml\n"
    command = ("gfmp", "submit", "demo.yaml")
    return RunStore(workspace).create(
        NewRun("demo", "pretrain", 7, "3f9a" + "0" * 60, spec, PLAN, command)
    )


@pytest.fixture
def compute() -> Compute:
    return compute_steps


def compute_steps(run: Run, steps: Iterable[int], resumed_at: int) -> None:
    """Write what rank 0 writes for `steps`; `resumed_at` 0 means that nothing was loaded."""
    with run.open_writer("rank0") as rank0:
        if resumed_at:
            rank0.append("resumed", {"step": resumed_at})
        for step in steps:
            fields = {"loss": 9.0 / step, "loss/kmer6": 9.5 / step, "tokens_per_second": 1e4}
            more = {"learning_rate": 1e-3 / step, "order_hash": f"{step:016x}"}
            rank0.append("step", {"step": step, **fields, **more})
            if step % 4 == 0:
                rank0.append("evaluation", {"step": step, "heldout/kmer6/loss": 10.0 / step})
                saved = {"path": f"checkpoints/step-{step}", "bytes": 10, "seconds": 0.1}
                rank0.append("checkpoint", {"step": step, **saved})


@pytest.fixture
def client(workspace: Workspace) -> MlflowClient:
    return connect(f"sqlite:///{workspace.mlflow_database}")
