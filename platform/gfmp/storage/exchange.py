"""A folder replaced by a new one in a single step: readers see all of the old or all of the new."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gfmp.storage.atomic import (
    fsync_directory,
    publish_directory,
    storage_faults,
    temporary_sibling,
)

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


@contextlib.contextmanager
def replaced_directory(final: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `final`; when the block succeeds it takes that name.

    What was there before stays until the new folder is whole and durable, and is removed then.
    An exception leaves it as it is.

    Raises:
        StorageError, RefusedError: the disk refused.
    """
    staging, whole = temporary_sibling(final), temporary_sibling(final)
    with storage_faults(final):
        staging.mkdir(parents=True)
    try:
        yield staging
        publish_directory(staging, whole)
        with storage_faults(final):
            _take_place(whole, final)
            fsync_directory(final.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(whole, ignore_errors=True)


def _take_place(whole: Path, final: Path) -> None:
    if final.is_symlink() or (final.exists() and not final.is_dir()):
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(final))
    if not final.exists():
        whole.rename(final)
    elif not _exchange(whole, final):
        # A file system that cannot exchange two names: for an instant there is none.
        aside = temporary_sibling(final)
        final.rename(aside)
        whole.rename(final)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step (Linux, renameat2); False where that is not possible."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        call = library.renameat2
    except AttributeError:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))
