"""What command a run was created by, so that whoever watches over that command finds the run."""

from __future__ import annotations

import os
from pathlib import Path

from gfmp.errors import CorruptArtefactError
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.owners import JOB_VARIABLE, TOKEN_VARIABLE, Owner

FILE_NAME = "submission.json"


def record(folder: Path) -> None:
    """Write into the folder of a new run which process creates it, and for whom."""
    token = os.environ.get(TOKEN_VARIABLE, "")
    said = {"creator": Owner.present().tag, "token": token}
    if job := os.environ.get(JOB_VARIABLE):
        said["job"] = job
    write_json(folder / FILE_NAME, said)


def token_of(folder: Path) -> str:
    """Return for whom the run was created; empty when nobody asked."""
    return _read(folder, "token")


def job_of(folder: Path) -> str:
    """Return the submission id of the cluster's job that created the run; empty for none."""
    return _read(folder, "job")


def creator_lives(folder: Path) -> bool:
    """Return True unless the process that created the run is certainly gone."""
    creator = Owner.of(_read(folder, "creator"))
    return creator is not None and not creator.dead()


def _read(folder: Path, key: str) -> str:
    try:
        return str(read_json(folder / FILE_NAME).get(key, ""))
    except (FileNotFoundError, CorruptArtefactError):
        return ""  # older runs do not have it, and nothing of a run depends on it
