"""Which checkpoint a run must have, by its ledger; no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gfmp.errors import MissingInputError
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.training.manifest import COMMITTED_PATTERN

_STANDS = frozenset({"checkpoint", "resumed", "rewound"})


def committed_step(events: Iterable[Event]) -> int:
    """Return the step of the newest checkpoint a run must still have; 0 while none was made.

    A run that was resumed or rewound from an older checkpoint had given up the newer ones.
    """
    step = 0
    for event in events:
        if event.kind in _STANDS:
            step = event.step
    return step


def newest_commit(run: Run) -> int:
    """Return the step of the newest checkpoint in the ledger of `run`; see `committed_step`.

    Raises:
        CorruptArtefactError: the ledger is broken.
    """
    return committed_step(run.events(*_STANDS))


def require_checkpoint(run: Run) -> None:
    """Refuse to resume a run whose checkpoints are gone; looks at names only, so it is quick.

    Raises:
        MissingInputError: the ledger holds commits, and no checkpoint is there.
        CorruptArtefactError: the ledger is broken.
    """
    step = newest_commit(run)
    if step and not any(run.checkpoints_path.glob(COMMITTED_PATTERN)):
        raise nothing_left(run.checkpoints_path, step)


def nothing_left(folder: Path, step: int) -> MissingInputError:
    """Return the error of a run that committed `step` and has no checkpoint to go on from."""
    return MissingInputError(
        f"no checkpoint is left, and the ledger says that step {step:,} was committed",
        where=str(folder),
        why="training never starts again from step 0 where progress was committed",
        fix="restore the folder from a backup, or submit the job again with --new for a new run",
    )
