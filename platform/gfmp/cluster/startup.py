"""The clock of a start: a process marks the end of each phase until the first step is taken."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from dataclasses import dataclass, field

import psutil

from gfmp.cluster.supervise import BEGAN_VARIABLE
from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing
from gfmp.ledger.startup import Mark, startup_fields
from gfmp.training.job import StepSource


@dataclass
class StartClock:
    """Ends of the phases of this process so far.

    Attributes:
        began: Unix time at which the first phase began.
        stopped: True once the first step is taken and the ledger has the marks.
    """

    began: float = field(default_factory=time.time)
    stopped: bool = False
    _marks: list[Mark] = field(default_factory=list)

    @classmethod
    def of_process(cls) -> StartClock:
        """Begin when this process did, or when the command was given that started it."""
        return cls(float(os.environ.pop(BEGAN_VARIABLE, "0")) or process_began())

    def ended(self, name: str) -> None:
        """Mark the end of a phase."""
        self._marks.append(Mark(name, time.time(), time.process_time()))

    def fields(self) -> dict[str, object]:
        """Return what the ledger keeps."""
        return startup_fields(self.began, self._marks)


def process_began() -> float:
    """Return the unix time at which this process began."""
    return float(psutil.Process().create_time())


@dataclass
class ClockedSource:
    """A source that marks when it is first asked for batches, and when the first one is there."""

    source: StepSource
    clock: StartClock
    _asked: bool = False

    def __call__(self, dealing: Dealing) -> Generator[tuple[TokenBatch, ...], None, None]:
        """Yield what the source yields."""
        steps = self.source(dealing)
        if self._asked:
            yield from steps
            return
        self._asked = True
        self.clock.ended("rank 0 builds the model and its engine, and restores them")
        first = next(steps, None)
        self.clock.ended("rank 0 waits for its first batch")
        if first is not None:
            yield first
            yield from steps
