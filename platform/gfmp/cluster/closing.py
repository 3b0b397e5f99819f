"""Runs whose driver was killed without a word: MLflow is told that nobody works on them."""

from __future__ import annotations

import logging
import threading

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.workspace import Workspace

_FILE = "closed.json"


def close_killed(workspace: Workspace, present: Run) -> None:
    """Begin to tell MLflow of every killed run of the workspace but `present`; does not wait.

    The ledger knows it at once, because a dead process holds no lock. MLflow would show such a
    run as running for ever. What does not succeed is done by the next start of any run.
    """
    arguments = (workspace, present.id)
    threading.Thread(target=_close, args=arguments, name="close-killed", daemon=True).start()


def _close(workspace: Workspace, present: str) -> None:
    try:
        for run in killed(workspace):
            if run.id != present:
                _tell(run, workspace)
    except Exception:
        log = logging.getLogger(__name__)
        log.exception("killed runs stay open in MLflow; `gfmp runs sync` closes them")


def killed(workspace: Workspace) -> tuple[Run, ...]:
    """Return the runs whose driver was killed and of which MLflow was not told since."""
    return tuple(run for run in RunStore(workspace).list() if _was_killed(run))


def _was_killed(run: Run) -> bool:
    words = run.lifecycle()
    silent = bool(words) and words[-1].kind in ("started", "restarted")
    if not silent or run.status() is not Status.INTERRUPTED:
        return False
    path = run.path / _FILE
    try:
        return not path.exists() or read_json(path).get("segment") != words[-1].segment
    except CorruptArtefactError:
        return True


def _tell(run: Run, workspace: Workspace) -> None:
    # The import alone takes seconds.
    from gfmp.mlflow_store.sweeps import mirror_of

    segment = run.lifecycle()[-1].segment
    mirror_of(run, workspace).sync()
    write_json(run.path / _FILE, {"segment": segment})
