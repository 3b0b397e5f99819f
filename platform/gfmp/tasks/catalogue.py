"""Finding tasks: a name in specs/tasks/, a path to a YAML, or a folder in the layout of GUE."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import MissingInputError, Problem
from gfmp.spec.load import load_spec
from gfmp.spec.project import find_named
from gfmp.spec.task import TaskSpec
from gfmp.storage.documents import Document, did_you_mean
from gfmp.storage.workspace import checked_name
from gfmp.tasks.folder import folder_spec
from gfmp.tasks.inputs import named_files

_NOUN = "tasks"


@dataclass(frozen=True)
class TaskTarget:
    """A task that can be prepared.

    Attributes:
        name: What specs and tables call it.
        spec: What was asked.
        where: The YAML file, or the folder; relative paths of the spec start beside the former.
    """

    name: str
    spec: TaskSpec
    where: Path

    @property
    def base(self) -> Path:
        """The folder that relative paths of the spec start from."""
        return self.where if self.where.is_dir() else self.where.parent


def remedy(target: TaskTarget) -> str:
    """Return what brings the public files of a task here; empty when it has none."""
    public = target.spec.public
    if public is None:
        return ""
    return f"gfmp tasks fetch {target.name}" if public.download else public.instruction


def find_task(name: str, start: Path, *, check_files: bool = True) -> TaskTarget:
    """Find a task by its name, its YAML file or its folder.

    Args:
        name: A name in specs/tasks/, a path ending in .yaml, or a folder.
        start: The file or folder that relative paths and the search start from.
        check_files: Whether the files of its source must be there.

    Raises:
        MissingInputError: nothing of that name, or files of its source are missing: all of
            them, each with `file:line:col`.
        SpecError: the YAML asks for something that is not allowed.
        RefusedError: the name is not one a task can have.
        DataError: the labels of a folder make no target.
    """
    begin = start if start.is_dir() else start.parent
    folder = begin / Path(name).expanduser()
    looks_like_path = "/" in name or name in (".", "..")
    if folder.is_dir() and (looks_like_path or _is_layout(folder)):
        return _of_folder(folder.resolve())
    if looks_like_path and not name.endswith((".yaml", ".yml")):
        raise MissingInputError(
            f"there is no folder {name!r}",
            where=str(folder),
            why="a task is a name in specs/tasks/, a path ending in .yaml, or a folder",
            fix=did_you_mean(folder.name, _names_in(folder.parent)) or "check the path",
        )
    return _of_yaml(find_named(_NOUN, name, start), check_files=check_files)


def known_tasks(start: Path) -> tuple[TaskTarget, ...]:
    """Return every task of the specs/tasks/ folder nearest above `start`, sorted by name.

    Their files need not be there.

    Raises:
        SpecError: one of the files asks for something that is not allowed.
    """
    folder = (start if start.is_dir() else start.parent).resolve()
    places = (folder, *folder.parents, Path.cwd(), *Path.cwd().parents)
    catalogues = [p / "specs" / _NOUN for p in places if (p / "specs" / _NOUN).is_dir()]
    paths = sorted(catalogues[0].glob("*.yaml")) if catalogues else []
    return tuple(_of_yaml(path, check_files=False) for path in paths)


def _of_yaml(path: Path, *, check_files: bool) -> TaskTarget:
    spec, document = load_spec(path, {"task": TaskSpec})
    target = TaskTarget(checked_name(path.stem, "task"), spec, path)
    if check_files:
        _check_files(target, document)
    return target


def _check_files(target: TaskTarget, document: Document) -> None:
    how = remedy(target)
    missing = [
        Problem(
            f"there is no file {path}",
            document.where(key),
            "paths are relative to the folder of the YAML file",
            did_you_mean(path.name, _names_in(path.parent)) or how or "correct the path",
        )
        for key, path in named_files(target.spec, target.base)
        if not path.exists()
    ]
    if missing:
        raise MissingInputError.of(missing)


def _of_folder(folder: Path) -> TaskTarget:
    name = re.sub(r"[^a-z0-9._-]+", "-", f"{folder.parent.name}-{folder.name}".lower())
    return TaskTarget(
        checked_name(name.strip("-._")[:64] or "task", "task"), folder_spec(folder), folder
    )


def _is_layout(folder: Path) -> bool:
    return any((folder / f"test.csv{suffix}").is_file() for suffix in ("", ".gz"))


def _names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []
