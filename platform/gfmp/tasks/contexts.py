"""Numeric features of contexts, such as tissues: kept once for each, joined to rows by number.

A tissue has 1,575 numbers in Ye et al. and twenty thousand genes: whoever learns takes the
features of a batch, which come row by row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Contexts:
    """The features of N rows in C contexts.

    Attributes:
        features: Names of the F features.
        keys: Names of the contexts.
        values: Features of each context, float32, shape (C, F).
        of_row: Context of each row, int32, shape (N,).
    """

    features: tuple[str, ...]
    keys: tuple[str, ...]
    values: NDArray[np.float32]
    of_row: NDArray[np.int32]

    def __post_init__(self) -> None:
        shape = (len(self.keys), len(self.features))
        assert self.values.shape == shape, "every context has every feature"

    def __len__(self) -> int:
        return len(self.of_row)

    def take(self, rows: NDArray[np.int64]) -> Contexts:
        """Return those of the rows at these positions, in this order."""
        return Contexts(self.features, self.keys, self.values, self.of_row[rows])

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the features of the rows at these positions, shape (len(rows), F)."""
        return self.values[self.of_row[rows]]

    def row_digests(self) -> NDArray[np.bytes_]:
        """Return a digest of every row's features, whatever its context is called; shape (N,)."""
        named = hashlib.sha256("\n".join(self.features).encode()).digest()
        each = [
            hashlib.blake2b(row.astype("<f4").tobytes(), digest_size=16, key=named).hexdigest()
            for row in self.values
        ]
        return np.array(each, dtype="S32")[self.of_row]


def stacked_contexts(parts: Sequence[Contexts | None]) -> Contexts | None:
    """Return the contexts of all parts, one part after the other; None where none has any."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    assert len(known) == len(parts), "either all parts have features beside the sequence, or none"
    assert len({part.features for part in known}) == 1, "the parts have the same features"
    firsts = np.cumsum([0, *(len(part.keys) for part in known)])
    of_row = [part.of_row + first for part, first in zip(known, firsts, strict=False)]
    return Contexts(
        known[0].features,
        tuple(key for part in known for key in part.keys),
        np.concatenate([part.values for part in known]),
        np.concatenate(of_row).astype(np.int32),
    )
