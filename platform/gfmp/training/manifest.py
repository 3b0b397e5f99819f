"""What a checkpoint says about itself, and whether it is whole."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError
from gfmp.spec.base import SPARSE
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.hashes import canonical_json, fingerprint, sha256_file

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
ENSEMBLE_FILE = "ensemble.json"
WEIGHTS_FILE = "model.safetensors"
_NAME = "step-{:09d}"
COMMITTED_PATTERN = "step-[0-9]*"
_SEAL = "sha256"
_LIBRARIES = ("gfmp", "torch", "deepspeed", "numpy", "safetensors")


@dataclass(frozen=True)
class Reweighing:
    """What one evaluation made of the weights.

    Attributes:
        step: Optimiser updates done; the weights are those of the steps that follow.
        excess_bits: Held-out bits per base above base composition, per vocabulary, to hundredths.
        weights: Share of rows of each vocabulary, summing to 1, in ensemble order.
    """

    step: int
    excess_bits: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class LeftOut:
    """Batches that were dealt and not trained on, because a step's numbers were not sound.

    Attributes:
        first: First step of the feed that is left out.
        end: The step after the last one.
        bad_step: The step that caused it.
        cause: What was wrong there.
    """

    first: int
    end: int
    bad_step: int
    cause: str


@dataclass(frozen=True)
class Cursor:
    """Where a run stands; with the weights all a resumed run needs.

    Attributes:
        step: Steps done; the next one reads the feed's step of this number.
        order_hash: sha256 chain over the digests of the global batches seen, in order.
        mixture: What every evaluation so far made of the weights, oldest first; empty where the
            mixture stays. The last one's weights deal the next step.
        left_out: Batches that are not trained on, in the order of what caused it; some may
            still lie ahead.
        norms: Gradient norms of the last updates, for the rule of spikes; empty without one.
    """

    step: int
    order_hash: str
    mixture: tuple[Reweighing, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    norms: tuple[float, ...] = ()

    @property
    def updates(self) -> int:
        """Optimiser updates done: the steps but those left out."""
        gone = {s for out in self.left_out for s in range(out.first, min(out.end, self.step))}
        return self.step - len(gone)

    @property
    def leaves_out(self) -> bool:
        """True when the next step is left out."""
        return any(out.first <= self.step < out.end for out in self.left_out)


@dataclass(frozen=True)
class StoredFile:
    """One file of a checkpoint."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`.

    Attributes:
        cursor: Where the run stood.
        what_fingerprint: Identity of the run's plan.
        what: The same in full, to name what differs.
        ensemble_fingerprint: Identity of the ensemble; in full in `ensemble.json`.
        heldout_loss: Mean over vocabularies of the held-out loss at this step, None when it was
            not measured there.
        written_by: Engine, number of ranks and library versions.
        files: Every other file of the checkpoint by name.
    """

    cursor: Annotated[Cursor, SPARSE]
    what_fingerprint: str
    what: dict[str, object]
    ensemble_fingerprint: str
    heldout_loss: float | None
    written_by: dict[str, str]
    files: dict[str, StoredFile]

    @property
    def num_bytes(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(file.bytes for file in self.files.values())


def directory_name(step: int) -> str:
    """Return the folder name of the checkpoint after `step` updates; names sort by step."""
    return _NAME.format(step)


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that shape a checkpoint."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` with its own hash; it is the last file of a checkpoint."""
    body = TypeAdapter(Manifest).dump_python(manifest, mode="json")
    body["format_version"] = FORMAT_VERSION
    write_json(folder / MANIFEST_FILE, {**body, _SEAL: fingerprint(body)})


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.json` and check its own hash, but none of the other files.

    Raises:
        CorruptArtefactError: it is missing, changed or of another format version.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise _invalid(folder, "it has no manifest.json: its writer was stopped before the end")
    body = read_json(path)
    version, seal = body.get("format_version"), body.pop(_SEAL, "")
    if not _sealed(body, seal):
        raise _invalid(folder, "manifest.json does not match its own sha256")
    if body.pop("format_version", None) != FORMAT_VERSION:
        raise _invalid(folder, f"its format version is {version!r}, this gfmp reads 1")
    try:
        return TypeAdapter(Manifest).validate_json(canonical_json(body))
    except ValidationError as fault:
        raise _invalid(folder, f"manifest.json is not understood: {fault.errors()[0]}") from fault


def verify(folder: Path) -> Manifest:
    """Read the manifest and compare every file with it, size and sha256.

    Raises:
        CorruptArtefactError: something is missing, left over or changed; names the file.
    """
    manifest = read_manifest(folder)
    if directory_name(manifest.cursor.step) != folder.name:
        raise _invalid(folder, f"it holds the state after step {manifest.cursor.step}")
    present = {path.name for path in folder.iterdir()} - {MANIFEST_FILE}
    if present != set(manifest.files):
        strange = sorted(present ^ set(manifest.files))
        raise _invalid(folder, f"missing or unknown files: {', '.join(strange)}")
    for name, stored in manifest.files.items():
        _compare(folder, name, stored)
    return manifest


def stored_file(path: Path) -> StoredFile:
    """Measure a file."""
    return StoredFile(path.stat().st_size, sha256_file(path))


def what_differs(old: Mapping[str, object], new: Mapping[str, object], at: str = "") -> list[str]:
    """Return `field: old -> new` for every leaf in which two plans' identities differ."""
    lines: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += what_differs(before, after, f"{at}{key}.")
        elif before != after:
            lines.append(f"{at}{key}: {before!r} -> {after!r}")
    return lines


def _sealed(body: Mapping[str, object], seal: object) -> bool:
    try:
        return fingerprint(body) == seal
    except ValueError:
        return False  # NaN or an infinity, which gfmp never writes


def _compare(folder: Path, name: str, stored: StoredFile) -> None:
    size = (folder / name).stat().st_size
    if size != stored.bytes:
        raise _invalid(folder, f"{name} has {size:,} bytes instead of {stored.bytes:,}")
    if sha256_file(folder / name) != stored.sha256:
        raise _invalid(folder, f"{name} does not match its sha256")


def _invalid(folder: Path, reason: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        reason,
        where=str(folder),
        why="a checkpoint is used whole or not at all",
        fix="resume from an older one; gfmp does so by itself",
    )
