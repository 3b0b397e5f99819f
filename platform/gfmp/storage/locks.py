"""Exclusive ownership of a path by one living process on a machine or a shared disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gfmp.errors import LockedError, RefusedError
from gfmp.storage.atomic import storage_faults
from gfmp.storage.owners import MARK_VARIABLE


@dataclass(frozen=True)
class LockRecord:
    """What the last owner of a lock wrote into it.

    Attributes:
        pid: Its process id; 0 when nobody ever owned the lock or the record is torn.
        host: Name of its machine.
        mark: What its environment and that of its children holds under `GFMP_DRIVER`.
    """

    pid: int = 0
    host: str = ""
    mark: str = ""


@contextlib.contextmanager
def exclusive(path: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` for the duration of the block.

    The kernel drops the lock when its process dies, so a lock never outlives its owner.

    Args:
        path: The lock file; created when missing, never removed.
        wait_seconds: How long to wait for the present owner.

    Raises:
        LockedError: the owner is still alive after `wait_seconds`; names its pid and host.
        RefusedError: the lock file is a symbolic link.
    """
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _opened(path)
    with handle:
        _acquire(handle, path, time.monotonic() + wait_seconds)
        with storage_faults(path):
            handle.seek(0)
            handle.truncate()
            json.dump(_record(), handle)
            handle.flush()
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


@contextlib.contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold the lock file `path` together with any number of others, but with no `exclusive` one.

    Waits while somebody holds it alone, which is to be short. Writes nothing into the file.

    Raises:
        RefusedError: the lock file is a symbolic link, or cannot be made.
    """
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _opened(path)
    with handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


def _record() -> dict[str, object]:
    mark = os.environ.get(MARK_VARIABLE)
    owner: dict[str, object] = {"pid": os.getpid(), "host": socket.gethostname()}
    return {**owner, "mark": mark} if mark else owner


def last_owner(path: Path) -> LockRecord:
    """Return what the last owner of the lock `path` wrote, alive or not."""
    try:
        value = json.loads(path.read_bytes())
        return LockRecord(int(value["pid"]), str(value["host"]), str(value.get("mark", "")))
    except (OSError, ValueError, KeyError, TypeError):
        return LockRecord()


def _opened(path: Path) -> IO[str]:
    try:
        # Through a link, writing the record would change a file somewhere else.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as fault:
        if fault.errno != errno.ELOOP:
            raise
        raise RefusedError(
            "this lock is a symbolic link",
            where=str(path),
            why="gfmp makes its locks itself, and writes into no file outside its workspace",
            fix="remove the link, and find out who put it there",
        ) from fault
    return os.fdopen(handle, "r+")


def _acquire(handle: IO[str], path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockedError(
                    "another gfmp process is working here",
                    where=str(path),
                    why=f"its owner is {path.read_text() or 'unknown'}",
                    fix="wait for it to end, or stop it",
                ) from None
            time.sleep(0.1)
        else:
            return
