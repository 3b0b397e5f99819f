"""How long steps wait for a checkpoint: written beside the training, and before it goes on.

A tiny model's steps are no measure, so this is the model of 6 layers of width 256 with its AdamW
state. Rounds of both ways alternate: some steps, a commit, some steps; the share is what a commit
adds, at the default interval and at one of ten steps. What is written is compared byte for byte.

    python tests/benchmarks/checkpoint_pause.py
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from figure import Figure
from step_peers import NUM_ROWS, draw, word_rows

from gfmp.model.masked import build
from gfmp.plan.values import FeedSettings, Plan, What, Where
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Checkpointing, Evaluation, Masking, Optimiser
from gfmp.training.checkpoint import Identity, Store
from gfmp.training.commits import Commits
from gfmp.training.hardware import flushed_denormals, keep_freed_memory
from gfmp.training.manifest import Cursor, directory_name, verify
from gfmp.training.plain import PlainEngine
from gfmp.training.processes import Group
from gfmp.training.retention import prune
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe

SHAPE = Architecture(layers=6, width=256, heads=4, intermediate=1024)
GROUP = Group(0, 1, torch.device("cpu"))
GOAL_SHARE = 0.05
SHORT_INTERVAL = 10


def identity() -> Identity:
    """Return what the checkpoints belong to."""
    families = FamilyRegistry.from_packages(("tokenizer_registry",))
    recipe = find_recipe("kmer6", families, families.recipe_folders)
    ensemble = Ensemble.of([families.get(recipe.family).build(recipe, ())])
    what = What(
        corpus="0" * 64,
        ensemble=ensemble.fingerprint,
        vocabulary_rows=NUM_ROWS,
        architecture=SHAPE,
        feed=FeedSettings(0, (1.0,), 256, 512, 0.5, 16, Masking()),
        steps=1_000_000,
        optimiser=Optimiser(learning_rate=1e-4),
        precision="fp32",
        evaluation=Evaluation(),
    )
    where = Where(1, False, "ddp", 1, 1, 0, Checkpointing())
    return Identity(Plan("pause", what, where, (), ()), ensemble)


class Training:
    """A model that takes steps."""

    def __init__(self, num_sequences: int) -> None:
        model = build(SHAPE, NUM_ROWS, word_rows(), "fp32", 0)
        self.engine = PlainEngine(model, Optimiser(learning_rate=1e-4), GROUP)
        self._rng = np.random.default_rng()
        self._num_sequences = num_sequences

    def step(self) -> None:
        """Take a step on fresh sequences."""
        work = draw(self._rng, self._num_sequences, GROUP.device)
        self.engine.backward(work.tokens, 1.0 / work.tokens.counts[0])
        self.engine.step(1e-4)


@contextmanager
def scratch(folder: Path | None) -> Iterator[Path]:
    """Yield an empty folder and remove it in the end."""
    made = Path(tempfile.mkdtemp(dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def before(training: Training, store: Store, step: int) -> tuple[float, float]:
    """Commit while the training waits; return the seconds it waited, twice."""
    begin = time.perf_counter()
    store.commit(training.engine, Cursor(step, "0" * 64), None)
    prune(store.folder, Checkpointing())
    waited = time.perf_counter() - begin
    return waited, waited


def beside(training: Training, commits: Commits, step: int) -> tuple[float, float]:
    """Commit beside steps; return the seconds they waited, and those the writer took."""
    commits.begin(training.engine, Cursor(step, "0" * 64), None)
    while not commits.written:
        training.step()
    told = commits.settle()
    assert told is not None, "one was begun"
    return float(str(told["seconds"])), float(str(told["write_seconds"]))


def check(training: Training, store: Store, folder: Path) -> None:
    """Hold the files of both ways against each other."""
    other = replace(store, folder=folder / "check")
    commits = Commits(other, Checkpointing())
    commits.begin(training.engine, Cursor(1, "0" * 64), None)
    store.commit(training.engine, Cursor(1, "0" * 64), None)
    commits.settle()
    ours, theirs = (verify(s.folder / directory_name(1)) for s in (other, store))
    assert ours.files == theirs.files
    shutil.rmtree(other.folder)
    print(f"{ours.num_bytes / 1e6:.0f} MB in {len(ours.files)} files, equal in both ways")


def main() -> None:
    """Print the shares and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: temporary")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    with flushed_denormals(), scratch(options.folder) as folder:
        training = Training(options.sequences)
        store = Store(folder / "checkpoints", identity(), GROUP)
        commits = Commits(store, Checkpointing())
        training.step()
        check(training, store, folder)
        steps, waits, writes = [], {"before": [], "beside": []}, []
        for turn in range(options.rounds):
            begin = time.perf_counter()
            training.step()
            steps.append(time.perf_counter() - begin)
            waits["before"].append(before(training, store, 2 * turn + 2)[0])
            waited, written = beside(training, commits, 2 * turn + 3)
            waits["beside"].append(waited)
            writes.append(written)
    show(statistics.median(steps), {k: statistics.median(v) for k, v in waits.items()})
    print(f"written beside the steps in {statistics.median(writes):.2f} s")


def show(step: float, waits: dict[str, float]) -> None:
    """Print what was measured."""
    for every in (Checkpointing().every_steps, SHORT_INTERVAL):
        shares = {way: wait / (every * step + wait) for way, wait in waits.items()}
        print(
            f"every {every} steps of {step:.2f} s: waits {waits['before']:.3f} s = "
            f"{shares['before']:.2%} before going on, {waits['beside']:.3f} s = "
            f"{shares['beside']:.3%} with the writer beside (goal {GOAL_SHARE:.0%})"
        )
        Figure(
            item="8",
            work=f"share of time steps wait for commits, every {every} steps",
            peer="the same commit before the training goes on",
            peer_rate=shares["before"],
            our_rate=shares["beside"],
            unit="share of the interval",
            ratio=waits["before"] / waits["beside"],
            goal=f"rate <= {GOAL_SHARE}",
        ).print()


if __name__ == "__main__":
    main()
