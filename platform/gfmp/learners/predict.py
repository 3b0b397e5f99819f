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
from gfmp.learners.packed import RowPacker, chunks
from gfmp.learners.tokens import SplitTokens


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
    split: tuple[SplitTokens, NDArray[np.float32]],
    packer: RowPacker,
    compute: Compute,
) -> Predicted:
    """Predict every row of a split.

    Args:
        model: Reads the rows.
        objective: Turns outputs into predictions.
        split: Tokens of the rows and their targets, shape (N, K).
        packer: Lays rows out for the model.
        compute: Device and size of a chunk.
    """
    tokens, targets = split
    predictions = np.zeros((len(tokens), model.head.out_features), dtype=np.float32)
    loss = 0.0
    with torch.inference_mode(), parametrize.cached():
        for rows in chunks(tokens.lengths, packer.num_specials, compute.micro_tokens):
            outputs = model(packer.pack(tokens, rows, compute.device))
            wanted = torch.from_numpy(targets[rows]).to(compute.device)
            loss += float(objective.loss_sum(outputs, wanted))
            predictions[rows] = objective.predictions(outputs)
    return Predicted(predictions, loss / max(len(tokens), 1))
