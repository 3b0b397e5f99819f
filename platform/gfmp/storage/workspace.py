"""Where gfmp keeps what it writes: one folder, one place for each noun."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import RefusedError

ENVIRONMENT_VARIABLE = "GFMP_WORKSPACE"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Workspace:
    """The folder that holds corpora, vocabularies, runs and the MLflow store.

    Attributes:
        root: Absolute path; created on first write.
    """

    root: Path

    @classmethod
    def at(cls, path: str | None) -> Workspace:
        """Choose `path`, else `$GFMP_WORKSPACE`, else `./workspace`."""
        chosen = path or os.environ.get(ENVIRONMENT_VARIABLE) or "workspace"
        return cls(Path(chosen).expanduser().resolve())

    @property
    def corpora(self) -> Path:
        """Built corpora, `corpora/<name>/<fingerprint>/`."""
        return self.root / "corpora"

    @property
    def vocabularies(self) -> Path:
        """Registered vocabularies: `objects/<fingerprint>/` and `names/<name>.json`."""
        return self.root / "vocabularies"

    @property
    def references(self) -> Path:
        """Letters of reference sequences for random access, by the sha256 of their files."""
        return self.root / "references"

    @property
    def runs(self) -> Path:
        """Runs with their ledgers, `runs/<run id>/`."""
        return self.root / "runs"

    @property
    def tasks(self) -> Path:
        """Prepared tasks, `tasks/<name>/<fingerprint>/`."""
        return self.root / "tasks"

    @property
    def cells(self) -> Path:
        """Results of finished sweep cells, by fingerprint."""
        return self.root / "cells"

    @property
    def calibrations(self) -> Path:
        """How sure fine-tuned models may be, by the fingerprint of model and task."""
        return self.root / "calibrations"

    @property
    def searches(self) -> Path:
        """What searches over hyper-parameters tried and chose, by fingerprint."""
        return self.root / "searches"

    @property
    def use_lock(self) -> Path:
        """Held together by all commands that work here, alone by the one that clears away."""
        return self.root / ".use.lock"

    @property
    def submissions(self) -> Path:
        """What was handed to clusters, `submissions/<submission id>.json`."""
        return self.root / "submissions"

    @property
    def logs(self) -> Path:
        """What libraries print, one file for each command."""
        return self.root / "logs"

    @property
    def mlflow_database(self) -> Path:
        """The default MLflow tracking store."""
        return self.root / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """Artifacts of runs in the default MLflow store."""
        return self.root / "mlartifacts"


def checked_name(name: str, noun: str) -> str:
    """Return `name` when it is safe as a folder name on every system.

    Raises:
        RefusedError: anything but 1-64 characters of a-z, 0-9, dot, dash, underscore,
            starting with a letter or digit.
    """
    if not _NAME.fullmatch(name):
        raise RefusedError(
            f"{noun} name {name[:80]!r} is not allowed",
            why="names are 1-64 characters of a-z 0-9 . _ -, starting with a letter or a digit",
            fix=f"choose a name such as {_suggest(name)!r}",
        )
    return name


def _suggest(name: str) -> str:
    cleaned = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:64]
    return cleaned or "my-name"
