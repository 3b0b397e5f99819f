"""What a driver that was killed leaves behind, and how the next one clears it away.

Processes are found by a mark in their environment, files by the writer in their name, Ray's
sessions by the process id of their driver: never by age, and never by a program's name.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from gfmp.errors import LockedError, RefusedError
from gfmp.storage.atomic import remove_dead, storage_faults
from gfmp.storage.locks import LockRecord
from gfmp.storage.owners import MARK_VARIABLE, process_exists
from gfmp.storage.workspace import Workspace

if TYPE_CHECKING:
    from gfmp.ledger.run import Run

RAY_FOLDER_VARIABLE = "RAY_TMPDIR"
# A person who looks into a crash finds Ray's own logs of the last few.
_KEPT_SESSIONS = 3
_KEPT_LOGS = 50
_LOG_SECONDS = 7 * 24 * 3600.0
_SESSION = re.compile(r"session_[0-9-]+_[0-9-]+_[0-9]+_(?P<pid>[0-9]+)")
# Ray puts sockets of about 75 characters below it, and a socket's path has at most 107.
_LONGEST_BASE = 24
_WORKER_SECONDS = 60.0
_POLL_SECONDS = 0.1


def end_marked(mark: str, grace_seconds: float = 0.0) -> int:
    """End every process of this machine that carries `mark`, and return how many were killed.

    Args:
        mark: Value of `GFMP_DRIVER` in their environment.
        grace_seconds: How long they may take to go by themselves.
    """
    assert mark != os.environ.get(MARK_VARIABLE), "nobody ends itself"
    psutil.wait_procs(_marked(mark), timeout=grace_seconds)
    killed = 0
    while found := _marked(mark):  # one that is being born is found in the next round
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        killed += len(found)
        psutil.wait_procs(found, timeout=1.0)
    return killed


def _marked(mark: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _mark_of(process) == mark]


def _mark_of(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        value: str | None = process.environ().get(MARK_VARIABLE)
        return value
    except (psutil.Error, OSError):
        return None  # gone meanwhile, or another user's


def end_predecessor(run: Run, before: LockRecord) -> None:
    """Wait until no worker of an earlier start can write into the run any more.

    Those of this machine are ended at once: their driver is dead, and what they compute from now
    on nobody would count.

    Raises:
        LockedError: one on another machine still lives after a minute.
    """
    if before.mark and before.host == socket.gethostname():
        end_marked(before.mark)
    deadline = time.monotonic() + _WORKER_SECONDS
    while run.worker_alive():
        if time.monotonic() > deadline:
            raise LockedError(
                f"workers of an earlier start of run {run.id} still write",
                where=str(run.ledger_path),
                why="two groups of workers would commit into one folder",
                fix=f"end them on their machines, then `{run.resume_command}`",
            )
        time.sleep(_POLL_SECONDS)


def ray_folder() -> Path:
    """Return the folder for Ray's sessions that only gfmp of this user uses; creates it.

    Ray's own choice, /tmp/ray, is shared with every other program, so nothing could be cleared
    away there.

    Raises:
        RefusedError: something of that name is there and is not a folder of this user.
    """
    base = tempfile.gettempdir()
    folder = Path(base if len(base) <= _LONGEST_BASE else "/tmp") / f"gfmp-{os.getuid()}"
    with storage_faults(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise RefusedError(
                "the folder for Ray's sessions belongs to somebody else",
                where=str(folder),
                why="whoever owns it could replace what Ray puts there",
                fix=f"remove it, or name another with {RAY_FOLDER_VARIABLE}",
            )
        folder.chmod(0o700)
    return folder


def clear_sessions(folder: Path) -> int:
    """Remove the sessions of dead drivers but the newest three; returns how many went.

    Args:
        folder: What `ray_folder` returned.
    """
    sessions = sorted((folder / "ray").glob("session_[0-9]*"))
    dead = [path for path in sessions if _session_is_dead(path)]
    for path in dead[:-_KEPT_SESSIONS]:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead[:-_KEPT_SESSIONS])


def _session_is_dead(session: Path) -> bool:
    found = _SESSION.fullmatch(session.name)
    if found is None or process_exists(int(found["pid"])):
        return False
    # In another container of this machine its process id means nothing here; its raylet answers.
    raylet = session / "sockets" / "raylet"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(raylet))
        except OSError:
            return True
    return False


def clear_workspace(workspace: Workspace) -> int:
    """Remove what killed writers left unfinished, and old logs; returns how many things went."""
    count = sum(remove_dead(folder) for folder in _folders(workspace))
    return count + _clear_logs(workspace.logs)


def _folders(workspace: Workspace) -> Iterable[Path]:
    """Yield the folders that no lock protects, so that whoever works there never sweeps them."""
    yield workspace.root
    for parent in (workspace.runs, workspace.cells, workspace.searches):
        yield parent
        yield from (path for path in parent.glob("[!.]*") if path.is_dir())
    for run in workspace.runs.glob("[!.]*"):
        yield from (run / name for name in ("workers", "models", "figures", "report"))


def _clear_logs(folder: Path) -> int:
    """Keep the newest logs, and all of the last week: a command may still write to them."""
    logs = sorted(folder.glob("*.log"))[:-_KEPT_LOGS]
    old = [path for path in logs if time.time() - path.stat().st_mtime > _LOG_SECONDS]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def clear_ray_results(run: Run) -> None:
    """Remove what Ray keeps of earlier starts; the ledger, checkpoints and cells are ours."""
    shutil.rmtree(run.path / "ray", ignore_errors=True)
