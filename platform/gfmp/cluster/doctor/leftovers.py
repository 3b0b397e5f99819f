"""Locks that are held, and what killed programs left that others would wait for."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gfmp.cluster.doctor.findings import Finding, broken, note, ok
from gfmp.errors import GfmpError
from gfmp.ledger.status import owner_alive
from gfmp.storage.locks import last_owner
from gfmp.storage.workspace import Workspace
from gfmp.vocabulary.registry import FamilyRegistry

_DEEPEST = 4
_MOST_SHOWN = 4
# A build of torch's extensions takes a minute or two.
_STALE_SECONDS = 600.0


def locks(workspace: Workspace) -> Finding:
    """Tell which locks of the workspace living processes hold; a dead one holds none."""
    held = [path for path in lock_files(workspace.root) if owner_alive(path)]
    if not held:
        return ok("locks", "no other gfmp is writing to the workspace")
    owners = [f"{path.relative_to(workspace.root)} ({_owner(path)})" for path in held]
    more = f" and {len(held) - _MOST_SHOWN} more" if len(held) > _MOST_SHOWN else ""
    return ok("locks", f"held by living processes: {', '.join(owners[:_MOST_SHOWN])}{more}")


def lock_files(root: Path) -> list[Path]:
    """Return the lock files at most four folders below `root`, without what is being written."""
    found = []
    for folder, below, names in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        below[:] = [name for name in below if depth < _DEEPEST and not name.startswith(".tmp-")]
        found += [Path(folder, name) for name in names if name == "lock" or name.endswith(".lock")]
    return sorted(found)


def _owner(path: Path) -> str:
    owner = last_owner(path)
    return f"pid {owner.pid} on {owner.host}"


def extension_locks(home: Path, now: float) -> Finding:
    """Look for locks that killed builds of torch's extensions left: later ones wait for ever.

    Args:
        home: The cache that holds `torch_extensions/`, unless TORCH_EXTENSIONS_DIR names one.
        now: Seconds since 1970.
    """
    named = os.environ.get("TORCH_EXTENSIONS_DIR", "")
    root = Path(named) if named else home / "torch_extensions"
    stale = [p for p in sorted(root.glob("**/lock")) if now - p.stat().st_mtime > _STALE_SECONDS]
    return _judge_stale(stale)


def _judge_stale(stale: Sequence[Path]) -> Finding:
    if not stale:
        return ok("deepspeed locks", "no build of an extension was left locked")
    words = f"{len(stale)} left by a build that was killed; the next one would wait for ever"
    return note("deepspeed locks", words, f"rm {' '.join(map(str, stale))}")


def families() -> Finding:
    """Load every family of vocabularies that is installed."""
    try:
        found = FamilyRegistry.discover()
    except GfmpError as fault:
        return broken("vocabularies", fault)
    return ok("vocabularies", f"families {', '.join(found.names())}")


def all_of(workspace: Workspace) -> Iterator[Finding]:
    """Yield every finding of this module."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    yield extension_locks(cache, time.time())
    yield locks(workspace)
    yield families()
