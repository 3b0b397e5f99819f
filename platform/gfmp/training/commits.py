"""Commits beside the training: a step waits for the copy of the state, a thread writes it.

The thread keeps the protocol of `Store.publish` over a channel of its own, so a commit is seen
whole or not at all, whatever happens to the training meanwhile. What it raises, the training
raises at the step that finds the commit ended on every rank.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from gfmp.spec.pretrain import Checkpointing
from gfmp.training.checkpoint import Committed, Store
from gfmp.training.engine import Readable
from gfmp.training.manifest import Cursor
from gfmp.training.retention import prune

# A run that ends with an error waits so long for the state it had before; the other ranks, which
# have to take part, may be gone.
_ABANDON_SECONDS = 30.0


class Commits:
    """The commits of one run on one rank, at most one at a time.

    Args:
        store: Where they go.
        keep: Which of them stay.
    """

    def __init__(self, store: Store, keep: Checkpointing) -> None:
        self._store = store
        self._beside = replace(store, group=store.group.apart())
        self._keep = keep
        self._flight: _Flight | None = None

    @property
    def written(self) -> bool:
        """True when the commit in flight has ended on this rank, well or not."""
        return self._flight is not None and self._flight.ended

    def begin(self, engine: Readable, cursor: Cursor, heldout_loss: float | None) -> None:
        """Copy the engine's state, all ranks together, and let a thread write it."""
        assert self._flight is None, "one commit at a time"
        began = time.perf_counter()
        snapshot = self._store.take(engine, cursor, heldout_loss)

        def _publish() -> Committed:
            done = self._beside.publish(snapshot)
            self._beside.group.on_root(lambda: prune(self._beside.folder, self._keep))
            return done

        self._flight = _Flight(cursor.step, _publish, began)

    def settle(self) -> dict[str, object] | None:
        """Wait for the commit in flight and forget it; all ranks together.

        Returns:
            What the ledger says about it: `seconds` that steps waited, `write_seconds` from its
            begin to its end. None when none was in flight.

        Raises:
            TrainingError: see `Store.publish`.
            StorageError: see `Store.publish`.
        """
        flight, self._flight = self._flight, None
        return flight.result() if flight is not None else None

    def abandon(self) -> None:
        """Wait for the commit in flight within bounds, and ask nothing of it."""
        if self._flight is not None:
            self._flight.wait(_ABANDON_SECONDS)


class _Flight:
    """One commit in a thread of its own."""

    def __init__(self, step: int, publish: Callable[[], Committed], began: float) -> None:
        self._step = step
        self._publish = publish
        self._began = began
        self._done: Committed | None = None
        self._fault: BaseException | None = None
        self._write_seconds = 0.0
        # No thread keeps a process alive whose training has ended with an error.
        self._thread = threading.Thread(target=self._run, name=f"commit-{step}", daemon=True)
        self._thread.start()
        self._paused_seconds = time.perf_counter() - began

    @property
    def ended(self) -> bool:
        """True when there is nothing to wait for."""
        return not self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the thread has ended, or so long."""
        self._thread.join(seconds)

    def result(self) -> dict[str, object]:
        """Wait for the end; return what there is to tell, or raise what the thread raised."""
        before = time.perf_counter()
        self.wait()
        if self._fault is not None:
            raise self._fault
        assert self._done is not None, "a thread ends with a checkpoint or a fault"
        return {
            "step": self._step,
            "path": str(self._done.path),
            "bytes": self._done.num_bytes,
            "seconds": self._paused_seconds + time.perf_counter() - before,
            "write_seconds": self._write_seconds,
        }

    def _run(self) -> None:
        try:
            self._done = self._publish()
        except BaseException as fault:
            self._fault = fault
        self._write_seconds = time.perf_counter() - self._began
