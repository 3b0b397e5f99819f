"""Runs that stopped half-way, made from a finished one, and what their checkpoints hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from fault_project import Prepared, Project
from safetensors.torch import load_file

from gfmp.training.manifest import verify


def unfinished(prepared: Prepared, project: Project) -> Path:
    """Copy the prepared run into `project` as it was when its driver was killed at the end."""
    run = project.runs / prepared.run.name
    shutil.copytree(prepared.run, run)
    (ledger,) = (run / "ledger").glob("*-driver.jsonl")
    lines = ledger.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["kind"] == "finished"
    ledger.write_bytes(b"".join(lines[:-1]))
    return run


def empty_folder(folder: Path) -> None:
    """Remove what is in a folder, not the folder."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def verify_all(run: Path) -> list[int]:
    """Verify every checkpoint of a run: its hashes, and that every number is finite.

    Returns:
        Their steps.
    """
    steps = []
    for path in sorted((run / "checkpoints").glob("step-*")):
        steps.append(verify(path).cursor.step)
        for file in path.glob("*.safetensors"):
            assert all(torch.isfinite(value).all() for value in load_file(file).values()), file
    return steps
