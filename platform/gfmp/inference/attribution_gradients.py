"""Integrated gradients on the embeddings of a row's words, with their completeness checked.

The path goes straight from a baseline to the row; the attribution of a word is the integral of the
gradient along it times the difference. The baseline reads [MASK] for every word and keeps the
specials, so it has the row's length and layout and says nothing of its bases. By completeness the
attributions sum to score(row) - score(baseline); what is missing is the error of the quadrature,
which is measured, and halved by more steps until it is small.

Source: Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gfmp.inference.attribution_rows import ReadRows
from gfmp.inference.attribution_target import Explained
from gfmp.learners.compute import Compute
from gfmp.learners.head import TaskModel
from gfmp.learners.packed import PackedRows
from gfmp.vocabulary.vocabulary import MASK

FIRST_STEPS, MOST_STEPS = 16, 256
TOLERANCE = 0.01
# Where the score hardly moves along the path, a relative error means nothing.
_SMALLEST_CHANGE = 1e-3


@dataclass(frozen=True)
class Integrated:
    """The integrated gradients of one row.

    Attributes:
        per_base: Attribution of each base, shape (bases,); a word's is shared by its bases.
        score: Score of the row.
        baseline: Score of the baseline.
        steps: Points of the quadrature.
    """

    per_base: NDArray[np.float64]
    score: float
    baseline: float
    steps: int

    @property
    def gap(self) -> float:
        """What completeness lacks: the sum of the attributions minus the change of the score."""
        return float(self.per_base.sum()) - (self.score - self.baseline)

    @property
    def error(self) -> float:
        """The gap as a share of the change of the score."""
        return abs(self.gap) / max(abs(self.score - self.baseline), _SMALLEST_CHANGE)

    @property
    def complete(self) -> bool:
        """Whether the error is at most `TOLERANCE`."""
        return self.error <= TOLERANCE


def integrated_gradients(
    model: TaskModel, rows: ReadRows, row: int, what: Explained, compute: Compute
) -> Integrated:
    """Return the integrated gradients of one row, with as many steps as completeness needs.

    Steps double from `FIRST_STEPS` until the error is at most `TOLERANCE` or `MOST_STEPS` is
    reached; `complete` says which it was.

    Args:
        model: The model.
        rows: Sequences.
        row: Which of them.
        what: The number that is explained.
        compute: Device and size of a chunk.
    """
    steps = FIRST_STEPS
    found = _integrated(_Path(model, rows, row, what, compute), steps)
    while not found.complete and steps < MOST_STEPS:
        steps *= 2
        found = _integrated(_Path(model, rows, row, what, compute), steps)
    return found


@dataclass(frozen=True)
class _Path:
    """From the baseline of a row to the row."""

    model: TaskModel
    rows: ReadRows
    row: int
    what: Explained
    compute: Compute

    def ends(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the embedded baseline and the embedded row, one (L, D) for each vocabulary."""
        embedding = self.model.encoder.embedding
        starts, ends = [], []
        for packed in self.packed(1):
            lead, *words, _ = packed.pieces_BP[0].tolist()
            masked = packed.ids_T.clone()
            masked[lead : lead + sum(words)] = MASK
            starts.append(embedding(masked).detach())
            ends.append(embedding(packed.ids_T).detach())
        return starts, ends

    def packed(self, copies: int) -> tuple[PackedRows, ...]:
        """Return copies of the row, in each vocabulary."""
        places = np.full(copies, self.row, dtype=np.int64)
        return self.rows.views.pack(places, self.compute.device)

    def scores(self, embedded: Sequence[Tensor], copies: int) -> Tensor:
        """Return the score of each copy, shape (copies,), from embedded words (copies * L, D)."""
        outputs = outputs_of(self.model, embedded, self.packed(copies), self.compute)
        return self.what.scores(outputs)


def outputs_of(
    model: TaskModel, embedded: Sequence[Tensor], rows: Sequence[PackedRows], compute: Compute
) -> Tensor:
    """Return what the model says about rows whose words are embedded already, shape (B, O).

    Args:
        model: The model.
        embedded: For each vocabulary the embedded tokens, shape (T, D), before any LayerNorm.
        rows: Where the rows stand, for each vocabulary.
        compute: Precision of the encoder.
    """
    pooled = []
    for embedded_TD, packed in zip(embedded, rows, strict=True):
        with compute.autocast():
            hidden_TD: Tensor = model.encoder.norm(embedded_TD)
            for block in model.encoder.blocks:
                hidden_TD = block(hidden_TD, packed.packing)
        pooled.append(packed.means(hidden_TD))
    outputs: Tensor = model.head(model.join(torch.stack(pooled, dim=1)))
    return outputs


def _integrated(path: _Path, num_steps: int) -> Integrated:
    starts, ends = path.ends()
    # Gauss and Legendre's points: the integrand is smooth, so few of them go far.
    points, weights = np.polynomial.legendre.leggauss(num_steps)
    alphas, weights = (points + 1) / 2, weights / 2
    longest = sum(len(end) for end in ends)
    at_once = max(1, path.compute.micro_tokens // longest)
    slopes = [torch.zeros_like(end, dtype=torch.float64) for end in ends]
    for first in range(0, num_steps, at_once):
        part = slice(first, first + at_once)
        gradients = _gradients(path, starts, ends, alphas[part])
        shares = torch.from_numpy(weights[part])
        for slope, gradient_SLD in zip(slopes, gradients, strict=True):
            slope += torch.einsum("s,sld->ld", shares.to(slope), gradient_SLD.double())
    per_base = np.zeros(len(path.rows.sequences[path.row]))
    for view, (start, end, slope) in enumerate(zip(starts, ends, slopes, strict=True)):
        per_token = ((end - start).double() * slope).sum(1).cpu().numpy()
        lead = path.packed(1)[view].pieces_BP[0].tolist()[0]
        places = path.rows.places(view, path.row)
        per_base += places.shared(per_token[lead : lead + len(places.starts)])
    with torch.inference_mode():
        score, baseline = (float(path.scores(side, 1)) for side in (ends, starts))
    return Integrated(per_base, score, baseline, num_steps)


def _gradients(
    path: _Path, starts: Sequence[Tensor], ends: Sequence[Tensor], alphas: NDArray[np.float64]
) -> list[Tensor]:
    """Return the gradients of the score at points of the path, for each vocabulary (S, L, D)."""
    at_S11 = torch.from_numpy(alphas).to(ends[0])[:, None, None]
    inputs = [
        (start + at_S11 * (end - start)).flatten(0, 1).requires_grad_()
        for start, end in zip(starts, ends, strict=True)
    ]
    total = path.scores(inputs, len(alphas)).sum()
    found = torch.autograd.grad(total, inputs)
    return [one.view(len(alphas), -1, one.shape[1]) for one in found]
