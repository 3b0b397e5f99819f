"""Everything of a workspace that stays or goes as a whole, with what it refers to."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gfmp.errors import GfmpError, Problem
from gfmp.genome.manifest import MANIFEST_NAME
from gfmp.ledger.header import FILE_NAME as HEADER_FILE
from gfmp.ledger.references import References, references_of
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status, owner_alive
from gfmp.ledger.store import RunStore
from gfmp.ledger.submission import creator_lives
from gfmp.plan.garbage import Thing
from gfmp.spec.pretrain import Checkpointing
from gfmp.storage.atomic import dead_temporaries, read_json
from gfmp.storage.workspace import Workspace
from gfmp.training.keeping import kept_steps
from gfmp.training.manifest import COMMITTED_PATTERN, Manifest, read_manifest
from gfmp.training.pretrained import identity_of

# Keys of things by what they are and what they hold.
_Index = dict[tuple[str, str], frozenset[str]]
_FOLDER_CHARACTERS = 16
_REJECTED = ".rejected-*"
# MLflow clears away its own, by `mlflow gc`.
_NOT_OURS = frozenset({"mlartifacts"})
_OVER = (Status.FINISHED, Status.FAILED, Status.INTERRUPTED)


@dataclass(frozen=True)
class _Known:
    """A run with what it refers to, and the checkpoints of one that is finished, by path."""

    run: Run
    status: Status
    refers: References
    checkpoints: dict[Path, Manifest]


class Surveyor:
    """Reads a workspace and says of everything in it what it is, needs and is kept for.

    Args:
        workspace: The workspace.
        before: Unix time in seconds; what nobody refers to stays when it changed since.
    """

    def __init__(self, workspace: Workspace, before: float) -> None:
        self._workspace = workspace
        self._before = before

    def things(self) -> tuple[tuple[Thing, ...], tuple[Problem, ...]]:
        """Return everything, and what is wrong with runs that cannot be read.

        Nobody knows what such a run refers to, so that everything but leftovers is kept then.
        """
        store = RunStore(self._workspace)
        known, problems = _read(store.list())
        problems = (*store.broken(), *problems, *_headless(self._workspace.runs))
        stored = tuple(self._stored())
        found = [*self._runs(known, _by_content(stored)), *(thing for thing, _ in stored)]
        if problems:
            why = "a run cannot be read, so nobody knows what it refers to"
            found = [replace(thing, kept=why) for thing in found]
        return (*found, *self._leftovers(known)), problems

    def _runs(self, known: tuple[_Known, ...], stored: _Index) -> Iterator[Thing]:
        named = stored | _models(known)
        for one in known:
            yield Thing(
                key=_run_key(one.run.id),
                noun="run",
                path=str(one.run.path),
                num_bytes=0,
                refers_to=_needs(one, named),
                kept=_kept_for(one) or self._young(one.run.path),
                why=f"it {_ENDED[one.status]} before its first checkpoint: nothing can be resumed",
                private=True,
            )
            for path in one.checkpoints:
                yield Thing(
                    key=_checkpoint_key(path),
                    noun="checkpoint",
                    path=str(path),
                    num_bytes=0,
                    why="its run is finished: neither the newest nor the best, and nothing uses it",
                    private=True,
                )

    def _young(self, path: Path) -> str:
        return "" if path.lstat().st_mtime < self._before else "it is young"

    def _stored(self) -> Iterator[tuple[Thing, str]]:
        """Yield what several runs may share, each with its content."""
        workspace = self._workspace
        for folder in _folders(workspace.corpora, 2):
            yield self._described("corpus", folder, "content_hash")
        for folder in _folders(workspace.tasks, 2):
            yield self._described("task", folder, "fingerprint")
        for folder in _folders(workspace.cells, 2):
            yield self._shared("cell", folder), folder.name
        for folder in _folders(workspace.searches, 2):
            yield self._shared("search", folder), folder.name
        for folder in _folders(workspace.references, 1):
            yield self._shared("letters", folder), folder.name
        yield from self._vocabularies()

    def _described(self, noun: str, folder: Path, key: str) -> tuple[Thing, str]:
        """Return an artefact whose manifest says what it holds; one that cannot tell stays."""
        thing = self._shared(noun, folder)
        try:
            return thing, str(read_json(folder / MANIFEST_NAME)[key])
        except (GfmpError, OSError, KeyError):
            return replace(thing, kept="it cannot be read, so nobody knows who needs it"), ""

    def _shared(self, noun: str, folder: Path) -> Thing:
        return Thing(
            key=f"{noun}:{folder.relative_to(self._workspace.root).as_posix()}",
            noun=noun,
            path=str(folder),
            num_bytes=0,
            kept=self._young(folder),
            why=_WHY[noun],
        )

    def _vocabularies(self) -> Iterator[tuple[Thing, str]]:
        root = self._workspace.vocabularies
        registered = {
            str(read_json(path).get("fingerprint"))[:_FOLDER_CHARACTERS]: path.stem
            for path in sorted((root / "names").glob("[!.]*.json"))
        }
        for folder in _folders(root / "objects", 1):
            thing, name = self._shared("vocabulary", folder), registered.get(folder.name)
            named = replace(thing, kept=f"it is registered as {name}") if name else thing
            yield named, folder.name

    def _leftovers(self, known: tuple[_Known, ...]) -> Iterator[Thing]:
        root = self._workspace.root
        for folder, inside, _ in os.walk(root):
            inside[:] = [n for n in inside if n[0] != "." and n not in _NOT_OURS]
            for path in dead_temporaries(Path(folder)):
                yield _leftover(path, "whoever wrote it was killed before it was whole")
        for one in known:
            if one.status not in _OVER or owner_alive(one.run.lock_path):
                continue
            if (one.run.path / "ray").is_dir():
                yield _leftover(one.run.path / "ray", "Ray's notes of a run that is over")
            if one.status is Status.FINISHED:
                for path in sorted(one.run.checkpoints_path.glob(_REJECTED)):
                    yield _leftover(path, "a damaged checkpoint of a run that is finished")


def _read(runs: tuple[Run, ...]) -> tuple[tuple[_Known, ...], tuple[Problem, ...]]:
    known: list[_Known] = []
    problems: list[Problem] = []
    for run in runs:
        try:
            status = run.status()
            checkpoints = _checkpoints(run) if status is Status.FINISHED else {}
            known.append(_Known(run, status, references_of(run), checkpoints))
        except GfmpError as fault:
            problems.extend(fault.problems)
    return tuple(known), tuple(problems)


def _headless(runs: Path) -> tuple[Problem, ...]:
    """Return one problem for each folder that was a run and lost its header."""
    return tuple(
        Problem(
            "a run without its header",
            where=str(folder),
            why="a run is published with its header, so somebody removed it",
            fix=f"restore {HEADER_FILE}, or remove the folder if nobody needs the run",
        )
        for folder in _folders(runs, 1)
        if not (folder / HEADER_FILE).is_file()
    )


def _checkpoints(run: Run) -> dict[Path, Manifest]:
    if run.header.kind != "pretrain":
        return {}
    paths = sorted(run.checkpoints_path.glob(COMMITTED_PATTERN))
    return {path: read_manifest(path) for path in paths}


def _by_content(stored: tuple[tuple[Thing, str], ...]) -> _Index:
    found: _Index = {}
    for thing, content in stored:
        if content:
            key = (thing.noun, content)
            found[key] = found.get(key, frozenset()) | {thing.key}
    return found


def _models(known: tuple[_Known, ...]) -> _Index:
    """Return the keys of the checkpoints that hold a model, by its fingerprint."""
    found: _Index = {}
    for one in known:
        for path, manifest in one.checkpoints.items():
            key = ("model", identity_of(manifest, path))
            found[key] = found.get(key, frozenset()) | {_checkpoint_key(path)}
    return found


def _needs(one: _Known, named: _Index) -> frozenset[str]:
    """Return the keys of what a run refers to, wherever it lies and however often it is there."""
    refers, runs = one.refers, one.run.path.parent
    contents: dict[str, Collection[str]] = {
        "corpus": refers.corpora,
        "task": refers.tasks,
        "cell": refers.cells,
        "search": refers.searches,
        "vocabulary": {content[:_FOLDER_CHARACTERS] for content in refers.vocabularies},
        "letters": {content[:_FOLDER_CHARACTERS] for content in refers.letters},
        "model": refers.initials,
    }
    keys = {_run_key(name) for name in refers.run_ids}
    keys |= {_checkpoint_key(path) for path in _own(one)}
    for name, step in refers.runs:
        keys |= {_checkpoint_key(path) for path in runs.glob(f"{name}/checkpoints/*{step:09d}")}
    for noun, wanted in contents.items():
        keys = keys.union(*(named.get((noun, content), frozenset()) for content in wanted))
    return frozenset(keys)


def _own(one: _Known) -> tuple[Path, ...]:
    """Return the checkpoints of a finished run that are its model, or that it was to keep."""
    if not one.checkpoints:
        return ()
    keep = Checkpointing(keep_last=1, keep_best=_keep_best(one.run))
    losses = {m.cursor.step: m.heldout_loss for m in one.checkpoints.values()}
    steps = kept_steps(losses, keep)
    return tuple(path for path, m in one.checkpoints.items() if m.cursor.step in steps)


def _keep_best(run: Run) -> int:
    """Return how many of the best checkpoints a run was to keep, as its plan says."""
    where = run.plan_json().get("where")
    asked = where.get("checkpoint") if isinstance(where, dict) else None
    found = asked.get("keep_best") if isinstance(asked, dict) else None
    return found if isinstance(found, int) else Checkpointing().keep_best


def _kept_for(one: _Known) -> str:
    """Return why a run stays; empty for one that ended with nothing to go on from."""
    if one.status is Status.FINISHED:
        return "it is finished"
    if owner_alive(one.run.lock_path) or one.run.worker_alive():
        return "it is running"
    if one.status is Status.PLANNED and creator_lives(one.run.path):
        return "it is about to begin"
    if one.run.header.kind != "pretrain":
        return "it can be resumed"
    # By what is there: the ledger names places of before the workspace was moved.
    held = any(one.run.checkpoints_path.glob(COMMITTED_PATTERN))
    return "it can be resumed" if held or any(one.run.checkpoints_path.glob(_REJECTED)) else ""


def _folders(parent: Path, depth: int) -> tuple[Path, ...]:
    pattern = "/".join(["[!.]*"] * depth)
    return tuple(path for path in sorted(parent.glob(pattern)) if path.is_dir())


def _leftover(path: Path, why: str) -> Thing:
    return Thing(f"leftover:{path}", "leftover", str(path), 0, why=why, private=True)


def _run_key(name: str) -> str:
    return f"run:{name}"


def _checkpoint_key(path: Path) -> str:
    return f"checkpoint:{path.parent.parent.name}/{path.name}"


_WHY = {
    "corpus": "no run was trained on it; its spec builds it again",
    "task": "no run learned it; its spec prepares it again",
    "cell": "no run asks for it; a sweep that does computes it again",
    "search": "no run asks for it; a sweep that does searches again",
    "letters": "no run reads this reference; its FASTA is read again",
    "vocabulary": "it has no name and no run reads it",
}
_ENDED = {
    Status.PLANNED: "was killed",
    Status.RUNNING: "runs",
    Status.FINISHED: "finished",
    Status.FAILED: "failed",
    Status.INTERRUPTED: "was stopped",
}
