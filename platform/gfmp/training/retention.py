"""Which checkpoints stay: the newest ones and the best ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gfmp.errors import CorruptArtefactError
from gfmp.spec.pretrain import Checkpointing
from gfmp.training.manifest import read_manifest
from gfmp.training.restore import committed, remove_checkpoint


def kept_steps(losses: Mapping[int, float | None], keep: Checkpointing) -> frozenset[int]:
    """Return the steps whose checkpoints stay.

    Args:
        losses: Held-out loss by step; None where it was not measured, which is never best.
        keep: How many of the newest and of the best stay; of equal losses the newer is better.
    """
    newest = sorted(losses, reverse=True)[: keep.keep_last]
    measured = [(loss, -step) for step, loss in losses.items() if loss is not None]
    best = [-step for _, step in sorted(measured)[: keep.keep_best]]
    return frozenset((*newest, *best))


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
