"""Watching processes from outside: who they are, what they listen on, what memory they take."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import psutil


def marked(name: str, value: str) -> list[psutil.Process]:
    """Return the living processes whose environment holds NAME=value."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(name) == value:
                found.append(process)
    return found


def listeners_of(processes: list[psutil.Process]) -> list[tuple[str, int, str]]:
    """Return (address, port, program) of every listening TCP socket of the processes."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            name = process.name()
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found.add((connection.laddr.ip, connection.laddr.port, name))
    return sorted(found)


def resident(process: psutil.Process) -> int:
    """Return the bytes of memory a process holds."""
    return int(process.memory_info().rss)


def proportional(process: psutil.Process) -> int:
    """Return them with those that n processes share counted as 1/n, so that sums are true."""
    return int(process.memory_full_info().pss)


class MemoryWatch:
    """Samples the memory of a set of processes, summed, while a block runs.

    Attributes:
        samples: Bytes, one a sample.
    """

    def __init__(
        self,
        find: Callable[[], list[psutil.Process]],
        every: float = 0.25,
        measure: Callable[[psutil.Process], int] = resident,
    ) -> None:
        self.samples: list[int] = []
        self._find = find
        self._every = every
        self._measure = measure
        self._stop = threading.Event()

    @property
    def peak(self) -> int:
        """The largest sum seen, in bytes."""
        return max(self.samples, default=0)

    @contextlib.contextmanager
    def watching(self) -> Iterator[MemoryWatch]:
        """Sample until the block ends."""
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(self._every):
            total = 0
            for process in self._find():
                with contextlib.suppress(psutil.Error):
                    total += self._measure(process)
            self.samples.append(total)
