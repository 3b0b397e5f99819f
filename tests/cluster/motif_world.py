"""A workspace with a fine-tuned model whose rows have a planted motif; made without Ray."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from gfmp.learners.encoder_trial import EncoderTrial
from gfmp.learners.initial import scratch
from gfmp.learners.tokens import TaskTokens
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import Finetuning
from gfmp.spec.model import Architecture
from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import find_task
from gfmp.tasks.store import TaskStore
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry

PLANTED = "GATTACAGGC"
ROW_BP = 60
NAME = "planted"
SMALL = Architecture(layers=1, width=32, heads=2, intermediate=48)


def write_task(folder: Path) -> Path:
    """Write rows of which every second has the motif, in the layout of GUE; return the folder."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(3)
    for split, number in (("train", 600), ("dev", 100), ("test", 240)):
        lines = ["sequence,label"]
        for row in range(number):
            letters = "".join(generator.choice(list("ACGT"), ROW_BP))
            start = int(generator.integers(0, ROW_BP - len(PLANTED)))
            if row % 2:
                letters = letters[:start] + PLANTED + letters[start + len(PLANTED) :]
            lines.append(f"{letters},{row % 2}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return folder


def make_world(root: Path) -> Workspace:
    """Prepare the task, fine-tune on it and record the run as `gfmp submit` would."""
    workspace = Workspace.at(str(root / "workspace"))
    task = TaskStore(workspace).prepare(find_task(str(write_task(root / NAME)), root))
    settings = {"k": 4, "stride_bp": 1, "mask_span_tokens": 8}
    families = FamilyRegistry.discover()
    words = families.get("kmer").build(Recipe("kmer4", "kmer", settings), ())
    initial = scratch(SMALL, words)
    tokens = TaskTokens.encode(task, families.tokenizer(words))
    learner = Finetuning.model_validate(
        {"kind": "finetune", "learning_rate": 3e-3, "epochs": 6, "patience": 6, "attempts": 1}
    )
    cell = Cell(
        Ingredient(task.name, task.fingerprint),
        Ingredient(words.name, words.fingerprint),
        Ingredient(initial.name, initial.fingerprint),
        learner,
        100.0,
        0,
        "s" * 64,
        len(task.train),
    )
    run = record(workspace, "finetune", NAME, cell)
    trial = EncoderTrial(task, (tokens,), initial, device="cpu", models=run.path / "models")
    result = trial.run(cell, np.arange(len(task.train), dtype=np.int64))
    assert result.metrics[f"test/{task.metric}"] > 0.9, "the model tells the rows apart"
    return workspace


def record(workspace: Workspace, kind: str, name: str, *cells: Cell) -> Run:
    """Record a finished run of some cells."""
    plan = {"format_version": 1, "cells": [cell.to_json() for cell in cells]}
    new = NewRun(name, kind, 0, "f" * 64, b"kind: made\n", plan, ("gfmp",))
    run = RunStore(workspace).create(new)
    with run.open_writer("driver") as ledger:
        ledger.append("started", {"segment": 0})
        ledger.append("finished", {"seconds": 1.0})
    return run


def copied(workspace: Workspace, root: Path) -> Workspace:
    """Return a workspace of its own with the same content."""
    shutil.copytree(workspace.root, root / "workspace")
    return Workspace.at(str(root / "workspace"))
