"""How a driver died, and whether another one is started after it."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gfmp.errors import CorruptArtefactError, LostServiceError

if TYPE_CHECKING:
    from gfmp.ledger.run import Run

# What C++ libraries end a process with; gfmp itself never does.
_CRASHES = frozenset({1, 128 + signal.SIGABRT})
# A fault of the program, not of its surroundings: it will most likely happen again.
_OWN_FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
# Kills from outside without a new checkpoint in between: about half an hour of them.
_MOST_KILLS = 30
_MOST_FAILURES = 3
_LONGEST_DELAY_SECONDS = 60.0


def died(status: int) -> bool:
    """Return True when a process with this `Popen` status did not end by its own decision."""
    return status < 0 or status in _CRASHES or status == LostServiceError.exit_status


def cause_of(status: int) -> str:
    """Return what ended a process, as a person reads it."""
    if status < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"killed by {names.get(-status, f'signal {-status}')}"
    if status == LostServiceError.exit_status:
        return "Ray's head was lost"
    return f"exit status {status}"


@dataclass(frozen=True)
class Lives:
    """Deaths of the drivers of one command, and how far the run has come between them.

    Attributes:
        deaths: Since the last new checkpoint.
        committed: Newest committed step that was seen.
        most: Deaths without a new checkpoint that are survived.
        cause: What the last death was.
    """

    deaths: int = 0
    committed: int = 0
    most: int = _MOST_FAILURES
    cause: str = ""

    def after(self, status: int, run: Run | None) -> Lives:
        """Return the lives after a death with this status; a new checkpoint makes all good."""
        committed = run.committed_step() if run is not None else 0
        return replace(
            self,
            deaths=1 if committed > self.committed else self.deaths + 1,
            committed=max(committed, self.committed),
            most=_most(status, run),
            cause=cause_of(status),
        )

    @property
    def spent(self) -> bool:
        """True when no other driver is started."""
        return self.deaths > self.most

    @property
    def delay_seconds(self) -> float:
        """How long to wait before the next start: 1, 2, 4 .. 60 s."""
        return min(_LONGEST_DELAY_SECONDS, 2.0 ** (self.deaths - 1)) if self.deaths else 0.0


def _most(status: int, run: Run | None) -> int:
    """Return how many deaths in a row are survived; `compute.max_failures: 0` means none."""
    if run is None:
        return _MOST_FAILURES
    allowed = _allowed(run)
    return allowed if -status in _OWN_FAULTS or allowed == 0 else max(allowed, _MOST_KILLS)


def _allowed(run: Run) -> int:
    if run.header.kind != "pretrain":
        return _MOST_FAILURES
    try:
        return run.plan().where.max_failures
    except CorruptArtefactError:
        return 0  # the next driver would only say the same
