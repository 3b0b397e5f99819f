"""Members of zip and tar archives, unpacked one by one to where they are wanted."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gfmp.errors import DataError
from gfmp.storage.atomic import streamed_write
from gfmp.storage.documents import did_you_mean

_COPY_BYTES = 1 << 20
_MOST_SHOWN = 20


def unpack(archive: Path, members: Mapping[str, Path]) -> None:
    """Unpack members of an archive.

    Names of members decide nothing about where they go, and links are not followed.

    Args:
        archive: A zip file, or a tar file however compressed.
        members: Name in the archive to path.

    Raises:
        DataError: the file is no archive, is damaged, or lacks a member.
        StorageError: the disk refused.
    """
    missing, seen = dict(members), list[str]()
    with _damage(archive):
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, missing, seen)
        else:
            _unpack_tar(archive, missing, seen)
    if missing:
        name = next(iter(missing))
        raise DataError(
            f"the archive has no member {name!r}",
            where=str(archive),
            why=f"it holds {', '.join(seen[:_MOST_SHOWN]) or 'nothing'}",
            fix=did_you_mean(name, seen) or "correct the member's name",
        )


def _unpack_zip(archive: Path, missing: dict[str, Path], seen: list[str]) -> None:
    with zipfile.ZipFile(archive) as opened:
        seen += opened.namelist()
        for name in [name for name in missing if name in seen]:
            with opened.open(name) as stream:
                _copy(stream, missing.pop(name))


def _unpack_tar(archive: Path, missing: dict[str, Path], seen: list[str]) -> None:
    with tarfile.open(archive, "r:*") as opened:
        for member in opened:
            name = member.name.removeprefix("./")
            seen.append(name)
            stream = opened.extractfile(member) if member.isfile() and name in missing else None
            if stream is not None:
                _copy(stream, missing.pop(name))
            if not missing:
                return


def _copy(source: IO[bytes], path: Path) -> None:
    with streamed_write(path) as target:
        shutil.copyfileobj(source, target, _COPY_BYTES)


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as fault:
        raise DataError(
            f"the archive cannot be read: {str(fault).splitlines()[0].rstrip(':')}",
            where=str(archive),
            why="it is a zip file or a tar file, compressed or not, without a password",
            fix="remove it and fetch it again",
        ) from fault
