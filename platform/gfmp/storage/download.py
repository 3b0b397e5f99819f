"""Files of the web: resumed where they stopped, compared with their digest, then given their name.

What has arrived lies in `<name>.part`, and `<name>.part.json` says of which version of which
address; a server that has another version now sends the whole file again. Without a pin the
digest of the first download is kept in `.gfmp-fetched.json` beside the file, so that a file that
changes later is an error.
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfmp.errors import DataError, ServiceError
from gfmp.storage.atomic import fsync_directory, read_json, storage_faults, write_json
from gfmp.storage.hashes import sha256_file
from gfmp.storage.locks import exclusive

TIMEOUT_SECONDS = 60.0
LOCK_WAIT_SECONDS = 5.0
RECORD = ".gfmp-fetched.json"
_LOCK = ".gfmp-fetch.lock"
_CHUNK_BYTES = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
# Some servers refuse clients that do not say who they are.
_AGENT = "gfmp"

# Called with the bytes that are here, and with how many there will be; 0 when nobody says.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Download:
    """A file that is wanted.

    Attributes:
        url: http, https or ftp address.
        path: Where it goes.
        sha256: Digest it must have; empty when nobody knows it yet.
        size_bytes: Size it must have; 0 when nobody knows it.
    """

    url: str
    path: Path
    sha256: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class Fetched:
    """A file that is here.

    Attributes:
        path: Where it lies.
        sha256: Of its content.
        num_bytes: Its size.
        num_resumed: Bytes that an earlier attempt had brought.
        was_there: True when nothing had to be fetched.
    """

    path: Path
    sha256: str
    num_bytes: int
    num_resumed: int = 0
    was_there: bool = False


def silent(here: int, total: int) -> None:
    """Show nothing."""


def download(wanted: Download, progress: Progress = silent) -> Fetched:
    """Bring a file here, unless it is here already.

    Raises:
        ServiceError: the server cannot be reached, refuses, or ended the connection; what has
            arrived is kept, and the same call goes on from there.
        DataError: the content is not what the digest, the size or the record of an earlier
            download says.
        LockedError: another process is downloading into the same folder.
        StorageError: the disk refused.
    """
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(wanted.path.parent / _LOCK, wait_seconds=LOCK_WAIT_SECONDS):
        pin = wanted.sha256 or _recorded(wanted.path)
        if wanted.path.is_file():
            found = _checked(wanted, wanted.path, pin)
            return Fetched(wanted.path, found, wanted.path.stat().st_size, was_there=True)
        resumed = _bring(wanted, progress)
        part = _part(wanted.path)
        try:
            digest = _checked(wanted, part, pin)
        except DataError:
            part.unlink()  # going on from it would never end well
            raise
        size = part.stat().st_size
        _name(wanted, part, digest)
        return Fetched(wanted.path, digest, size, resumed)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _about(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.json")


def _recorded(path: Path) -> str:
    record = path.parent / RECORD
    return str(read_json(record).get(path.name, "")) if record.is_file() else ""


def _name(wanted: Download, part: Path, digest: str) -> None:
    record = wanted.path.parent / RECORD
    known = read_json(record) if record.is_file() else {}
    with storage_faults(wanted.path):
        part.replace(wanted.path)
        fsync_directory(wanted.path.parent)
        _about(wanted.path).unlink(missing_ok=True)
    write_json(record, {**known, wanted.path.name: digest})


def _checked(wanted: Download, path: Path, pin: str) -> str:
    size, digest = path.stat().st_size, sha256_file(path)
    if wanted.size_bytes and size != wanted.size_bytes:
        raise _differs(wanted, f"it has {size:,} bytes", f"{wanted.size_bytes:,} bytes")
    if pin and digest != pin:
        raise _differs(wanted, f"its sha256 is {digest}", f"sha256 {pin}")
    return digest


def _differs(wanted: Download, found: str, expected: str) -> DataError:
    known = "the task pins" if wanted.sha256 or wanted.size_bytes else "the first download had"
    return DataError(
        f"the file is not the one that is expected: {found}",
        where=str(wanted.path),
        why=f"{known} {expected} of {wanted.url}",
        fix="remove the file and fetch it again; if it changed for good, pin the new digest "
        f"and remove {RECORD}",
    )


def _bring(wanted: Download, progress: Progress) -> int:
    """Bring the whole of a file into its part; return the bytes that were there before."""
    part, about = _part(wanted.path), _about(wanted.path)
    known = read_json(about) if about.is_file() else {}
    offset = part.stat().st_size if part.is_file() and known.get("url") == wanted.url else 0
    version = str(known.get("version", ""))
    with _network_faults(wanted), closing(_asked(wanted.url, offset, version)) as answer:
        offset = offset if _goes_on(answer, offset) else 0
        total = _total(answer, offset)
        _refuse_web_pages(wanted, answer)
        write_json(about, {"url": wanted.url, "version": _version(answer)})
        here = _store(answer, part, offset, lambda here: progress(here, total))
    if total and here < total:
        raise ServiceError(
            f"the connection ended after {here:,} of {total:,} bytes",
            where=wanted.url,
            why="the server or something between closed it",
            fix="run the same again: it goes on from there",
        )
    return offset


def _asked(url: str, offset: int, version: str) -> Any:  # noqa: ANN401 - http and ftp differ
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if version:
            headers["If-Range"] = version
    request = urllib.request.Request(url, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as refusal:
        if refusal.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not offset:
            raise
        refusal.close()  # there is nothing behind what is here, or there is another file now
        return _asked(url, 0, "")


def _goes_on(answer: Any, offset: int) -> bool:  # noqa: ANN401 - http and ftp differ
    """Tell whether the answer begins where the part ends; else it is the whole file."""
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return bool(offset and found and int(found[1]) == offset)


def _total(answer: Any, offset: int) -> int:  # noqa: ANN401 - http and ftp differ
    length = answer.headers.get("Content-Length", "")
    return int(length) + offset if length.isdecimal() else 0


def _version(answer: Any) -> str:  # noqa: ANN401 - http and ftp differ
    """Return what tells one version from another; a weak tag does not."""
    tag = answer.headers.get("ETag", "")
    strong = tag and not tag.startswith("W/")
    return str(tag if strong else answer.headers.get("Last-Modified", ""))


def _refuse_web_pages(wanted: Download, answer: Any) -> None:  # noqa: ANN401
    if answer.headers.get_content_type() == "text/html" and wanted.path.suffix != ".html":
        raise ServiceError(
            "the address gives a web page, not the file",
            where=wanted.url,
            why="the file was moved, or it is handed out only after a click",
            fix=f"get it with a browser and put it at {wanted.path}",
        )


def _store(answer: Any, part: Path, offset: int, said: Callable[[int], None]) -> int:  # noqa: ANN401
    here = offset
    with storage_faults(part), part.open("ab") as stream:
        stream.truncate(offset)
        try:
            for chunk in _chunks(answer):
                stream.write(chunk)
                here += len(chunk)
                said(here)
        finally:
            stream.flush()
            os.fsync(stream.fileno())
    return here


def _chunks(answer: Any) -> Iterator[bytes]:  # noqa: ANN401 - http and ftp differ
    while True:
        try:
            chunk = answer.read(_CHUNK_BYTES)
        except http.client.IncompleteRead as cut:
            yield cut.partial
            return
        except OSError as fault:
            raise _BrokenError(str(fault) or type(fault).__name__) from fault
        if not chunk:
            return
        yield chunk


class _BrokenError(Exception):
    """A connection that broke; told apart from what the disk refuses."""


@contextmanager
def _network_faults(wanted: Download) -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as refusal:
        fault = f"the server answered {refusal.code} {refusal.reason}"
        raise _unreachable(wanted, fault) from refusal
    except (_BrokenError, http.client.HTTPException, urllib.error.URLError) as broken:
        reason = broken.reason if isinstance(broken, urllib.error.URLError) else broken
        raise _unreachable(wanted, f"the connection failed: {reason}") from broken


def _unreachable(wanted: Download, message: str) -> ServiceError:
    return ServiceError(
        message,
        where=wanted.url,
        why="the file is fetched from there",
        fix=f"check the network and run the same again, or put the file at {wanted.path}",
    )
