"""Committing a checkpoint: all ranks write, one rename publishes.

A checkpoint does not know engines: whole fp32 weights and AdamW moments in safetensors, so any
engine at any world size resumes from any other, bit for bit. `model.safetensors` holds the
weights alone and is all that inference needs.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter
from torch import Tensor

from gfmp.errors import GfmpError, StorageError, TrainingError
from gfmp.plan.values import Plan, What
from gfmp.storage.atomic import (
    TEMPORARY_PREFIX,
    publish_directory,
    storage_faults,
    write_json,
)
from gfmp.training.engine import PARTS, Readable
from gfmp.training.manifest import (
    ENSEMBLE_FILE,
    WEIGHTS_FILE,
    Cursor,
    Manifest,
    StoredFile,
    directory_name,
    library_versions,
    stored_file,
    write_manifest,
)
from gfmp.training.processes import Group
from gfmp.training.room import require_room, too_large
from gfmp.training.tensors import write_tensors
from gfmp.vocabulary.ensemble import Ensemble


@dataclass(frozen=True)
class Identity:
    """What a checkpoint belongs to.

    Attributes:
        plan: The run's plan; its `what` must be that of the checkpoint.
        ensemble: The run's ensemble.
    """

    plan: Plan
    ensemble: Ensemble

    def what(self) -> dict[str, object]:
        """Return the plan's identity as JSON values."""
        values: dict[str, object] = TypeAdapter(What).dump_python(self.plan.what, mode="json")
        return values


@dataclass(frozen=True)
class Committed:
    """A published checkpoint, and the bytes of all its files but the manifest."""

    path: Path
    num_bytes: int


@dataclass(frozen=True)
class Snapshot:
    """A state in main memory, apart from the training that goes on.

    Attributes:
        cursor: Where the run stood.
        heldout_loss: Held-out loss at that step, None when it was not measured there.
        held: What this rank writes, by file and name: fp32, on the CPU.
        num_bytes: Bytes of what all ranks write.
    """

    cursor: Cursor
    heldout_loss: float | None
    held: Mapping[str, Mapping[str, Tensor]]
    num_bytes: int


@dataclass(frozen=True)
class Store:
    """The checkpoints of one run; every call is made by all ranks together.

    Attributes:
        folder: Where they are.
        identity: What they belong to.
        group: The ranks that write.
    """

    folder: Path
    identity: Identity
    group: Group

    def commit(self, engine: Readable, cursor: Cursor, heldout_loss: float | None) -> Committed:
        """Take the engine's state and publish it as one directory; raises as `publish` does."""
        return self.publish(self.take(engine, cursor, heldout_loss))

    def take(self, engine: Readable, cursor: Cursor, heldout_loss: float | None) -> Snapshot:
        """Copy the engine's state to memory; training may go on as soon as this returns."""
        held, num_bytes = _take(engine, self.group)
        return Snapshot(cursor, heldout_loss, held, num_bytes)

    def publish(self, snapshot: Snapshot) -> Committed:
        """Write a state and publish it as one directory.

        Raises:
            TrainingError: a weight or moment is not finite; nothing is published.
            StorageError: there is too little room, or a rank could not write; nothing is
                published.
            ExistsError: a checkpoint of this step is already there.
        """
        step, needed = snapshot.cursor.step, snapshot.num_bytes
        final = self.folder / directory_name(step)
        staging = Path(self.group.on_root(lambda: str(self._stage(final, needed))))
        try:
            written = self.group.all_agree(lambda: _write_share(staging, snapshot.held, step))
            files = {name: file for share in written for name, file in share.items()}
            num_bytes = self.group.on_root(lambda: self._publish(staging, snapshot, files))
        except GfmpError as fault:
            # Everything else, such as a rank that was killed, leaves the folder behind: whoever
            # restarts finds it, tells why this checkpoint is not there, and removes it.
            shutil.rmtree(staging, ignore_errors=True)
            if isinstance(fault, StorageError):
                raise too_large(final, needed, fault) from fault
            raise
        return Committed(final, num_bytes)

    def _stage(self, final: Path, needed: int) -> Path:
        staging = self.folder / f"{TEMPORARY_PREFIX}{final.name}-{uuid.uuid4().hex}"
        with storage_faults(final):
            # Not its parents: a run whose folder is gone must not begin another one there.
            self.folder.mkdir(exist_ok=True)
        require_room(self.folder, needed, final.name)
        with storage_faults(final):
            staging.mkdir()
        return staging

    def _publish(self, staging: Path, snapshot: Snapshot, files: Mapping[str, StoredFile]) -> int:
        identity, cursor = self.identity, snapshot.cursor
        write_json(staging / ENSEMBLE_FILE, identity.ensemble.to_json())
        versions = library_versions()
        manifest = Manifest(
            cursor=cursor,
            what_fingerprint=identity.plan.what.fingerprint,
            what=identity.what(),
            ensemble_fingerprint=identity.ensemble.fingerprint,
            heldout_loss=snapshot.heldout_loss,
            written_by={
                "engine": identity.plan.where.engine,
                "ranks": str(self.group.world),
                **versions,
            },
            files={**files, ENSEMBLE_FILE: stored_file(staging / ENSEMBLE_FILE)},
        )
        write_manifest(staging, manifest)
        publish_directory(staging, self.folder / directory_name(cursor.step))
        return manifest.num_bytes


def moments_file(rank: int, world: int) -> str:
    """Return the name of the file with the moments that one rank writes."""
    return f"moments-{rank:05d}-of-{world:05d}.safetensors"


def moment_key(name: str, part: str) -> str:
    """Return the key of a moment in such a file."""
    return f"{name}.{part}"


def _take(engine: Readable, group: Group) -> tuple[dict[str, dict[str, Tensor]], int]:
    """Read every value on all ranks together.

    Returns:
        Those this rank writes, by file; and the bytes of all of them.
    """
    owners = _owners(engine, group.world)
    weights: dict[str, Tensor] = {}
    moments: dict[str, Tensor] = {}
    num_bytes = 0
    for name in engine.names:
        for part in PARTS:
            value = engine.read(name, part)
            num_bytes += value.numel() * value.element_size()
            if part == "weight" and group.rank == 0:
                weights[name] = value.contiguous()
            elif part != "weight" and owners[name] == group.rank:
                moments[moment_key(name, part)] = value.contiguous()
    held = {moments_file(group.rank, group.world): moments}
    return ({WEIGHTS_FILE: weights, **held} if group.rank == 0 else held), num_bytes


def _owners(engine: Readable, world: int) -> dict[str, int]:
    """Deal the moments out in turn, rank 0 last, because it writes the weights as well."""
    return {name: (index + 1) % world for index, name in enumerate(engine.names)}


def _write_share(
    staging: Path, held: Mapping[str, Mapping[str, Tensor]], step: int
) -> dict[str, StoredFile]:
    files: dict[str, StoredFile] = {}
    for file, tensors in held.items():
        _refuse_nonfinite(tensors, step)
        with storage_faults(staging / file):
            files[file] = write_tensors(tensors, staging / file, {"step": str(step)})
    return files


def _refuse_nonfinite(tensors: Mapping[str, Tensor], step: int) -> None:
    bad: Sequence[str] = [n for n, value in tensors.items() if not torch.isfinite(value).all()]
    if bad:
        raise TrainingError(
            f"{len(bad)} tensors are not finite after step {step}, the first is {bad[0]}",
            why="a checkpoint with such a tensor could never be resumed",
            fix="resume from the last checkpoint with a lower learning rate",
        )
