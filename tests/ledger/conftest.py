"""A workspace, a plan and a run as the platform makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.storage.workspace import Workspace

WHAT = "3f9a" + "0" * 60


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def new_run() -> NewRun:
    return NewRun(
        name="demo",
        kind="pretrain",
        seed=7,
        what_fingerprint=WHAT,
        spec=b"kind: pretrain\r\nname: demo  # kept byte for byte\n",
        plan={"format_version": 1, "name": "demo", "what": {"steps": 20}},
        command_line=("gfmp", "submit", "jobs/pretrain.yaml"),
    )


@pytest.fixture
def run(workspace: Workspace, new_run: NewRun) -> Run:
    return RunStore(workspace).create(new_run)
