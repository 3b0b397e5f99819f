"""Keep MLflow equal to a run's ledger from a thread beside the training."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from gfmp.ledger.run import Run
from gfmp.storage.workspace import Workspace


@contextlib.contextmanager
def mirrored(run: Run, workspace: Workspace) -> Iterator[None]:
    """Copy the ledger to MLflow every few seconds, and completely when the block ends.

    A tracking server that is down never stops training: the ledger is the truth, and
    `gfmp runs sync` copies what is missing later.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_mirror, args=(run, workspace, stop), name="mlflow-mirror")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _mirror(run: Run, workspace: Workspace, stop: threading.Event) -> None:
    # The import alone takes seconds, so it happens here and not on the way to the first step.
    try:
        from gfmp.mlflow_store.sweeps import mirror_of

        mirror_of(run, workspace).follow(stop)
    except Exception:
        logging.getLogger(__name__).exception("MLflow was not updated; the ledger is complete")
