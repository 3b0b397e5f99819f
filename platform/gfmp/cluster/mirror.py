"""Keep MLflow equal to a run's ledger from a thread beside the training."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gfmp.errors import InterruptedRunError
from gfmp.ledger.run import Run
from gfmp.storage.workspace import Workspace

# What the last synchronisation may take after a run, and after one that somebody stops: a
# server that is silent must not keep a machine that is about to be taken away.
GRACE_SECONDS = 60.0
STOPPED_SECONDS = 10.0
# MLflow hears of a run this long after it began, or after its first step.
HEAD_START_SECONDS = 30.0
_LOOK_SECONDS = 1.0
Say = Callable[[str], None]
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def mirrored(
    run: Run, workspace: Workspace, say: Say = _log.warning, grace_seconds: float = GRACE_SECONDS
) -> Iterator[None]:
    """Copy the ledger to MLflow every few seconds, and completely when the block ends.

    A tracking server that is down or silent neither stops training nor holds up its end: the
    ledger is the truth, and `gfmp runs sync` copies what is missing later.

    Args:
        run: The run.
        workspace: Says where MLflow keeps its runs.
        say: Told how to bring MLflow up to date when it is behind at the end.
        grace_seconds: How long to wait for the last synchronisation.
    """
    beside = _Beside(run, workspace)
    # As a daemon it cannot keep the process alive while it waits for a server.
    thread = threading.Thread(target=beside.work, name="mlflow-mirror", daemon=True)
    thread.start()
    patience = grace_seconds
    try:
        yield
    except InterruptedRunError:
        patience = min(grace_seconds, STOPPED_SECONDS)
        raise
    finally:
        beside.stop.set()
        thread.join(patience)
        if thread.is_alive():
            say(f"MLflow is behind: it did not answer for {patience:g} s; {_remedy(run)}")
        elif beside.problem:
            say(f"MLflow is behind: {beside.problem}; {_remedy(run)}")


def _remedy(run: Run) -> str:
    return f"nothing is lost, `gfmp runs sync {run.id}` brings it up to date"


@dataclass
class _Beside:
    """What the thread does, and what became of it."""

    run: Run
    workspace: Workspace
    stop: threading.Event = field(default_factory=threading.Event)
    problem: str = ""

    def work(self) -> None:
        """Follow the ledger until told to stop."""
        # The import alone takes seconds of CPU, which the start of the ranks needs more.
        try:
            self._let_it_start()
            from gfmp.mlflow_store.sweeps import mirror_of

            mirror = mirror_of(self.run, self.workspace)
            mirror.follow(self.stop)
            self.problem = mirror.problem
        except Exception as fault:
            _log.exception("MLflow was not updated; the ledger is complete")
            self.problem = f"{type(fault).__name__}: {fault}"

    def _let_it_start(self) -> None:
        """Wait for the first step of this start, but not for long."""
        if self.run.header.kind != "pretrain":
            return
        before, until = self.run.last_step(), time.monotonic() + HEAD_START_SECONDS
        while time.monotonic() < until and self.run.last_step() == before:
            if self.stop.wait(_LOOK_SECONDS):
                return
