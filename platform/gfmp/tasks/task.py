"""A task as a frozen value: rows with labels in three splits, and how it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gfmp.tasks.contexts import Contexts
from gfmp.tasks.sparse import SparseLabels, Targets, taken

TargetKind = Literal["binary", "multiclass", "multilabel", "regression"]
Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes:
        kind: `binary` and `multiclass` have one column of class indices, `multilabel` one 0/1
            column per label (NaN where it is unknown), `regression` one column per value.
        names: Class names (binary, multiclass), label names, or names of the values.
        positive_weight: Weight of positive examples in the loss (binary, multilabel).
    """

    kind: TargetKind
    names: tuple[str, ...]
    positive_weight: float = 1.0

    @property
    def num_outputs(self) -> int:
        """Columns O of a prediction: probabilities of classes or labels, or values."""
        return len(self.names)

    @property
    def classifies(self) -> bool:
        """True when each row has exactly one class."""
        return self.kind in ("binary", "multiclass")


@dataclass(frozen=True)
class Rows:
    """The labelled rows of one split.

    Attributes:
        sequences: Upper-case A, C, G, T, N; RNA is read as DNA (U as T).
        targets: float32, shape (N, 1) for classes, (N, K) for labels and values; very wide
            labels are kept sparse, and their rows come dense when they are taken.
        origins: Where each row comes from: `contig:start-end:strand` (0-based, half-open), an
            id, or `file:line`.
        groups: What must not be torn apart by a split (a gene, a contig); empty text when rows
            are independent.
        contexts: Features beside the sequence, by tissue or cell type; None where the sequence is
            all there is to read.
    """

    sequences: tuple[bytes, ...]
    targets: Targets
    origins: tuple[str, ...]
    groups: tuple[str, ...]
    contexts: Contexts | None = None

    def __post_init__(self) -> None:
        counts = {len(self.sequences), len(self.targets), len(self.origins), len(self.groups)}
        counts |= set() if self.contexts is None else {len(self.contexts)}
        assert len(counts) == 1, "every row has a sequence, targets, an origin and a group"

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def matrix(self) -> NDArray[np.float32]:
        """The targets of all rows at once, dense, whichever way they are kept.

        Raises:
            DataError: they are too wide for that.
        """
        return self.targets.dense() if isinstance(self.targets, SparseLabels) else self.targets

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the F features beside the sequence; none for most tasks."""
        return () if self.contexts is None else self.contexts.features

    def features(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the features beside the sequences of rows, shape (len(rows), F); F may be 0."""
        if self.contexts is None:
            return np.zeros((len(rows), 0), dtype=np.float32)
        return self.contexts.of(rows)

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Return the rows at these positions, in this order."""
        places = rows.tolist()
        return Rows(
            tuple(self.sequences[i] for i in places),
            taken(self.targets, rows),
            tuple(self.origins[i] for i in places),
            tuple(self.groups[i] for i in places),
            None if self.contexts is None else self.contexts.take(rows),
        )


@dataclass(frozen=True)
class Task:
    """A labelled problem, ready to be learned.

    Attributes:
        name: What specs and tables call it.
        target: What is predicted.
        metric: The one that decides; see `tasks.metrics`.
        also: Metrics reported beside it.
        train: Rows to learn from.
        valid: Rows that choose epochs and penalties.
        test: Rows that are only scored.
        fingerprint: sha256 of everything above but the name.
        facts: Provenance for people: source, licence, citation, counts.
    """

    name: str
    target: Target
    metric: str
    also: tuple[str, ...]
    train: Rows
    valid: Rows
    test: Rows
    fingerprint: str
    facts: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def rows(self, split: Split) -> Rows:
        """Return the rows of a split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}[split]
