"""Plain PyTorch: every rank holds everything, one all-reduce of one flat gradient per step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gfmp.model.loss import Readout
from gfmp.model.masked import MaskedLanguageModel
from gfmp.model.tokens import TokenTensors
from gfmp.spec.pretrain import Optimiser
from gfmp.training.engine import (
    Part,
    clip_divisor,
    make_adamw,
    nats_and_correct,
    parameters_of,
    updates,
)
from gfmp.training.processes import Group
from gfmp.training.states import WholeStates


class PlainEngine:
    """Data parallel training without a wrapper; see `gfmp.training.engine.Engine`.

    The gradients of all parameters are views of one buffer. So the sum over ranks, the norm and
    the clipping are one operation each, without copies, and the sum is never averaged.
    """

    def __init__(self, model: MaskedLanguageModel, optimiser: Optimiser, group: Group) -> None:
        self._model = model
        self._group = group
        self._clip_norm = optimiser.clip_norm
        self._parameters = dict(parameters_of(model))
        self._gradient = _flat_gradient(list(self._parameters.values()))
        self._optimizer = make_adamw(model, optimiser)
        self._states = WholeStates(self._optimizer)

    @property
    def names(self) -> tuple[str, ...]:
        """See `Engine.names`."""
        return tuple(self._parameters)

    def backward(self, tokens: TokenTensors, scale: float) -> Tensor:
        """See `Engine.backward`."""
        sums = nats_and_correct(self._model(tokens))
        (sums[:, 0].sum() * scale).backward()
        return sums.detach()

    def step(self, learning_rate: float, most_norm: float = math.inf) -> float:
        """See `Engine.step`."""
        self._group.sum(self._gradient)
        norm = float(torch.linalg.vector_norm(self._gradient))
        if updates(norm, most_norm):
            divisor = clip_divisor(norm, self._clip_norm)
            if divisor > 1.0:
                self._gradient.mul_(1.0 / divisor)
            for settings in self._optimizer.param_groups:
                settings["lr"] = learning_rate
            self._optimizer.step()
        self._gradient.zero_()
        return norm

    def score(self, tokens: TokenTensors, readout: Readout) -> tuple[Tensor, ...]:
        """See `Engine.score`."""
        with torch.no_grad():
            scores: tuple[Tensor, ...] = self._model(tokens, readout)
        return scores

    def read(self, name: str, part: Part) -> Tensor:
        """See `Engine.read`."""
        return self._states.read(self._parameters[name], part)

    def write(self, name: str, part: Part, value: Tensor) -> None:
        """See `Engine.write`."""
        self._states.write(self._parameters[name], part, value)

    def settle(self, updates: int) -> None:
        """See `Engine.settle`."""
        self._states.settle(updates)


def _flat_gradient(parameters: list[torch.nn.Parameter]) -> Tensor:
    flat = torch.zeros(sum(p.numel() for p in parameters), device=parameters[0].device)
    start = 0
    for parameter in parameters:
        parameter.grad = flat[start : start + parameter.numel()].view_as(parameter)
        start += parameter.numel()
    return flat
