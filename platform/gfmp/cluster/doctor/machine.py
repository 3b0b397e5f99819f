"""Disk, memory, limits and the clock: facts of the machine, and what they mean for a job."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gfmp.cluster.doctor.findings import Finding, bad, note, ok
from gfmp.errors import RefusedError, ServiceError, StorageError, TrainingError
from gfmp.storage.workspace import Workspace

GIB = 1 << 30
# A checkpoint of the demo is 62 MB, one of the paper's large model 4.9 GB while it is written.
_LEAST_DISK, _GOOD_DISK = GIB, 10 * GIB
# Two workers of the demo and Ray's processes.
_LEAST_MEMORY, _GOOD_MEMORY = 2 * GIB, 6 * GIB
_OBJECT_STORE = GIB // 2
_LEAST_FILES = 4096
_LEAST_INODES = 10_000
# What Ray puts behind its folder: /ray/session_<date>_<pid>/sockets/plasma_store.
_SOCKET_TAIL = len("/ray/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store")
_LONGEST_SOCKET = 107
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "lustre", "ceph", "9p"})
_SKEW_SECONDS = 2.0
# 2026-01-01: the first versions of gfmp are from that year.
_EARLIEST = 1_767_225_600.0


@dataclass(frozen=True)
class Place:
    """A folder that gfmp writes to.

    Attributes:
        path: The folder, or the nearest one above it that exists.
        writable: This user may write there.
        free_bytes: Of the disk.
        free_inodes: Of the disk; 0 total inodes (btrfs) count as plenty.
        file_system: Kind, such as ext4; empty when it is not known.
    """

    path: str
    writable: bool
    free_bytes: int
    free_inodes: int
    file_system: str


@dataclass(frozen=True)
class MachineFacts:
    """What was measured.

    Attributes:
        cores: CPU cores this process may use.
        memory_bytes: Memory that is available now.
        limit_bytes: Most that a container may take; 0 without a limit.
        shared_bytes: Size of /dev/shm; 0 without one.
        open_files: Files that a process may open.
        workspace: Where results go.
        temporary: Where Ray puts its sockets and spills.
        now: Seconds since 1970 by the clock.
        disk_now: The same by the clock of the workspace's disk; `now` when it cannot be asked.
        newest_run: When the newest run was written; 0 without runs.
    """

    cores: int
    memory_bytes: int
    limit_bytes: int
    shared_bytes: int
    open_files: int
    workspace: Place
    temporary: Place
    now: float
    disk_now: float
    newest_run: float


def gather(workspace: Workspace) -> MachineFacts:
    """Measure the machine; what is written for it has no name and is gone at once."""
    place = _place(workspace.root)
    now = time.time()
    runs = [path.stat().st_mtime for path in workspace.runs.glob("[!.]*")]
    shared = Path("/dev/shm")
    return MachineFacts(
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=_available(),
        limit_bytes=_limit(),
        shared_bytes=shutil.disk_usage(shared).total if shared.is_dir() else 0,
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        workspace=place,
        temporary=_place(Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())),
        now=now,
        disk_now=_disk_clock(Path(place.path), now) if place.writable else now,
        newest_run=max(runs, default=0.0),
    )


def judge(facts: MachineFacts) -> Iterator[Finding]:
    """Say what a job on this machine would lack."""
    yield ok("cpu", f"{facts.cores} cores")
    yield _memory(facts)
    yield _shared(facts)
    yield _files(facts)
    yield _disk("disk", facts.workspace, "choose another with --workspace")
    yield _disk("temporary files", facts.temporary, "choose another with RAY_TMPDIR")
    yield _sockets(facts.temporary)
    yield _clock(facts)


def _memory(facts: MachineFacts) -> Finding:
    free = min(facts.memory_bytes, facts.limit_bytes or facts.memory_bytes)
    words = f"{_gib(free)} available"
    if facts.limit_bytes:
        words += f", of a limit of {_gib(facts.limit_bytes)}"
    if free < _LEAST_MEMORY:
        return bad("memory", words, "end other programs, or use a larger machine", TrainingError)
    if free < _GOOD_MEMORY:
        return note("memory", words, "for small jobs: --set compute.workers=1")
    return ok("memory", words)


def _shared(facts: MachineFacts) -> Finding:
    words = f"/dev/shm has {_gib(facts.shared_bytes)}"
    if facts.shared_bytes < _OBJECT_STORE:
        return note("shared memory", words, "in a container: docker run --shm-size=2g")
    return ok("shared memory", words)


def _files(facts: MachineFacts) -> Finding:
    unlimited = facts.open_files == resource.RLIM_INFINITY
    words = "no limit" if unlimited else f"{facts.open_files:,} a process"
    if not unlimited and facts.open_files < _LEAST_FILES:
        return note("open files", words, "ulimit -n 65536")
    return ok("open files", words)


def _disk(name: str, place: Place, other: str) -> Finding:
    words = f"{_gib(place.free_bytes)} free in {place.path}"
    if not place.writable:
        fix = f"make it writable, or {other}"
        return bad(name, f"{place.path} cannot be written", fix, RefusedError)
    if place.free_bytes < _LEAST_DISK or place.free_inodes < _LEAST_INODES:
        words += f", for {place.free_inodes:,} files"
        return bad(name, words, f"free some, or {other}", StorageError)
    if place.file_system in _NETWORK:
        fix = "let MLFLOW_TRACKING_URI name a server: SQLite is not safe there"
        return note(name, f"{words}, a network disk ({place.file_system})", fix)
    if place.free_bytes < _GOOD_DISK:
        return note(name, words, f"enough for the demo; for more, {other}")
    return ok(name, words)


def _sockets(place: Place) -> Finding:
    longest = len(place.path) + _SOCKET_TAIL
    if longest > _LONGEST_SOCKET:
        words = f"Ray's would be {longest} characters long, {_LONGEST_SOCKET} at most"
        return bad("socket names", words, "export RAY_TMPDIR=/tmp", ServiceError)
    return ok("socket names", f"{longest} of {_LONGEST_SOCKET} characters")


def _clock(facts: MachineFacts) -> Finding:
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(facts.now))
    skew = facts.disk_now - facts.now
    fix = "set the clock: timedatectl set-ntp true"
    if facts.now < _EARLIEST:
        return bad("clock", f"{shown}, before gfmp was written", fix, ServiceError)
    if abs(skew) > _SKEW_SECONDS:
        return note("clock", f"{shown}; that of the disk differs by {skew:+.0f} s", fix)
    if facts.newest_run > facts.now + _SKEW_SECONDS:
        ahead = facts.newest_run - facts.now
        return note("clock", f"{shown}; the newest run is {ahead:,.0f} s in the future", fix)
    return ok("clock", shown)


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


def _place(path: Path) -> Place:
    there = next(place for place in (path.resolve(), *path.resolve().parents) if place.exists())
    found = os.statvfs(there)
    return Place(
        str(there),
        os.access(there, os.W_OK | os.X_OK),
        found.f_bavail * found.f_frsize,
        found.f_favail if found.f_files else 1 << 40,
        _file_system(there),
    )


def _file_system(path: Path) -> str:
    """Return the kind of the file system a path is on, from the longest mount point above it."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    mounts = [line.split()[1:3] for line in lines.splitlines()]
    above = [(len(point), kind) for point, kind in mounts if path.is_relative_to(point)]
    return max(above, default=(0, ""))[1]


def _available() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def _limit() -> int:
    """Return what a container may take; 0 when there is no limit below the whole memory."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    folder = Path("/sys/fs/cgroup")
    for path in (folder / "memory.max", folder / "memory" / "memory.limit_in_bytes"):
        words = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if words.isdigit() and int(words) < whole:
            return int(words)
    return 0


def _disk_clock(folder: Path, now: float) -> float:
    """Return the time by the clock that stamps files in `folder`."""
    try:
        with tempfile.TemporaryFile(dir=folder) as handle:
            handle.write(b".")
            handle.flush()
            return os.fstat(handle.fileno()).st_mtime
    except OSError:
        return now
