"""Exclusive ownership of a path by one living process on a machine or a shared disk."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from gfmp.errors import LockedError
from gfmp.storage.atomic import storage_faults


@contextlib.contextmanager
def exclusive(path: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` for the duration of the block.

    The kernel drops the lock when its process dies, so a lock never outlives its owner.

    Args:
        path: The lock file; created when missing, never removed.
        wait_seconds: How long to wait for the present owner.

    Raises:
        LockedError: the owner is still alive after `wait_seconds`; names its pid and host.
    """
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    with handle:
        _acquire(handle, path, time.monotonic() + wait_seconds)
        handle.seek(0)
        handle.truncate()
        json.dump({"pid": os.getpid(), "host": socket.gethostname()}, handle)
        handle.flush()
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


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
