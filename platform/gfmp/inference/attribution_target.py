"""What an attribution explains: one number that a model gives a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.inference.attribution_rows import ReadRows
from gfmp.learners.compute import Compute
from gfmp.learners.head import TaskModel
from gfmp.tasks.task import Target


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
