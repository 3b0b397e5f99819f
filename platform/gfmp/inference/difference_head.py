"""A head on the difference of features, judged on variants that it did not see (Fig. S1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from gfmp.learners.linear import Standard
from gfmp.spec.variant_effect import DifferenceHead

_FEWEST_ROWS = 10


@dataclass(frozen=True)
class HeadRows:
    """N variants with features.

    Attributes:
        features: Difference of features, float32, shape (N, F).
        effects: Measured effects, NaN where none is to be learned from, shape (N,).
        groups: Element of each.
        positions: Where each changes its contig, shape (N,).
    """

    features: NDArray[np.float32]
    effects: NDArray[np.float64]
    groups: Sequence[str]
    positions: NDArray[np.int64]


def predicted(rows: HeadRows, settings: DifferenceHead) -> NDArray[np.float64]:
    """Predict each variant by a ridge regression on others; NaN where too few can be learned from.

    A variant without a measured effect is predicted by all that may teach its element.

    Returns:
        In units of the effect, shape (N,).
    """
    found = np.full(len(rows.effects), np.nan)
    for learned, asked in _divisions(rows, settings):
        effects = rows.effects[learned]
        if len(learned) >= _FEWEST_ROWS and len(asked) and np.ptp(effects) > 0:
            standard = Standard.of(rows.features[learned])
            model = RidgeCV(alphas=list(settings.penalties))
            model.fit(standard.applied(rows.features[learned]), effects)
            found[asked] = model.predict(standard.applied(rows.features[asked]))
    return found


Places = NDArray[np.int64]


def _divisions(rows: HeadRows, settings: DifferenceHead) -> Iterator[tuple[Places, Places]]:
    """Yield rows to learn from and rows to predict; every row is predicted once."""
    labels = np.array(rows.groups, dtype=object)
    measured = np.isfinite(rows.effects)
    for group in sorted(set(rows.groups)):
        own = labels == group
        if settings.split == "group":
            yield np.flatnonzero(measured & ~own), np.flatnonzero(own)
            continue
        yield np.flatnonzero(measured & own), np.flatnonzero(own & ~measured)
        positions = np.unique(rows.positions[own & measured])
        for stretch in np.array_split(positions, settings.folds):
            tested = own & measured & np.isin(rows.positions, stretch)
            yield np.flatnonzero(own & measured & ~tested), np.flatnonzero(tested)
