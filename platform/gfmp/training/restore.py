"""Finding the newest whole checkpoint and loading it; never a silent start from zero."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from gfmp.errors import CorruptArtefactError, MissingInputError, Problem, SpecError
from gfmp.storage.atomic import (
    TEMPORARY_PREFIX,
    read_json,
    remove_abandoned,
    storage_faults,
)
from gfmp.training.checkpoint import Identity, Store, moment_key
from gfmp.training.engine import PARTS, Engine, Part, parameters_of
from gfmp.training.history import nothing_left
from gfmp.training.manifest import (
    COMMITTED_PATTERN,
    ENSEMBLE_FILE,
    WEIGHTS_FILE,
    Cursor,
    Manifest,
    directory_name,
    verify,
    what_differs,
)
from gfmp.vocabulary.ensemble import Ensemble

REJECTED_PREFIX = ".rejected-"


@dataclass(frozen=True)
class Rejected:
    """A checkpoint that is not used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Found:
    """What a folder of checkpoints holds.

    Attributes:
        path: The newest whole checkpoint; None when no checkpoint was ever committed.
        manifest: Its manifest; None with `path`.
        rejected: Newer ones that are not whole, newest first, then those never committed.
    """

    path: Path | None
    manifest: Manifest | None
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Restored:
    """A loaded checkpoint."""

    path: Path
    cursor: Cursor


def committed(folder: Path) -> list[Path]:
    """Return the published checkpoints of a folder, newest first; nothing is verified."""
    return sorted(folder.glob(COMMITTED_PATTERN), reverse=True)


def find_newest(folder: Path) -> Found:
    """Verify checkpoints from the newest down to the first whole one; changes nothing.

    Raises:
        MissingInputError: there are checkpoints, and none of them is whole.
    """
    unfinished = tuple(
        Rejected(path, "its writer was stopped before it was committed")
        for path in sorted(folder.glob(f"{TEMPORARY_PREFIX}{COMMITTED_PATTERN}"))
    )
    rejected: list[Rejected] = []
    for path in committed(folder):
        try:
            manifest = verify(path)
        except CorruptArtefactError as fault:
            rejected.append(Rejected(path, fault.problems[0].message))
        else:
            return Found(path, manifest, (*rejected, *unfinished))
    if rejected or any(folder.glob(f"{REJECTED_PREFIX}*")):
        raise _nothing_whole(folder, rejected)
    return Found(None, None, unfinished)


def clear_rejected(folder: Path, rejected: Sequence[Rejected]) -> None:
    """Free the names of rejected checkpoints: committed ones are set aside, others removed."""
    for item in rejected:
        if not item.path.name.startswith(TEMPORARY_PREFIX):
            aside = folder / f"{REJECTED_PREFIX}{item.path.name}-{uuid.uuid4().hex[:8]}"
            with storage_faults(aside):
                item.path.rename(aside)
    remove_abandoned(folder)


def restore(
    store: Store, engine: Engine, committed_step: int = 0
) -> tuple[Restored | None, tuple[Rejected, ...]]:
    """Load the newest whole checkpoint into `engine`; all ranks together.

    Args:
        store: The checkpoints.
        engine: What they are loaded into.
        committed_step: Step of the newest checkpoint that must be there, by the ledger; an older
            one is taken when it is gone, but never the state of step 0.

    Returns:
        What was loaded, None only when no checkpoint was ever committed here; and what was
        rejected on the way.

    Raises:
        MissingInputError: there are checkpoints and none of them is whole, or all are gone.
        SpecError: the checkpoint belongs to another ensemble or another plan.
    """
    found = store.group.on_root(lambda: _find(store, committed_step))
    if found.path is None or found.manifest is None:
        return None, found.rejected
    return _restored(found.path, found.manifest, store, engine), found.rejected


def _restored(path: Path, manifest: Manifest, store: Store, engine: Engine) -> Restored:
    _load(path, manifest, engine)
    engine.settle(manifest.cursor.updates + store.identity.plan.what.updates_before)
    return Restored(path, manifest.cursor)


def _find(store: Store, committed_step: int) -> Found:
    found = find_newest(store.folder)
    if found.path is not None and found.manifest is not None:
        check_identity(found.path, found.manifest, store.identity)
    step = found.manifest.cursor.step if found.manifest else 0
    if committed_step and not step:
        raise nothing_left(store.folder, committed_step)
    clear_rejected(store.folder, found.rejected)
    gone = store.folder / directory_name(committed_step)
    if step < committed_step and gone not in [item.path for item in found.rejected]:
        missing = Rejected(gone, "the ledger says that it was committed, and it is gone")
        return replace(found, rejected=(missing, *found.rejected))
    return found


