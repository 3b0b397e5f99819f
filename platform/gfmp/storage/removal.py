"""Removing an artefact in two steps: its name goes at once, its bytes when nobody waits."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from gfmp.storage.atomic import fsync_directory, storage_faults, temporary_sibling

_BLOCK_BYTES = 512


def set_aside(path: Path) -> Path:
    """Give a file or folder the name of a temporary of this process, durably, and return that.

    From then on nobody finds the artefact; before, it is whole. What a crash leaves under the
    other name is cleared away like every temporary of a dead writer.

    Raises:
        StorageError, RefusedError: the disk refused; the artefact is as it was.
    """
    doomed = temporary_sibling(path)
    with storage_faults(path):
        path.rename(doomed)
        fsync_directory(path.parent)
    return doomed


def discard(doomed: Path) -> None:
    """Delete what was set aside; somebody who clears away temporaries may do it meanwhile.

    A symbolic link goes, what it points at stays.
    """
    if doomed.is_dir() and not doomed.is_symlink():
        shutil.rmtree(doomed, ignore_errors=True)
    else:
        doomed.unlink(missing_ok=True)


def disk_bytes(path: Path) -> int:
    """Return what a file or folder takes on the disk; a file with several names counts once."""
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    seen: dict[tuple[int, int], int] = {}
    for entry in (path, *inside):
        with contextlib.suppress(FileNotFoundError):  # gone meanwhile
            status = entry.lstat()
            seen[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK_BYTES
    return sum(seen.values())
