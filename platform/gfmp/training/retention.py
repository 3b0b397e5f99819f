"""Which checkpoints stay: the newest ones and the best ones."""

from __future__ import annotations

from pathlib import Path

from gfmp.errors import CorruptArtefactError
from gfmp.spec.pretrain import Checkpointing
from gfmp.training.keeping import kept_steps
from gfmp.training.manifest import read_manifest
from gfmp.training.restore import committed, remove_checkpoint


def prune(folder: Path, keep: Checkpointing) -> None:
    """Remove the checkpoints that do not stay."""
    manifests = {}
    for path in committed(folder):
        try:
            manifests[path] = read_manifest(path)
        except CorruptArtefactError:
            continue  # judged, named and set aside at the next restore
    losses = {m.cursor.step: m.heldout_loss for m in manifests.values()}
    stay = kept_steps(losses, keep)
    for path, manifest in manifests.items():
        if manifest.cursor.step not in stay:
            remove_checkpoint(path)
