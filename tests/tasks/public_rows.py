"""A few rows of our own in exactly the formats in which public benchmarks are handed out."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from task_samples import sequences, write_task

from gfmp.tasks.pool import Pool
from gfmp.tasks.readers import read_pool

LETTERS = "ACGT"


def read(folder: Path, source: str, target: str, more: str = "") -> Pool:
    """Write a task beside its files and read every row of it."""
    task = write_task(folder, source, target, more)
    return read_pool(task.spec, task.base)


def texts(num_rows: int, length: int, seed: int = 0) -> list[str]:
    """Return random sequences."""
    return [sequence.decode() for sequence in sequences(num_rows, seed, length)]


def write_fasta(path: Path, contigs: Mapping[str, str], width: int = 60) -> None:
    """Write contigs as FASTA, gzip where the name says so."""
    lines: list[str] = []
    for name, letters in contigs.items():
        lines += [f">{name}", *(letters[i : i + width] for i in range(0, len(letters), width))]
    write_text(path, "\n".join(lines) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text, gzip where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def one_hot(rows: Sequence[str], channels: str = LETTERS) -> NDArray[np.uint8]:
    """Return sequences one-hot, shape (N, positions, 4); N is all zeros."""
    letters = np.array([list(row) for row in rows])
    return np.stack([letters == letter for letter in channels], axis=2).astype(np.uint8)


def other_strand(sequence: str) -> str:
    """Return the reverse complement."""
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))
