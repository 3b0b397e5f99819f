"""Whether a trained network says the same whatever it reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gfmp.tasks.task import Target

# Outputs of a network that ignores its input differ by rounding only.
_SAME = 1e-6


def is_collapsed(
    target: Target, targets: NDArray[np.float32], predictions: NDArray[np.float32]
) -> bool:
    """Return True when predictions hold NaN or do not depend on the row.

    Classes: one class wins everywhere although several occur, which is an MCC of exactly 0.
    Labels and values: every column is constant although at least one of the targets varies.

    Args:
        target: What is predicted.
        targets: True values of the same rows, shape (N, 1) or (N, K); NaN where unknown.
        predictions: Probabilities or values, shape (N, O).
    """
    if not np.isfinite(predictions).all():
        return True
    if target.classifies:
        return _varies(targets) and not _varies(predictions.argmax(axis=1)[:, None])
    return _varies(targets) and not _varies(predictions)


def _varies(columns: NDArray[np.floating] | NDArray[np.integer]) -> bool:
    """Return True when at least one column has two values that differ by more than rounding."""
    for column in columns.T:
        known = column[np.isfinite(column)]
        if len(known) and np.ptp(known) > _SAME * max(1.0, float(np.abs(known).max())):
            return True
    return False
