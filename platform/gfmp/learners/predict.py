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
from gfmp.tasks.sparse import Targets


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
    rows: SplitViews,
    targets: Targets,
    compute: Compute,
) -> Predicted:
    """Predict every row of a split.

    Args:
        model: Reads the rows.
        objective: Turns outputs into predictions.
        rows: The rows in each vocabulary of the model.
        targets: Their targets, shape (N, K).
        compute: Device and size of a chunk.
    """
    predictions = np.zeros((len(rows), model.head.out_features), dtype=np.float32)
    loss = 0.0
    every = np.arange(len(rows))
    with torch.inference_mode(), parametrize.cached():
        for chunk in rows.chunks(every, compute.micro_tokens):
            outputs = model(rows.pack(chunk, compute.device))
            wanted = torch.from_numpy(targets[chunk]).to(compute.device)
            loss += float(objective.loss_sum(outputs, wanted))
            predictions[chunk] = objective.predictions(outputs)
    return Predicted(predictions, loss / max(len(rows), 1))
