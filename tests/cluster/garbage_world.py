"""Workspaces made by the stores themselves: runs in every state, what they need, what is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gfmp.ledger.cells import CellResult, CellStore
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import Probe
from gfmp.storage.atomic import atomic_write, write_json
from gfmp.storage.hashes import fingerprint
from gfmp.storage.workspace import Workspace
from gfmp.training.manifest import Cursor, Manifest, StoredFile, directory_name, write_manifest

ARCHITECTURE = {"layers": 1, "width": 16, "heads": 1, "intermediate": 16}
SCRATCH = Ingredient("scratch", fingerprint("scratch"))


def cell(task: str, seed: int = 0, initial: Ingredient = SCRATCH) -> Cell:
    """Return the cell of a probe."""
    named = Ingredient(task, fingerprint(task))
    words = Ingredient("kmer3", fingerprint("kmer3"))
    learner = Probe(kind="probe")
    return Cell(named, words, initial, learner, 100.0, seed, fingerprint([task, seed]), 10)


def finish(workspace: Workspace, *cells: Cell) -> None:
    """Give cells a result."""
    for one in cells:
        found = CellResult(one.fingerprint, {"test/mcc": 0.5}, {}, np.zeros((3, 2), np.float32))
        CellStore(workspace).put(found, one.to_json())


def task(workspace: Workspace, name: str) -> Path:
    """Put a prepared task there, as far as anybody looks who does not load it."""
    folder = workspace.tasks / name / fingerprint([name, "key"])
    write_json(folder / "manifest.json", {"fingerprint": fingerprint(name)})
    return folder


def corpus(workspace: Workspace, name: str) -> Path:
    """Put a corpus there, likewise."""
    folder = workspace.corpora / name / fingerprint(name)[:16]
    write_json(folder / "manifest.json", {"content_hash": fingerprint(name)})
    atomic_write(folder / "shards" / "train.parquet", b"x" * 50_000)
    return folder


def sweep(workspace: Workspace, cells: Sequence[Cell], pinned: Sequence[str] = ()) -> Run:
    """Create a sweep."""
    plan = {"format_version": 1, "name": "sweep", "cells": [one.to_json() for one in cells]}
    inputs = {"format_version": 1, "pretrained": {name: name for name in pinned}}
    return _create(workspace, "sweep", plan, inputs)


def pretraining(workspace: Workspace, content: str, parent: tuple[str, int] | None = None) -> Run:
    """Create a pretraining run on the corpus of a name."""
    where = {"checkpoint": {"every_steps": 1, "keep_last": 2, "keep_best": 1}}
    plan = {"format_version": 1, "name": "run", "what": {"corpus": fingerprint(content)}}
    inputs: dict[str, object] = {"format_version": 1, "ensemble": {"vocabularies": []}}
    if parent is not None:
        inputs["parent"] = {"run_id": parent[0], "step": parent[1]}
    return _create(workspace, "pretrain", {**plan, "where": where}, inputs)


def _create(
    workspace: Workspace, kind: str, plan: dict[str, object], inputs: dict[str, object]
) -> Run:
    new = NewRun(kind, kind, 0, fingerprint([plan, inputs]), b"kind: x\n", plan, ("gfmp",))
    return RunStore(workspace).create(
        new, lambda folder: write_json(folder / "inputs.json", inputs)
    )


def say(run: Run, *kinds: str) -> Run:
    """Let the driver of a run say something."""
    with run.open_writer("driver") as driver:
        for kind in kinds:
            driver.append(kind, {"segment": 0, "step": 0})
    return run


def checkpoint(run: Run, step: int, heldout_loss: float | None = None) -> Ingredient:
    """Commit a checkpoint and return the model that is in it."""
    folder = run.checkpoints_path / directory_name(step)
    weights = fingerprint([run.id, step])
    atomic_write(folder / "model.safetensors", weights.encode())
    manifest = Manifest(
        cursor=Cursor(step, fingerprint(step)),
        what_fingerprint=run.header.what_fingerprint,
        what={"architecture": ARCHITECTURE},
        ensemble_fingerprint=fingerprint("ensemble"),
        heldout_loss=heldout_loss,
        written_by={},
        files={"model.safetensors": StoredFile(64, weights)},
    )
    write_manifest(folder, manifest)
    identity = {
        "weights": weights,
        "ensemble": fingerprint("ensemble"),
        "architecture": ARCHITECTURE,
    }
    return Ingredient("run", fingerprint(identity))
