"""Room on the disk for checkpoints, asked for before anything is written; no torch."""

from __future__ import annotations

import shutil
from pathlib import Path

from gfmp.errors import StorageError
from gfmp.plan.parameters import count_parameters
from gfmp.plan.values import Plan
from gfmp.storage.atomic import storage_faults

# A weight and two moments, fp32.
_BYTES_PER_PARAMETER = 12
# The old checkpoint stays until the new one is whole.
_CHECKPOINTS = 2
# Manifest, ensemble, headers, and the ledger's next lines.
_MARGIN_BYTES = 1 << 20
_FIX = "free some space or choose another disk with --workspace, then resume"


def require_room_to_train(plan: Plan, folder: Path) -> None:
    """Refuse to start a run whose disk cannot hold two of its checkpoints.

    Args:
        plan: The run's plan.
        folder: Where its folder is or will be; it need not exist yet.

    Raises:
        StorageError: names the bytes needed and those free.
    """
    parameters = count_parameters(plan.what.architecture, plan.what.vocabulary_rows)
    needed = _CHECKPOINTS * parameters * _BYTES_PER_PARAMETER
    require_room(folder, needed, f"{_CHECKPOINTS} checkpoints of {parameters:,} parameters")


def require_room(folder: Path, needed: int, what: str) -> None:
    """Refuse to write what the disk of `folder` cannot hold.

    Raises:
        StorageError: names the bytes needed and those free.
    """
    free = free_bytes(folder)
    if free < needed + _MARGIN_BYTES:
        raise StorageError(
            f"no room for {what}: {needed:,} bytes needed, {free:,} bytes free",
            where=str(folder),
            why=f"{_MARGIN_BYTES:,} bytes stay free for the ledger; nothing was written",
            fix=_FIX,
        )


def too_large(final: Path, needed: int, fault: StorageError) -> StorageError:
    """Return a failed write with what it would have needed."""
    problem = fault.problems[0]
    return StorageError(
        f"{problem.message}; {final.name} needs {needed:,} bytes, {free_bytes(final):,} are free",
        where=problem.where,
        why="a checkpoint is published whole or not at all; the one before it stays",
        fix=_FIX,
    )


def free_bytes(path: Path) -> int:
    """Return what can be written on the disk of `path`, or of the nearest parent that exists.

    Raises:
        StorageError: the disk does not answer.
    """
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    with storage_faults(path):
        return shutil.disk_usage(there).free
