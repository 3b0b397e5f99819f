"""Small tasks for the tests of this room, written by hand or drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.tasks.catalogue import TaskTarget, find_task
from gfmp.tasks.task import Rows, Target, Task

BINARY = Target("binary", ("no", "yes"))


def sequences(num_rows: int, seed: int = 0, length: int = 30) -> tuple[bytes, ...]:
    """Return distinct random sequences."""
    letters = np.frombuffer(b"ACGT", np.uint8)
    drawn = np.random.default_rng(seed).integers(0, 4, (num_rows, length))
    return tuple(row.tobytes() for row in letters[drawn])


def rows_of(classes: Sequence[float] | NDArray[np.float32], groups: Sequence[str] = ()) -> Rows:
    """Return rows with these targets and random sequences."""
    targets = np.array(classes, dtype=np.float32).reshape(len(classes), -1)
    names = tuple(f"row{i}" for i in range(len(targets)))
    return Rows(sequences(len(targets)), targets, names, tuple(groups) or ("",) * len(targets))


def task_of(train: Rows, valid: Rows, test: Rows, target: Target = BINARY) -> Task:
    """Return a task whose fingerprint is not looked at."""
    return Task("sample", target, "mcc", (), train, valid, test, fingerprint="0" * 64)


def write_task(folder: Path, source: str, target: str, more: str = "") -> TaskTarget:
    """Write `sample.yaml` in `folder` and find it."""
    (folder / "sample.yaml").write_text(
        f"kind: task\ndescription: For tests.\nsource: {source}\ntarget: {target}\n"
        + (more if "metric:" in more else f"metric: mcc\n{more}")
    )
    return find_task("sample.yaml", folder)


def write_layout(folder: Path, **splits: Sequence[tuple[str, str]]) -> Path:
    """Write a folder in the layout of GUE; keys are file stems, values (sequence, label)."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, rows in splits.items():
        lines = ["sequence,label", *(",".join(row) for row in rows)]
        (folder / f"{stem}.csv").write_text("\n".join(lines) + "\n")
    return folder
