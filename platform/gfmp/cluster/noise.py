"""Keep what libraries print away from the person: file descriptors 1 and 2 go to a log file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from gfmp.storage.atomic import storage_faults


@contextlib.contextmanager
def redirected(log_path: Path) -> Iterator[TextIO]:
    """Append everything this process and its C++ libraries print to `log_path`.

    Yields:
        The stderr the process had before, for gfmp's own lines.

    Raises:
        RefusedError: the folder may not be written to.
        StorageError: the disk refused.
    """
    log = _opened(log_path)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = (os.dup(1), os.dup(2))
    console = os.fdopen(os.dup(saved[1]), "w", buffering=1)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield console
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for original, descriptor in zip(saved, (1, 2), strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        console.close()


def capture_forever(log_path: Path) -> None:
    """Append everything the calling worker process prints from now on to `log_path`.

    Raises:
        RefusedError: the folder may not be written to.
        StorageError: the disk refused.
    """
    log = _opened(log_path)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _opened(log_path: Path) -> int:
    with storage_faults(log_path):
        log_path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
