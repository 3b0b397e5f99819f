"""What a pretraining run offers to fine-tuning, read from its newest checkpoint; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import CorruptArtefactError, MissingInputError, VocabularyError
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.spec.model import Architecture
from gfmp.storage.atomic import read_json
from gfmp.storage.hashes import fingerprint
from gfmp.storage.workspace import Workspace
from gfmp.training.manifest import (
    COMMITTED_PATTERN,
    ENSEMBLE_FILE,
    WEIGHTS_FILE,
    Manifest,
    verify,
)
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Pretrained:
    """The newest checkpoint of a pretraining run.

    Attributes:
        run_id: Id of the run.
        path: Folder of the checkpoint.
        step: Updates it has seen.
        fingerprint: sha256 of weights, ensemble and architecture.
        architecture: The encoder's shape.
        ensemble: Rows of its embedding table.
    """

    run_id: str
    path: Path
    step: int
    fingerprint: str
    architecture: Architecture
    ensemble: Ensemble

    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]:
        """The vocabularies it was trained with, by name."""
        return {vocabulary.name: vocabulary for vocabulary in self.ensemble.vocabularies}


def find_pretrained(wanted: str, workspace: Workspace) -> Pretrained:
    """Return the newest finished pretraining run of this name, or the run of this id.

    Raises:
        MissingInputError: there is none, or it has no checkpoint.
        CorruptArtefactError: its newest checkpoint is damaged.
    """
    return pretrained(find_run(wanted, workspace))


def find_run(wanted: str, workspace: Workspace) -> Run:
    """Return the newest finished pretraining run of this name, or the run of this id.

    Raises:
        MissingInputError: there is none.
    """
    store = RunStore(workspace)
    named = [r for r in store.list() if r.header.kind == "pretrain" and r.header.name == wanted]
    finished = [run for run in named if run.status() is Status.FINISHED]
    if finished:
        return finished[-1]
    if named:
        newest = named[-1]
        raise MissingInputError(
            f"no pretraining run named {wanted!r} is finished",
            where=str(newest.path),
            why=f"the newest, {newest.id}, is {newest.status()}",
            fix=f"{newest.resume_command}   or name a run by its id to use it as it is",
        )
    found = store.get(wanted)
    if found.header.kind != "pretrain":
        raise MissingInputError(
            f"run {found.id} is a {found.header.kind} run",
            where=str(found.path),
            why="an initial model comes from a pretraining run",
            fix="gfmp runs list shows the kinds",
        )
    return found


def pretrained(run: Run) -> Pretrained:
    """Return what the newest checkpoint of a run holds.

    Raises:
        MissingInputError: it has no checkpoint.
        CorruptArtefactError: a file of it is damaged. An older one is not taken instead: it
            would be another model.
    """
    folders = sorted(run.checkpoints_path.glob(COMMITTED_PATTERN), reverse=True)
    if not folders:
        raise MissingInputError(
            f"run {run.id} has no checkpoint",
            where=str(run.checkpoints_path),
            why="only what was committed can be fine-tuned",
            fix=run.resume_command,
        )
    return checkpointed(run.id, folders[0])


def checkpointed(run_id: str, path: Path) -> Pretrained:
    """Return what one checkpoint of a run holds, every file of it verified.

    Raises:
        CorruptArtefactError: a file of it is damaged.
    """
    manifest = _whole(path)
    architecture = _architecture(manifest, path)
    return Pretrained(
        run_id=run_id,
        path=path,
        step=manifest.cursor.step,
        fingerprint=identity_of(manifest, path),
        architecture=architecture,
        ensemble=_ensemble(manifest, path / ENSEMBLE_FILE),
    )


def identity_of(manifest: Manifest, path: Path) -> str:
    """Return the fingerprint by which cells name the model of a checkpoint.

    Raises:
        CorruptArtefactError: the manifest does not say what architecture it has.
    """
    return fingerprint(
        {
            "weights": manifest.files[WEIGHTS_FILE].sha256,
            "ensemble": manifest.ensemble_fingerprint,
            "architecture": _architecture(manifest, path).model_dump(mode="json"),
        }
    )


def _whole(path: Path) -> Manifest:
    try:
        return verify(path)
    except CorruptArtefactError as fault:
        raise CorruptArtefactError(
            fault.problems[0].message,
            where=str(path),
            why="the newest checkpoint of a run is its model, and it is used whole or not at all",
            fix=f"restore the file, or delete {path} to use the checkpoint before it",
        ) from fault


def _architecture(manifest: Manifest, path: Path) -> Architecture:
    """Return the architecture a checkpoint was planned with.

    Raises:
        CorruptArtefactError: the manifest does not say it.
    """
    try:
        return Architecture.model_validate(manifest.what["architecture"])
    except (KeyError, ValueError) as fault:
        raise CorruptArtefactError(
            "the checkpoint does not say what architecture it has",
            where=str(path),
            why=str(fault),
            fix="restore it from a backup, or train again",
        ) from fault


def _ensemble(manifest: Manifest, path: Path) -> Ensemble:
    """Read the ensemble of a checkpoint from its file `path`.

    Raises:
        CorruptArtefactError: it is not the one the manifest names.
    """
    try:
        found = Ensemble.from_json(read_json(path), str(path))
        differs = found.fingerprint != manifest.ensemble_fingerprint
        reason = "its manifest names another one" if differs else ""
    except VocabularyError as fault:
        reason = str(fault)
    if reason:
        raise CorruptArtefactError(
            "the ensemble of the checkpoint is not as it was written",
            where=str(path),
            why=reason,
            fix="restore it from a backup, or train again",
        )
    return found
