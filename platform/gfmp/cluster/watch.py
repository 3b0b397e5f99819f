"""The driver's eyes and ears while workers train: progress from the ledger, signals to it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import Protocol, Self

from gfmp.errors import (
    GfmpError,
    InterruptedRunError,
    LostServiceError,
    TerminatedRunError,
)
from gfmp.ledger.events import LOST_RAY, Event
from gfmp.ledger.reader import Follower
from gfmp.ledger.run import Run
from gfmp.ledger.writer import LedgerWriter, ledger_files
from gfmp.plan.cells import Cell
from gfmp.storage.owners import JOB_VARIABLE

_POLL_SECONDS = 0.5
_ECHO_SECONDS = 2.0


class Console(Protocol):
    """Where a person reads how a run goes; the `cli` room draws it."""

    def say(self, line: str) -> None:
        """Show one line that stays."""
        ...

    def event(self, event: Event) -> None:
        """Show what happened in the run."""
        ...


class SweepConsole(Console, Protocol):
    """A console that also counts the cells of a sweep."""

    def planned(self, cells: Sequence[Cell]) -> None:
        """Begin to count these cells."""
        ...


def interruption(run: Run, name: str) -> InterruptedRunError:
    """Return the error that ends a stopped run: SIGTERM exits 143, all others 130."""
    kind = TerminatedRunError if name.startswith("SIGTERM") else InterruptedRunError
    at = f" at step {run.last_step()}" if run.header.kind == "pretrain" else ""
    return kind(
        f"run {run.id} was stopped ({name}){at}",
        where=str(run.path),
        why="what it did so far is committed",
        fix=run.resume_command,
    )


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """While there is no run to stop yet, SIGINT and SIGTERM end the command at once.

    What is being built is published whole or not at all, so there is nothing to wait for.

    Raises:
        InterruptedRunError: one of them came.
    """

    def _leave(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        kind = TerminatedRunError if number == signal.SIGTERM else InterruptedRunError
        raise kind(
            f"stopped ({name}) before a run was driven",
            why="no step was taken; what was built before is kept",
            fix="give the same command again",
        )

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, _leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class StopSignal:
    """While active, the first SIGINT or SIGTERM asks the run to commit; the second ends it now.

    Install it after Ray has started, which sets handlers of its own, or `renew` it then.
    """

    def __init__(self, run: Run) -> None:
        self.name = "stop request"
        self._run = run
        self._asked, self._asked_at = False, 0.0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave us

    def renew(self) -> None:
        """Listen again after somebody else set handlers."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        if self._asked and not self._echo():
            raise interruption(self._run, f"{self.name}, twice")
        self._asked, self._asked_at = True, time.monotonic()
        self._run.request_stop()

    def _echo(self) -> bool:
        """Tell whether a signal is the one before: a cluster signals a driver and its parent."""
        soon = time.monotonic() - self._asked_at < _ECHO_SECONDS
        return soon and JOB_VARIABLE in os.environ


@contextlib.contextmanager
def last_word(run: Run, ledger: LedgerWriter, signals: StopSignal) -> Iterator[None]:
    """Record how the block failed; a run that lost Ray was interrupted, it did not fail."""
    try:
        yield
    except (InterruptedRunError, LostServiceError) as fault:
        name = signals.name if isinstance(fault, InterruptedRunError) else LOST_RAY
        ledger.append("interrupted", {"step": run.last_step(), "signal": name})
        raise
    except GfmpError as fault:
        ledger.append("failed", {"error": str(fault), "code": fault.code})
        raise


def _no_check() -> None:
    """Find nothing wrong."""


def follow(
    run: Run,
    console: Console,
    done: threading.Event,
    check: Callable[[], None] = _no_check,
) -> None:
    """Show what happens in this start of the run until `done` is set, and what came just before.

    Args:
        run: The run.
        console: Shows them.
        done: Set when the work has ended.
        check: Called all the time; raises when the work cannot end any more.
    """
    follower = Follower(run.ledger_path)
    present = max((file.segment for file in ledger_files(run.ledger_path)), default=0)
    ended = False
    while not ended:
        ended = done.wait(_POLL_SECONDS)
        check()
        for event in follower.poll():
            if event.segment >= present:
                console.event(event)
