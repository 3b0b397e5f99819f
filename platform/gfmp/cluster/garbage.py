"""`gfmp gc`: find what nothing needs any more, and take it away.

What is reached from a finished result, from a run that can be resumed or from a registered
vocabulary stays. References are contents and ids, so a workspace that was moved keeps what its
runs name.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gfmp.cluster.garbage_things import Surveyor
from gfmp.errors import LockedError, Problem
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.plan.garbage import Thing, garbage
from gfmp.storage.atomic import TEMPORARY_PREFIX
from gfmp.storage.locks import exclusive
from gfmp.storage.removal import discard, disk_bytes, set_aside
from gfmp.storage.workspace import Workspace

_CREATE_SECONDS = 60.0


@dataclass(frozen=True)
class Cleared:
    """What can go, or went.

    Attributes:
        things: What can go, or went, in that order.
        held_back: What could go but for a reason, with that reason instead of its own.
        problems: Runs that cannot be read; while there are any, only leftovers go.
    """

    things: tuple[Thing, ...]
    held_back: tuple[Thing, ...]
    problems: tuple[Problem, ...]

    @property
    def num_bytes(self) -> int:
        """What the disk gets back."""
        return sum(thing.num_bytes for thing in self.things)


def survey(workspace: Workspace, grace_seconds: float) -> Cleared:
    """Return what can go; changes nothing.

    Args:
        workspace: Where to look.
        grace_seconds: What is younger stays, because somebody may be about to use it.
    """
    found = Surveyor(workspace, time.time() - grace_seconds)
    things, problems = found.things()
    going = garbage(things)
    places = {Path(one.path) for one in going}
    outer = [one for one in going if not places & set(Path(one.path).parents)]
    sized = (replace(one, num_bytes=disk_bytes(Path(one.path))) for one in outer)
    return Cleared(tuple(sized), (), problems)


def clear(workspace: Workspace, grace_seconds: float) -> Cleared:
    """Take away what can go; every single thing is gone or whole, whenever this ends.

    No run is created meanwhile. While a command works in the workspace, what it may be about to
    use is held back: only what belongs to one run alone goes.

    Raises:
        LockedError: runs are being created for a minute.
        StorageError, RefusedError: the disk refused; what went before is gone.
    """
    if not workspace.root.is_dir():
        return Cleared((), (), ())
    doomed: list[Path] = []
    try:
        with contextlib.ExitStack() as held:
            held.enter_context(exclusive(workspace.runs / ".lock", wait_seconds=_CREATE_SECONDS))
            alone = _entered(held, workspace.use_lock)
            found = survey(workspace, grace_seconds)
            return _set_aside(found, workspace, alone, doomed)
    finally:
        # The names are gone already, so this needs no lock.
        for path in doomed:
            discard(path)


def _entered(held: contextlib.ExitStack, lock: Path) -> bool:
    try:
        held.enter_context(exclusive(lock))
    except LockedError:
        return False
    return True


def _set_aside(found: Cleared, workspace: Workspace, alone: bool, doomed: list[Path]) -> Cleared:
    gone: list[Thing] = []
    held_back: list[Thing] = []
    runs = {run.path: run for run in RunStore(workspace).list()}
    for thing in found.things:
        if not alone and not thing.private:
            held_back.append(replace(thing, why="a gfmp command works here and may be to use it"))
            continue
        with contextlib.ExitStack() as held:
            if _free(thing, runs, held):
                doomed.append(_nameless(Path(thing.path)))
                gone.append(thing)
            else:
                held_back.append(replace(thing, why="somebody works on it"))
    return Cleared(tuple(gone), tuple(held_back), found.problems)


def _free(thing: Thing, runs: dict[Path, Run], held: contextlib.ExitStack) -> bool:
    """Lock what protects a thing until `held` ends; False while somebody else has it locked."""
    path = Path(thing.path)
    run = next((runs[place] for place in (path, *path.parents) if place in runs), None)
    locks = {
        "corpus": path.parent / ".lock",
        "task": path.parent / "lock",
        "vocabulary": path.parent.parent / "lock",
    }
    lock = run.lock_path if run is not None else locks.get(thing.noun)
    return lock is None or _entered(held, lock)


def _nameless(path: Path) -> Path:
    return path if path.name.startswith(TEMPORARY_PREFIX) else set_aside(path)


def grouped(things: Sequence[Thing]) -> dict[tuple[str, str], tuple[Thing, ...]]:
    """Return things by noun and reason, in the order these first appear."""
    groups: dict[tuple[str, str], list[Thing]] = {}
    for thing in things:
        groups.setdefault((thing.noun, thing.why), []).append(thing)
    return {key: tuple(members) for key, members in groups.items()}
