"""What state a run is in, decided from facts that a dead process cannot fake."""

from __future__ import annotations

import fcntl
from enum import StrEnum
from pathlib import Path


class Status(StrEnum):
    """State of a run; `interrupted` also means killed without a word."""

    PLANNED = "planned"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


_SAID = {
    "finished": Status.FINISHED,
    "failed": Status.FAILED,
    "interrupted": Status.INTERRUPTED,
}


def decide(last_lifecycle: str, owner_alive: bool) -> Status:
    """Return the status that follows from the driver's last word and from its pulse.

    Args:
        last_lifecycle: Kind of the driver's last lifecycle event; empty before the first.
        owner_alive: A living process holds the lock of the run.
    """
    if last_lifecycle in _SAID:
        return _SAID[last_lifecycle]
    if owner_alive:
        return Status.RUNNING
    return Status.INTERRUPTED if last_lifecycle else Status.PLANNED


def owner_alive(lock_path: Path) -> bool:
    """Return True while a living process owns the run.

    The kernel drops a lock when its process dies. Asking takes a shared lock for an instant,
    which is why owners wait a second before they believe that a run is taken.
    """
    try:
        handle = lock_path.open("rb")
    except FileNotFoundError:
        return False
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
