"""The rule by which checkpoints stay; no torch."""

from __future__ import annotations

from collections.abc import Mapping

from gfmp.spec.pretrain import Checkpointing


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
