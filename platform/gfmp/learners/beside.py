"""Features beside the sequence, such as TF expression, standardised by the labelled rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gfmp.tasks.task import Rows


@dataclass(frozen=True)
class Scale:
    """Shift and factor of the F features beside a sequence; F is 0 for most tasks.

    A feature that is the same for all labelled rows teaches nothing, and whatever it is elsewhere
    must not shift a prediction: its factor is 0.

    Attributes:
        mean: Mean of each feature, shape (F,).
        factor: One over its standard deviation, 0 where it is constant; shape (F,).
    """

    mean: NDArray[np.float64]
    factor: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Rows, labelled: NDArray[np.int64]) -> Scale:
        """Measure the features of labelled rows, each row once; no other row counts."""
        contexts = rows.contexts
        if contexts is None:
            return cls(np.zeros(0), np.zeros(0))
        counts = np.bincount(contexts.of_row[labelled], minlength=len(contexts.keys))
        there = counts > 0
        values = contexts.values[there].astype(np.float64)
        shares = (counts[there] / counts.sum())[:, None]
        mean = (shares * values).sum(axis=0)
        deviation = np.sqrt((shares * (values - mean) ** 2).sum(axis=0))
        varies = (values.max(axis=0) > values.min(axis=0)) & (deviation > 0)
        return cls(mean, np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0))

    def applied(self, rows: Rows, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the standardised features of rows at these positions, shape (len(places), F)."""
        if rows.contexts is None:
            return rows.features(places)
        table = (rows.contexts.values - self.mean) * self.factor
        return table.astype(np.float32)[rows.contexts.of_row[places]]


class Beside(nn.Module):
    """Standardises features inside a model, so that its file carries the scale.

    Attributes:
        mean: As in `Scale`, float64, shape (F,).
        factor: As in `Scale`.
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features, dtype=torch.float64))
        self.register_buffer("factor", torch.zeros(num_features, dtype=torch.float64))

    def fit(self, scale: Scale) -> None:
        """Take a scale."""
        self.mean.copy_(torch.from_numpy(scale.mean))
        self.factor.copy_(torch.from_numpy(scale.factor))

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return the standardised features of B rows, shape (B, F), fp32."""
        return ((features_BF.double() - self.mean) * self.factor).float()
