"""Reading a ledger: whole, or as it grows."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import CorruptArtefactError, Problem
from gfmp.ledger.events import Event, decode
from gfmp.ledger.writer import LedgerFile, ledger_files


@dataclass(frozen=True)
class Cursor:
    """How far a file has been read.

    Attributes:
        offset: Bytes read.
        num_events: Events read; also the sequence number of the next one.
    """

    offset: int = 0
    num_events: int = 0


@dataclass(frozen=True)
class Chunk:
    """What `read_file` found behind a cursor.

    Attributes:
        events: Whole events in the order of the file.
        cursor: Where to continue.
        num_torn_bytes: Bytes of a last line that is no event (yet).
    """

    events: tuple[Event, ...]
    cursor: Cursor
    num_torn_bytes: int


@dataclass(frozen=True)
class Contents:
    """A whole ledger.

    Attributes:
        events: Every event; order of time across writers, order of writing within one.
        torn: One problem for each file whose last line is incomplete.
    """

    events: tuple[Event, ...]
    torn: tuple[Problem, ...]


def read_file(file: LedgerFile, cursor: Cursor) -> Chunk:
    """Read the events behind `cursor`; a last line that is no event is left for later.

    Raises:
        CorruptArtefactError: a line before the last is no event of this file, or events are
            missing between two lines.
    """
    with file.path.open("rb") as handle:
        handle.seek(cursor.offset)
        lines = handle.read().splitlines(keepends=True)
    events: list[Event] = []
    for i, line in enumerate(lines):
        event = _event(file, line, cursor.num_events)
        if event is None and i + 1 < len(lines):
            raise _corrupt(file, cursor)
        if event is None:
            return Chunk(tuple(events), cursor, len(line))
        events.append(event)
        cursor = Cursor(cursor.offset + len(line), cursor.num_events + 1)
    return Chunk(tuple(events), cursor, 0)


def _event(file: LedgerFile, line: bytes, sequence: int) -> Event | None:
    if not line.endswith(b"\n"):
        return None
    try:
        event = decode(line)
    except ValueError:
        return None
    found = (event.segment, event.writer, event.sequence)
    return event if found == (file.segment, file.writer, sequence) else None


def _corrupt(file: LedgerFile, cursor: Cursor) -> CorruptArtefactError:
    return CorruptArtefactError(
        f"line {cursor.num_events + 1} is not event {cursor.num_events} of this file",
        where=f"{file.path}:{cursor.num_events + 1}",
        why="a ledger is only ever appended to; only its last line can be incomplete",
        fix="restore the file from a copy; the checkpoints of the run are not affected",
    )


def read_ledger(directory: Path) -> Contents:
    """Read every file of a ledger.

    Raises:
        CorruptArtefactError: see `read_file`.
    """
    events: list[Event] = []
    torn: list[Problem] = []
    for file in ledger_files(directory):
        chunk = read_file(file, Cursor())
        events.extend(chunk.events)
        if chunk.num_torn_bytes:
            torn.append(_torn(file, chunk))
    return Contents(merged(events), tuple(torn))


def _torn(file: LedgerFile, chunk: Chunk) -> Problem:
    return Problem(
        f"the last line is incomplete ({chunk.num_torn_bytes} bytes); it is left out",
        f"{file.path}:{chunk.cursor.num_events + 1}",
        "its writer was killed while writing, or is writing now",
        "nothing to do: a resumed run continues in a file of its own",
    )


def merged(events: Iterable[Event]) -> tuple[Event, ...]:
    """Order events of several writers by time, never against the order of one writer.

    Clocks of two machines differ and may jump, so that within one writer segment and sequence
    decide, and the latest time seen so far stands for an event that claims to be older.
    """
    streams: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        streams[event.writer].append(event)
    keyed: list[tuple[float, str, int, int, Event]] = []
    for writer, stream in streams.items():
        latest = 0.0
        for event in sorted(stream, key=lambda e: (e.segment, e.sequence)):
            latest = max(latest, event.time)
            keyed.append((latest, writer, event.segment, event.sequence, event))
    return tuple(item[-1] for item in sorted(keyed, key=lambda item: item[:-1]))


class Follower:
    """Reads what is new in a ledger each time it is asked."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._cursors: dict[Path, Cursor] = {}

    def poll(self) -> tuple[Event, ...]:
        """Return the events written since the last call, merged.

        Raises:
            CorruptArtefactError: see `read_file`.
        """
        events: list[Event] = []
        for file in ledger_files(self._directory):
            cursor = self._cursors.get(file.path, Cursor())
            if file.path.stat().st_size > cursor.offset:
                chunk = read_file(file, cursor)
                self._cursors[file.path] = chunk.cursor
                events.extend(chunk.events)
        return merged(events)


def follow(
    directory: Path, stop: threading.Event, interval_seconds: float = 0.5
) -> Iterator[Event]:
    """Yield events as they are written until `stop` is set, and then what is left."""
    follower = Follower(directory)
    while True:
        last = stop.wait(interval_seconds)
        yield from follower.poll()
        if last:
            return
