"""The commit protocol: a reader sees the old artefact or the new one, never a part of one.

Single files: temporary name, fsync, rename, fsync of the directory. Directories: write into
a temporary sibling, fsync every file, manifest last, rename (RELIABILITY: G4). The name of a
temporary says which process writes it, so that what a killed one left can be told from what a
living one is writing.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from gfmp.errors import CorruptArtefactError, ExistsError, RefusedError, StorageError
from gfmp.storage.owners import Owner

TEMPORARY_PREFIX = ".tmp-"
_TEMPORARY = re.compile(r"\.tmp-.+-(?P<owner>[0-9a-f]{6}-[0-9a-f]{8}-[0-9]+)-[0-9a-f]{8}")


@contextlib.contextmanager
def storage_faults(path: Path) -> Iterator[None]:
    """Turn an `OSError` about `path` into the error a person can act on.

    Raises:
        RefusedError: permission denied or read-only file system.
        StorageError: anything else the operating system refuses (full disk, I/O error).
    """
    try:
        yield
    except OSError as fault:
        reason = os.strerror(fault.errno) if fault.errno else str(fault)
        if fault.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise RefusedError(
                f"cannot write: {reason}",
                where=str(path),
                why="gfmp writes only inside its workspace",
                fix="make the folder writable, or choose another with --workspace",
            ) from fault
        raise StorageError(
            f"cannot write: {reason}",
            where=str(path),
            why=f"{_free_bytes(path):,} bytes are free on that disk",
            fix="free some space or choose another disk with --workspace, then run the same again",
        ) from fault


def _free_bytes(path: Path) -> int:
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):  # not there yet, or not even a possible name
            return shutil.disk_usage(place).free
    return 0


def fsync_directory(path: Path) -> None:
    """Make the names inside `path` durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_file(path: Path) -> None:
    """Make the content of `path` durable."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def atomic_write(path: Path, data: bytes) -> None:
    """Replace `path` by `data` so that a crash leaves either the old or the new content."""
    temporary = _write_temporary(path, data)
    with storage_faults(path):
        try:
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        fsync_directory(path.parent)


@contextlib.contextmanager
def streamed_write(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that becomes `path` when the block succeeds, for content too large to hold.

    A crash, or an error in the block, leaves what was there before.
    """
    temporary = temporary_sibling(path)
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_directory(path.parent)


def put_if_absent(path: Path, data: bytes) -> bool:
    """Create `path` with `data` unless it exists; one of several racing writers wins.

    Returns:
        True when this call created the file, False when it was already there.
    """
    temporary = _write_temporary(path, data)
    with storage_faults(path):
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        fsync_directory(path.parent)
    return True


def _write_temporary(path: Path, data: bytes) -> Path:
    temporary = temporary_sibling(path)
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    return temporary


@contextlib.contextmanager
def staged_directory(final: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `final`; publish it under that name when the block succeeds.

    The whole tree is fsynced before the rename. An exception removes the temporary directory
    and publishes nothing.

    Raises:
        ExistsError: `final` exists when the block ends; the staged copy is removed.
    """
    staging = temporary_sibling(final)
    with storage_faults(final):
        staging.mkdir(parents=True)
    try:
        yield staging
        publish_directory(staging, final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish_directory(staging: Path, final: Path) -> None:
    """Make everything under `staging` durable, then give it the name `final` in one rename.

    Raises:
        ExistsError: `final` already exists and is no empty folder.
    """
    with storage_faults(final):
        for path in sorted(staging.rglob("*"), reverse=True):
            fsync_directory(path) if path.is_dir() else fsync_file(path)
        fsync_directory(staging)
        try:
            staging.rename(final)
        except OSError as fault:
            if fault.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise ExistsError(
                    "an artefact of this name was published by another process",
                    where=str(final),
                    why="published artefacts never change",
                    fix="use the one that is there, or choose another name",
                ) from fault
            raise
        fsync_directory(final.parent)


def temporary_sibling(final: Path) -> Path:
    """Return a name beside `final` for what will become it; says which process writes it."""
    owner = Owner.present().tag
    return final.parent / f"{TEMPORARY_PREFIX}{final.name}-{owner}-{uuid.uuid4().hex[:8]}"


def remove_abandoned(parent: Path) -> None:
    """Delete temporary siblings that a killed writer left in `parent`.

    Call it only while holding the lock that protects `parent`; without one, see `remove_dead`.
    """
    if parent.is_dir():
        for path in sorted(parent.glob(f"{TEMPORARY_PREFIX}*")):
            _remove(path)


def remove_dead(parent: Path) -> int:
    """Delete the temporaries in `parent` whose writers are certainly gone; needs no lock.

    Returns:
        How many were there.
    """
    dead = dead_temporaries(parent)
    for path in dead:
        _remove(path)
    return len(dead)


def dead_temporaries(parent: Path) -> tuple[Path, ...]:
    """Return the temporaries in `parent` whose writers are certainly gone."""
    return tuple(path for path in sorted(parent.glob(f"{TEMPORARY_PREFIX}*")) if _is_dead(path))


def _is_dead(path: Path) -> bool:
    found = _TEMPORARY.fullmatch(path.name)
    owner = Owner.of(found["owner"]) if found else None
    return owner is not None and owner.dead()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write `value` as readable, stable JSON by `atomic_write`."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False)
    atomic_write(path, (text + "\n").encode("ascii"))


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON object.

    Raises:
        CorruptArtefactError: the file is not a JSON object.
        FileNotFoundError: there is no such file.
    """
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, UnicodeDecodeError) as fault:
        value = fault
    if not isinstance(value, dict):
        raise CorruptArtefactError(
            "not a JSON object",
            where=str(path),
            why="gfmp publishes such files whole, so something else changed it",
            fix="restore the file, or remove its folder and build it again",
        )
    return value
