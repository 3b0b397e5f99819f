"""What an attribution explains: one number that a model gives a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.errors import SpecError
from gfmp.inference.attribution_rows import ReadRows
from gfmp.learners.compute import Compute
from gfmp.learners.head import TaskModel
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.task import Target

# Regression has no classes: the rows of its highest and lowest quarter stand against each other.
_QUARTER = 0.25


@dataclass(frozen=True)
class Explained:
    """One output of a model.

    Attributes:
        target: What the model predicts.
        index: Which of its outputs.
    """

    target: Target
    index: int

    @property
    def name(self) -> str:
        """Name of the class, label or value."""
        return self.target.names[self.index]

    @property
    def unit(self) -> str:
        """What `scores` are."""
        if self.target.classifies:
            return "log-odds of the class"
        return "logit of the label" if self.target.kind == "multilabel" else "standardised value"

    def scores(self, outputs_BO: Tensor) -> Tensor:
        """Return the explained number of each row, shape (B,).

        Log-odds of a class against all others, the logit of a label, or the value in standard
        deviations of the training rows.
        """
        own_B = outputs_BO[:, self.index]
        if not self.target.classifies:
            return own_B
        others = [i for i in range(outputs_BO.shape[1]) if i != self.index]
        return own_B - outputs_BO[:, others].logsumexp(1)

    def sides(self, targets: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which rows are positive and which negative, as positions.

        Args:
            targets: Labels of the rows, shape (N, 1) or (N, K); an unknown one is on no side.
        """
        if self.target.classifies:
            own = targets[:, 0] == self.index
            return np.flatnonzero(own), np.flatnonzero(~own)
        values = targets[:, self.index]
        if self.target.kind == "multilabel":
            return np.flatnonzero(values == 1), np.flatnonzero(values == 0)
        known = values[np.isfinite(values)]
        if not len(known):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        low, high = np.quantile(known, (_QUARTER, 1 - _QUARTER))
        return np.flatnonzero(values > high), np.flatnonzero(values < low)


def explained(target: Target, name: str, where: str) -> Explained:
    """Return the output of this name; without a name the last class, or the first other output.

    Args:
        target: What the model predicts.
        name: Class, label or value; empty for the default.
        where: Where it was asked for.

    Raises:
        SpecError: the model has no such output.
    """
    if not name:
        return Explained(target, len(target.names) - 1 if target.classifies else 0)
    if name in target.names:
        return Explained(target, target.names.index(name))
    raise SpecError(
        f"output: the model has no output {name!r}",
        where=where,
        why=f"it predicts {', '.join(target.names)}",
        fix=did_you_mean(name, target.names) or "name one of those, or leave `output` out",
    )


def row_scores(
    model: TaskModel, rows: ReadRows, what: Explained, compute: Compute
) -> NDArray[np.float64]:
    """Return the explained number of each row, shape (N,)."""
    scores = np.zeros(len(rows))
    with torch.inference_mode():
        for chunk in rows.views.chunks(np.arange(len(rows)), compute.micro_tokens):
            outputs = model(rows.views.pack(chunk, compute.device))
            scores[chunk] = what.scores(outputs).double().cpu().numpy()
    return scores


def chosen(rows: Sequence[int] | NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Return at most `most` of these rows, rising; which ones is a function of seed and row."""
    places = np.asarray(rows, dtype=np.int64)
    if len(places) <= most:
        return np.sort(places)
    draws = np.random.Philox(key=seed).random_raw(int(places.max()) + 1)
    return np.sort(places[np.argsort(draws[places], kind="stable")[:most]])
