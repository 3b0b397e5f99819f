"""Distances between the features of two alleles (Ye et al., Genomics-FM, Tables S1-S5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from gfmp.spec.variant_effect import Distance

Features = NDArray[np.float64]


def _euclidean(one: Features, other: Features) -> Features:
    found: Features = np.sqrt(np.square(one - other).sum(axis=-1))
    return found


def _manhattan(one: Features, other: Features) -> Features:
    found: Features = np.abs(one - other).sum(axis=-1)
    return found


def _cosine(one: Features, other: Features) -> Features:
    """Return 1 - cos of the angle; from the difference of unit vectors, exact where it is small."""
    unit = [x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-300) for x in (one, other)]
    found: Features = np.square(unit[0] - unit[1]).sum(axis=-1) / 2
    return found


def _dot(one: Features, other: Features) -> Features:
    """Return the negative dot product, so that like the others it grows with unlikeness."""
    found: Features = -(one * other).sum(axis=-1)
    return found


_BY_NAME: Mapping[Distance, Callable[[Features, Features], Features]] = MappingProxyType(
    {"euclidean": _euclidean, "manhattan": _manhattan, "cosine": _cosine, "dot": _dot}
)


def distances(names: Sequence[Distance], one: Features, other: Features) -> Features:
    """Return distances between rows.

    Args:
        names: Which ones.
        one: Features of the reference, shape (..., F).
        other: Features of the alternate, of that shape.

    Returns:
        float64, shape (..., len(names)). `cosine` of two zero vectors is 0.
    """
    return np.stack([_BY_NAME[name](one, other) for name in names], axis=-1)
