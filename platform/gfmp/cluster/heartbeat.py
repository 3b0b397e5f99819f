"""The pulse of a rank: a clock that progress winds up again, and what it leaves when it runs out.

Both halves of the clock work without the interpreter, so that a rank that stands still inside C
code, holding the interpreter's lock, is found too: `faulthandler` writes every stack from a thread
of its own, and a few seconds later the kernel ends the process by SIGALRM. Every rank watches
itself, on whatever machine it is; nobody has to reach it.
"""

from __future__ import annotations

import faulthandler
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing
from gfmp.storage.atomic import storage_faults
from gfmp.training.job import StepSource

# Start-up reads and hashes whole checkpoints, the report whole corpora.
SLOW_PHASE_SECONDS = 3600.0
# Ranks wait for each other: the others get this long to write their stacks as well.
GRACE_SECONDS = 5.0
_REWIND_SECONDS = 1.0


def stack_path(run_folder: Path, rank: int) -> Path:
    """Return the file a rank's stacks are appended to."""
    return run_folder / "logs" / f"stack-rank{rank}.log"


class Pulse:
    """The clock of this process; also keeps the stack of a crash."""

    def __init__(self, path: Path) -> None:
        with storage_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        self._limit = 0.0
        self._wound = 0.0

    def __enter__(self) -> Self:
        faulthandler.enable(self._file)
        self.beat(SLOW_PHASE_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0.0)

    def beat(self, limit_seconds: float) -> None:
        """Wind the clock up: it runs out when nothing calls again for `limit_seconds`."""
        now = time.monotonic()
        # Winding starts a thread; once a second is enough for limits of many.
        if limit_seconds == self._limit and now - self._wound < _REWIND_SECONDS:
            return
        self._limit, self._wound = limit_seconds, now
        faulthandler.dump_traceback_later(limit_seconds, file=self._file)
        signal.setitimer(signal.ITIMER_REAL, limit_seconds + GRACE_SECONDS)


@dataclass
class PulsedSource:
    """A source whose every step is a beat; also measures how long the rank waited for it.

    Attributes:
        source: Where the batches come from.
        pulse: The clock.
        limit_seconds: Longest time between two steps.
        end_step: Steps of the run; what follows the last one is a slow phase.
        feed_seconds: How long the newest batch was waited for.
    """

    source: StepSource
    pulse: Pulse
    limit_seconds: float
    end_step: int
    feed_seconds: float = field(default=0.0, init=False)

    def __call__(self, dealing: Dealing) -> Generator[tuple[TokenBatch, ...], None, None]:
        """Yield the micro-batches of each step of a dealing."""
        steps = self.source(dealing)
        while True:
            began = time.perf_counter()
            made = next(steps, None)
            if made is None:
                return
            self.feed_seconds = time.perf_counter() - began
            last = made[0].step + 1 >= self.end_step
            self.pulse.beat(SLOW_PHASE_SECONDS if last else self.limit_seconds)
            yield made
