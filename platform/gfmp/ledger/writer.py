"""The one writer of one ledger file."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gfmp.errors import LockedError
from gfmp.ledger.events import COMMIT_KINDS, Event, encode
from gfmp.storage.atomic import fsync_directory, storage_faults

WRITERS = ("driver", "rank0")
_FILE_NAME = re.compile(r"(\d{3,})-(driver|rank0)\.jsonl")


@dataclass(frozen=True)
class LedgerFile:
    """A ledger file and what its name says.

    Attributes:
        path: `<run>/ledger/<NNN>-<writer>.jsonl`.
        segment: NNN.
        writer: `driver` or `rank0`.
    """

    path: Path
    segment: int
    writer: str

    @classmethod
    def of(cls, path: Path) -> LedgerFile:
        """Read segment and writer from the name of `path`."""
        found = _FILE_NAME.fullmatch(path.name)
        assert found, f"{path.name!r} is not named <NNN>-<driver|rank0>.jsonl"
        return cls(path, int(found[1]), found[2])


def ledger_files(directory: Path) -> tuple[LedgerFile, ...]:
    """List the ledger files of a run, ordered by segment, then writer."""
    names = directory.iterdir() if directory.is_dir() else ()
    files = [LedgerFile.of(path) for path in names if _FILE_NAME.fullmatch(path.name)]
    return tuple(sorted(files, key=lambda file: (file.segment, file.writer)))


class LedgerWriter:
    """Appends events to a file that it alone creates and writes.

    Every event reaches the operating system before `append` returns; events of `COMMIT_KINDS`
    also reach the disk. An append that fails leaves the file as it was before. The file is locked
    until it is closed or its writer dies, see `being_written`.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Create the file.

        Args:
            path: `<NNN>-<writer>.jsonl`, see `LedgerFile`.
            clock: Source of unix time.

        Raises:
            LockedError: the file exists, so that another writer owns it.
        """
        self._file = LedgerFile.of(path)
        self._clock = clock
        self._sequence = 0
        self._size = 0
        with storage_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = _create(path)
            fsync_directory(path.parent)

    @property
    def segment(self) -> int:
        """The start of the run this writer belongs to."""
        return self._file.segment

    def append(self, kind: str, fields: Mapping[str, object]) -> Event:
        """Write one event and return it.

        Raises:
            StorageError: the disk refused; nothing of the event stays in the file.
            TypeError: a field holds something JSON has no word for.
        """
        file, now = self._file, round(self._clock(), 6)
        event = Event(self._sequence, now, file.segment, file.writer, kind, dict(fields))
        line = encode(event)
        with storage_faults(self._file.path):
            self._write(line, durable=kind in COMMIT_KINDS)
        self._sequence += 1
        self._size += len(line)
        return event

    def _write(self, line: bytes, durable: bool) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(self._handle, line[written:])
            if durable:
                os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise

    def close(self) -> None:
        """Make everything durable and release the file; may be called twice."""
        if self._handle >= 0:
            with storage_faults(self._file.path):
                os.fsync(self._handle)
                os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _create(path: Path) -> int:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        return handle
    except FileExistsError:
        raise LockedError(
            "this ledger file already has its writer",
            where=str(path),
            why="every start of a run writes files of its own",
            fix="open the next segment with Run.open_writer",
        ) from None


def being_written(path: Path) -> bool:
    """Return True while the writer of the ledger file `path` lives, on whichever machine."""
    with path.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def next_segment(directory: Path, writer: str) -> int:
    """Return the segment that a new writer opens.

    A driver always begins a segment. Rank 0 joins the newest segment, and begins another one
    when that segment already had a rank 0 (the workers were restarted under the same driver).
    """
    files = ledger_files(directory)
    newest = max((file.segment for file in files), default=-1)
    taken = any(file.segment == newest and file.writer == writer for file in files)
    return newest + 1 if newest < 0 or taken or writer == "driver" else newest
