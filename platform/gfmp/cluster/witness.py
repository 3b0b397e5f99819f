"""What the driver sees of the ranks from outside, for the time when they can say no more."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from gfmp.cluster.heartbeat import stack_path
from gfmp.errors import CorruptArtefactError
from gfmp.storage.atomic import read_json

_LOOK_SECONDS = 0.1
_CLEAR_SECONDS = 10.0


@dataclass(frozen=True)
class RankEnd:
    """A rank as it was when its group ended.

    Attributes:
        rank: Number of the rank.
        pid: Its process.
        host: Where it ran.
        vanished: How many ranks had ended when its process did, from 0; None while it was seen
            alive, or was never seen because it ran elsewhere.
        peak_bytes: Most resident memory that was seen; 0 elsewhere.
        stack: What its pulse or a crash wrote, empty when it wrote nothing.
    """

    rank: int
    pid: int
    host: str
    vanished: int | None = None
    peak_bytes: int = 0
    stack: str = ""


class Witness:
    """While active, looks at the ranks of one worker group that run on this machine."""

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._workers = run_folder / "workers"
        self._ranks: dict[int, RankEnd] = {}
        self._processes: dict[int, psutil.Process] = {}
        self._written: dict[Path, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)

    def __enter__(self) -> Self:
        # What an earlier group left would be taken for this one's.
        for path in self._workers.glob("rank*.json"):
            path.unlink(missing_ok=True)
        for path in self._run_folder.glob("logs/stack-rank*.log"):
            self._written[path] = path.stat().st_size
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def ends(self) -> tuple[RankEnd, ...]:
        """Return the ranks of the group, with what they wrote at last."""
        self._meet()
        met = sorted(self._ranks.items())
        return tuple(replace(end, stack=self._stack(rank)) for rank, end in met)

    def clear(self) -> None:
        """End what is left of the group on this machine: it must not meet the next one.

        A process that was stopped, or that hangs in C code, survives what Ray does to end it.
        """
        left = [process for process in self._processes.values() if process.is_running()]
        _, left = psutil.wait_procs(left, timeout=_CLEAR_SECONDS)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=_CLEAR_SECONDS)

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self._meet()
            for rank, process in self._processes.items():
                self._look(rank, process)

    def _meet(self) -> None:
        """Take down the ranks that have said who they are since."""
        for path in self._workers.glob("rank*.json"):
            rank = int(path.stem.removeprefix("rank"))
            if rank in self._ranks:
                continue
            with contextlib.suppress(OSError, CorruptArtefactError):
                self._take_down(rank, read_json(path))

    def _take_down(self, rank: int, said: dict[str, object]) -> None:
        end = RankEnd(rank, int(str(said["pid"])), str(said["host"]))
        self._ranks[rank] = end
        if end.host != socket.gethostname():
            return
        try:
            self._processes[rank] = psutil.Process(end.pid)
        except psutil.NoSuchProcess:
            self._ranks[rank] = replace(end, vanished=self._num_vanished())

    def _look(self, rank: int, process: psutil.Process) -> None:
        end = self._ranks[rank]
        if end.vanished is not None:
            return
        memory = _unless_gone(process)
        if memory is None:
            self._ranks[rank] = replace(end, vanished=self._num_vanished())
        else:
            self._ranks[rank] = replace(end, peak_bytes=max(end.peak_bytes, memory))

    def _num_vanished(self) -> int:
        return sum(end.vanished is not None for end in self._ranks.values())

    def _stack(self, rank: int) -> str:
        path = stack_path(self._run_folder, rank)
        if not path.exists():
            return ""
        with path.open("rb") as handle:
            handle.seek(self._written.get(path, 0))
            return handle.read().decode("utf-8", errors="replace")


def _unless_gone(process: psutil.Process) -> int | None:
    """Return the resident bytes of a process; None when it has ended."""
    try:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return int(process.memory_info().rss)
    except psutil.Error:
        return None
