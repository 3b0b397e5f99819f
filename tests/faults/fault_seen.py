"""What a test of the matrix saw, told in words and counts, and the record of one session."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from fault_table import TestRecord

LIBRARIES = ("gfmp", "ray", "torch", "deepspeed", "mlflow", "pyarrow", "tokenizers")


@dataclass
class Seen:
    """Takes down what a test found; a test that says nothing fails.

    Attributes:
        exits: Exit statuses of commands.
        outcomes: What happened, a few words each.
        losses: What the test counted as lost, by noun; zeros count as said.
    """

    exits: list[int] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    losses: dict[str, int] = field(default_factory=dict)

    def exit(self, status: int) -> None:
        """Note the exit status of a command."""
        self.exits.append(status)

    def outcome(self, words: str) -> None:
        """Note what happened."""
        self.outcomes.append(words)

    def lost(self, **counts: int) -> None:
        """Note what was lost, as the test MEASURED it: steps, cells, points, files, processes."""
        for noun, count in counts.items():
            if count < 0:
                raise ValueError(f"{count} {noun} cannot be lost: count what is missing")
            self.losses[noun] = self.losses.get(noun, 0) + int(count)

    def missing(self) -> list[str]:
        """Return what the test has not said."""
        said = {"outcome": self.outcomes, "lost": self.losses}
        return [name for name, value in said.items() if not value]


def session_record(root: Path, tests: Sequence[TestRecord]) -> dict[str, object]:
    """Return one session as JSON: when, of which revision, with which versions, and the tests."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "revision": _git(root, "rev-parse", "--short=12", "HEAD"),
        "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
        "versions": _versions(),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        },
        "tests": [asdict(test) for test in tests],
    }


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _versions() -> Mapping[str, str]:
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }
