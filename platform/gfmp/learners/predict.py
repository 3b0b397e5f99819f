"""Predictions of a whole split, chunk by chunk, without gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils import parametrize

from gfmp.learners.compute import Compute
from gfmp.learners.head import TaskModel
from gfmp.learners.objective import Objective
from gfmp.learners.views import SplitViews
from gfmp.tasks.task import Rows


@dataclass(frozen=True)
class Predicted:
    """What a model says about a split.

    Attributes:
        predictions: Probabilities or values, shape (N, O).
        loss: Mean over rows of the objective.
    """

    predictions: NDArray[np.float32]
    loss: float


def predict(
    model: TaskModel,
    objective: Objective,
    views: SplitViews,
    rows: Rows,
    compute: Compute,
) -> Predicted:
    """Predict every row of a split.

    Args:
        model: Reads the rows.
        objective: Turns outputs into predictions.
        views: The rows in each vocabulary of the model.
        rows: Their targets, and what stands beside their sequences.
        compute: Device and size of a chunk.
    """
    predictions = np.zeros((len(rows), model.head.out_features), dtype=np.float32)
    loss = 0.0
    every = np.arange(len(rows))
    with torch.inference_mode(), parametrize.cached():
        for chunk in views.chunks(every, compute.micro_tokens):
            beside = torch.from_numpy(rows.features(chunk)).to(compute.device)
            outputs = model(views.pack(chunk, compute.device), beside)
            wanted = torch.from_numpy(rows.targets[chunk]).to(compute.device)
            loss += float(objective.loss_sum(outputs, wanted))
            predictions[chunk] = objective.predictions(outputs)
    return Predicted(predictions, loss / max(len(rows), 1))
