"""Bringing the public files of a task to where its YAML says they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import MissingInputError
from gfmp.spec.task_public import DownloadSpec, PublicSpec
from gfmp.storage.archives import unpack
from gfmp.storage.download import Download, Fetched, Progress, download, silent
from gfmp.tasks.catalogue import TaskTarget
from gfmp.tasks.inputs import named_files

# Called with the file that is fetched next; gives what is told of its bytes.
Watch = Callable[[Download], Progress]


@dataclass(frozen=True)
class Delivery:
    """What fetching a task came to.

    Attributes:
        fetched: Files that are here, fetched now or before.
        unpacked: Files that were taken out of archives.
        missing: Files of the source that are still not here.
        instruction: What to do about those by hand; empty when nothing is known.
    """

    fetched: tuple[Fetched, ...]
    unpacked: tuple[Path, ...]
    missing: tuple[Path, ...]
    instruction: str


def fetch_task(target: TaskTarget, watch: Watch = lambda wanted: silent) -> Delivery:
    """Bring the public files of a task that can simply be downloaded.

    Raises:
        MissingInputError: the task has no public files.
        ServiceError: a server cannot be reached; the same call goes on where this one stopped.
        DataError: a file is not what the task pins, or an archive lacks a member.
    """
    public = _public(target)
    fetched: list[Fetched] = []
    unpacked: list[Path] = []
    for one in public.download:
        members = {name: _place(target, path) for name, path in one.members.items()}
        wanted = _wanted(target, one)
        if members and all(path.is_file() for path in members.values()):
            continue  # the archive may have been thrown away since
        fetched.append(download(wanted, watch(wanted)))
        if members:
            unpack(wanted.path, members)
            unpacked += members.values()
    missing = tuple(path for _, path in named_files(target.spec, target.base) if not path.exists())
    return Delivery(tuple(fetched), tuple(unpacked), missing, public.instruction if missing else "")


def where_files_are(target: TaskTarget) -> str:
    """Tell in a word whether the files of a task are here, or how they come.

    `here` (also for files of packages), `fetch` (by `gfmp tasks fetch`), `by hand` (as its
    instruction says) or `missing`.
    """
    if all(path.exists() for _, path in named_files(target.spec, target.base)):
        return "here"
    if target.spec.public is None:
        return "missing"
    return "fetch" if target.spec.public.download else "by hand"


def _public(target: TaskTarget) -> PublicSpec:
    if target.spec.public is None:
        raise MissingInputError(
            f"the task {target.name!r} names no public files",
            where=str(target.where),
            why="its rows come from packages or from files of your own",
            fix=f"gfmp tasks show {target.name}",
        )
    return target.spec.public


def _wanted(target: TaskTarget, one: DownloadSpec) -> Download:
    return Download(one.url, _place(target, one.path), one.sha256, one.size_bytes or 0)


def _place(target: TaskTarget, path: str) -> Path:
    return (target.base / path).resolve()
