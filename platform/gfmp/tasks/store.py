"""Prepared tasks on disk: read once, split, checked, then loaded in well under a second.

`tasks/<name>/<fingerprint>/` holds one Parquet file per split and `manifest.json`. The
fingerprint is of what decides the rows: the spec without its words for people, and the content
of the files, wherever they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError, DataError, MissingInputError
from gfmp.spec.task import FileSource, TaskSpec
from gfmp.storage.atomic import read_json, remove_abandoned, staged_directory, write_json
from gfmp.storage.hashes import fingerprint, sha256_file
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace, checked_name
from gfmp.tasks.catalogue import TaskTarget
from gfmp.tasks.inputs import (
    InputFile,
    context_file,
    file_digest,
    input_files,
    named_files,
)
from gfmp.tasks.prepare import Outline, assemble, build, published_words, words_of
from gfmp.tasks.rowfiles import read_rows, write_rows
from gfmp.tasks.task import SPLITS, Split, Target, Task

# Goes up when a change of gfmp changes the rows that a spec and its files give.
FORMAT_VERSION = 1
LOCK_WAIT_SECONDS = 600.0
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class _Manifest:
    format_version: int
    fingerprint: str
    target: Target
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    rows: dict[Split, int]
    facts: dict[str, str]
    sha256: dict[Split, str]


@dataclass(frozen=True)
class TaskStore:
    """The prepared tasks of a workspace."""

    workspace: Workspace

    def prepared(self, target: TaskTarget) -> bool:
        """Tell whether the task need not be read from its sources again."""
        return bool(self.num_rows(target))

    def num_rows(self, target: TaskTarget) -> Mapping[Split, int]:
        """Return the rows of each split of a prepared task; empty when it is not prepared."""
        try:
            path = self._folder(target) / _MANIFEST
        except (MissingInputError, DataError):  # without its files it can only be unprepared
            return {}
        if not path.is_file():
            return {}
        return _manifest(path).rows

    def prepare(self, target: TaskTarget) -> Task:
        """Return the task, reading its sources only the first time.

        Any number of processes may prepare at a time: one reads, the others wait for it.

        Raises:
            MissingInputError: a source file or package is not there.
            DataError: a source is wrong; names the place.
            SpecError: the split asks for something the rows do not have.
            CorruptArtefactError: what was stored is damaged.
            LockedError: another process holds the task for ten minutes.
        """
        folder = self._folder(target)
        if not (folder / _MANIFEST).is_file():
            with exclusive(folder.parent / "lock", wait_seconds=LOCK_WAIT_SECONDS):
                remove_abandoned(folder.parent)
                if not folder.exists():
                    _publish(folder, build(target.name, target.spec, target.base))
        task = _load(folder, target.name)
        rows: dict[Split, int] = {split: len(task.rows(split)) for split in SPLITS}
        words = {**words_of(target.spec), **published_words(target.spec, rows)}
        return replace(task, facts={**task.facts, **words})

    def keep(self, task: Task) -> Task:
        """Store a task that was made of prepared ones, so that `get` finds it; return it.

        Raises:
            StorageError: the disk refused.
            LockedError: another process holds the task for ten minutes.
        """
        folder = self.workspace.tasks / checked_name(task.name, "task") / task.fingerprint
        if not (folder / _MANIFEST).is_file():
            with exclusive(folder.parent / "lock", wait_seconds=LOCK_WAIT_SECONDS):
                remove_abandoned(folder.parent)
                if not folder.exists():
                    _publish(folder, task)
        return task

    def get(self, name: str, fingerprint: str) -> Task:
        """Return a prepared task by its content, without its spec and its sources.

        Raises:
            MissingInputError: no task of this name and content is prepared.
            CorruptArtefactError: what was stored is damaged.
        """
        folder = self.workspace.tasks / checked_name(name, "task")
        for path in sorted(folder.glob(f"*/{_MANIFEST}")):
            if read_json(path).get("fingerprint") == fingerprint:
                return _load(path.parent, name)
        raise MissingInputError(
            f"the task {name!r} with the content {fingerprint[:12]} is not prepared",
            where=str(folder),
            why="its rows are not in this workspace, or its source has changed since",
            fix=f"gfmp tasks show {name}",
        )

    def _folder(self, target: TaskTarget) -> Path:
        return self.workspace.tasks / target.name / _key(target.spec, target.base)


def _key(spec: TaskSpec, base: Path) -> str:
    source = spec.source
    if isinstance(source, FileSource):
        files: tuple[InputFile, ...] = input_files(spec, base)
        body = source.model_dump(mode="json", exclude=set(source.FILES))
    else:
        # Files inside packages are pinned by version and sha256 in the spec itself.
        files = tuple(InputFile("genome", path) for _, path in named_files(spec, base))
        body = source.model_dump(mode="json")
    beside: dict[str, object] = {}
    if spec.context is not None:
        joined = spec.context.model_dump(mode="json", exclude={"table"})
        beside["context"] = [joined, file_digest(context_file(spec.context, base))]
    return fingerprint(
        {
            "format_version": FORMAT_VERSION,
            "source": body,
            "files": [[file.role, file.path.name, file_digest(file)] for file in files],
            "target": spec.target.model_dump(mode="json"),
            "metrics": [spec.metric, *spec.also],
            "split": spec.split.model_dump(mode="json"),
            **beside,
        }
    )


def _publish(folder: Path, task: Task) -> None:
    with staged_directory(folder) as staging:
        for split in SPLITS:
            write_rows(staging / f"{split}.parquet", task.rows(split))
        write_json(
            staging / _MANIFEST,
            {
                "format_version": FORMAT_VERSION,
                "fingerprint": task.fingerprint,
                "target": asdict(task.target),
                "metrics": [task.metric, *task.also],
                "rows": {split: len(task.rows(split)) for split in SPLITS},
                "facts": dict(task.facts),
                "sha256": {split: sha256_file(staging / f"{split}.parquet") for split in SPLITS},
            },
        )


def _load(folder: Path, name: str) -> Task:
    path = folder / _MANIFEST
    if not path.is_file():
        raise _damaged(folder, "it has no manifest")
    manifest = _manifest(path)
    for split in SPLITS:
        part = folder / f"{split}.parquet"
        if not part.is_file() or manifest.sha256.get(split) != sha256_file(part):
            raise _damaged(part, "its bytes do not hash to what the manifest says")
    parts = {split: read_rows(folder / f"{split}.parquet") for split in SPLITS}
    metric, *also = manifest.metrics
    task = assemble(Outline(name, manifest.target, metric, tuple(also)), parts, manifest.facts)
    if task.fingerprint != manifest.fingerprint:
        raise _damaged(path, f"its rows hash to {task.fingerprint[:16]}")
    return task


def _manifest(path: Path) -> _Manifest:
    try:
        manifest = TypeAdapter(_Manifest).validate_python(read_json(path))
    except ValidationError as fault:
        raise _damaged(path, "its manifest has another format") from fault
    if manifest.format_version != FORMAT_VERSION:
        raise _damaged(path, f"its manifest has format {manifest.format_version}")
    return manifest


def _damaged(path: Path, how: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        f"the prepared task is damaged: {how}",
        where=str(path),
        why="gfmp publishes prepared tasks whole and never changes them",
        fix=f"remove this folder, and the task is read again: {path.parent}",
    )