def rewind(
    store: Store, engine: Engine, first: int, tell: Callable[[int], None]
) -> Restored | None:
    """Load the newest whole checkpoint of at most `first` steps; all ranks together.

    Args:
        store: The checkpoints; newer ones are removed, because the run goes another way now.
        engine: What it is loaded into.
        first: Steps it may have done.
        tell: Called on rank 0 with its step before anything is removed.

    Returns:
        What was loaded; None, and nothing removed, when no such checkpoint is there.
    """
    found = store.group.on_root(lambda: _newest_until(store.folder, first))
    if found is None:
        return None
    path, manifest = found
    store.group.on_root(lambda: forget_newer(store.folder, manifest.cursor.step, tell))
    return _restored(path, manifest, store, engine)


def _newest_until(folder: Path, first: int) -> tuple[Path, Manifest] | None:
    for path in committed(folder):
        with contextlib.suppress(CorruptArtefactError):
            manifest = verify(path)
            if manifest.cursor.step <= first:
                return path, manifest
    return None


def forget_newer(folder: Path, step: int, tell: Callable[[int], None]) -> None:
    """Tell that a run goes back to `step`, then remove its newer checkpoints; rank 0 only."""
    tell(step)
    for path in committed(folder):
        if path.name > directory_name(step):
            remove_checkpoint(path)


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint; a half-removed one is never seen as whole."""
    doomed = path.parent / f"{TEMPORARY_PREFIX}removed-{path.name}"
    with storage_faults(path):
        path.rename(doomed)
        shutil.rmtree(doomed)


def check_identity(path: Path, manifest: Manifest, identity: Identity) -> None:
    """Compare a checkpoint with the run that wants it.

    Raises:
        SpecError: another ensemble, or another plan; lists every difference.
    """
    if manifest.ensemble_fingerprint != identity.ensemble.fingerprint:
        stored = Ensemble.from_json(read_json(path / ENSEMBLE_FILE), str(path / ENSEMBLE_FILE))
        raise _another(path, "ensemble", [stored.difference(identity.ensemble)])
    if manifest.what_fingerprint != identity.plan.what.fingerprint:
        raise _another(path, "plan", what_differs(manifest.what, identity.what()))


def write_model(engine: Engine, model: nn.Module) -> None:
    """Give the engine the weights of `model` and the moments of no update; all ranks together."""
    for name, parameter in parameters_of(model):
        weight = parameter.detach()
        for part in PARTS:
            engine.write(name, part, weight if part == "weight" else torch.zeros_like(weight))
    engine.settle(0)


def _load(path: Path, manifest: Manifest, engine: Engine) -> None:
    with opened(path, manifest) as state:
        for name in engine.names:
            for part in PARTS:
                engine.write(name, part, state.read(name, part))


class StoredState:
    """The weights and moments of an open checkpoint, whichever engine and ranks wrote it."""

    def __init__(self, path: Path, readers: Mapping[str, Any]) -> None:
        self._path = path
        self._readers = readers

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in no order that matters."""
        ends = tuple(moment_key("", part) for part in PARTS if part != "weight")
        return tuple(key for key in self._readers if not key.endswith(ends))

    def read(self, name: str, part: Part) -> torch.Tensor:
        """Return a whole parameter or moment of it."""
        key = name if part == "weight" else moment_key(name, part)
        assert key in self._readers, f"{self._path} has no tensor {key!r}"
        tensor: torch.Tensor = self._readers[key].get_tensor(key)
        return tensor


@contextlib.contextmanager
def opened(path: Path, manifest: Manifest) -> Iterator[StoredState]:
    """Open the tensors of a verified checkpoint; each is read when it is asked for."""
    with contextlib.ExitStack() as files:
        readers: dict[str, Any] = {}
        for file in sorted(manifest.files):
            if file.endswith(".safetensors"):
                reader = files.enter_context(safe_open(path / file, framework="pt"))
                readers.update(dict.fromkeys(reader.keys(), reader))
        yield StoredState(path, readers)


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a checkpoint by parameter name, without its moments."""
    return read_tensors(path / WEIGHTS_FILE)


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file by name."""
    with safe_open(file, framework="pt") as tensors:
        return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118


def _another(path: Path, noun: str, differences: Sequence[str]) -> SpecError:
    problems = [
        Problem(
            f"the checkpoint belongs to another {noun}: {difference}",
            str(path),
            "a run resumes only what it would have computed itself",
            "submit the job as it was, or start a new run under another name",
        )
        for difference in differences
    ]
    error = SpecError.of(problems)
    assert isinstance(error, SpecError), "`of` builds its own class"
    return error


def _nothing_whole(folder: Path, rejected: Sequence[Rejected]) -> MissingInputError:
    reasons = "; ".join(f"{item.path.name}: {item.reason}" for item in rejected)
    return MissingInputError(
        f"no checkpoint is whole ({reasons or 'all were rejected before'})",
        where=str(folder),
        why="training never starts again from step 0 where progress was committed",
        fix="restore one of them from a backup, or start a new run",
    )
