"""What an engine does for the loop, and which one a plan asks for.

An engine owns model, gradients and optimiser. Whatever it does inside, the numbers are the same:
the gradient of (sum of nats over all ranks and micro-batches) * scale, clipped by its global L2
norm, in one AdamW update.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from gfmp.model.loss import Readout
from gfmp.model.masked import MaskedLanguageModel
from gfmp.model.tokens import TokenTensors
from gfmp.plan.values import Plan
from gfmp.spec.pretrain import Optimiser
from gfmp.training.adamw import LeanAdamW
from gfmp.training.processes import Group

Part = Literal["weight", "exp_avg", "exp_avg_sq"]
PARTS: tuple[Part, ...] = ("weight", "exp_avg", "exp_avg_sq")


class Readable(Protocol):
    """Weights and moments that can be committed; every call is made by all ranks together."""

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names, on every rank and engine in the same order."""
        ...

    def read(self, name: str, part: Part) -> Tensor:
        """Return a whole parameter or moment of it: fp32, a copy on the CPU, on every rank."""
        ...


class Engine(Readable, Protocol):
    """Model, gradients and optimiser of one rank; every call is made by all ranks together."""

    def backward(self, tokens: TokenTensors, scale: float) -> Tensor:
        """Add one micro-batch to the gradient.

        Args:
            tokens: The micro-batch.
            scale: Factor on the sum of nats: 1 / targets of the global batch.

        Returns:
            Detached (sum of nats, correct predictions) per vocabulary, shape (N, 2).
        """
        ...

    def step(self, learning_rate: float, most_norm: float = math.inf) -> float:
        """Update the weights with the gradient of the step's micro-batches, and clear it.

        Args:
            learning_rate: Rate of this update.
            most_norm: Largest gradient norm that updates; below 0 none does.

        Returns:
            Global L2 norm of the gradient before clipping. When it is not finite, or above
            `most_norm`, no rank has changed a weight or a moment.
        """
        ...

    def score(self, tokens: TokenTensors, readout: Readout) -> tuple[Tensor, ...]:
        """Run the model without gradients and return what `readout` takes, per vocabulary."""
        ...

    def write(self, name: str, part: Part, value: Tensor) -> None:
        """Set a whole parameter or moment; `settle` must follow."""
        ...

    def settle(self, updates: int) -> None:
        """Make what was written take effect, as after `updates` optimiser updates."""
        ...


def build_engine(plan: Plan, model: MaskedLanguageModel, group: Group) -> Engine:
    """Return the engine of the plan around `model`, on the group's device."""
    model.to(group.device)
    if group.device.type == "cuda" and plan.where.engine != "zero3":
        # ZeRO 3 gathers weights around the forward pass of each layer, which a fused one has not.
        model.encoder.fuse()
    # Engines are imported where they are chosen: DeepSpeed is slow to load and often not needed.
    if plan.where.engine == "ddp":
        from gfmp.training.plain import PlainEngine

        return PlainEngine(model, plan.what.optimiser, group)
    from gfmp.training.zero import zero_engine

    return zero_engine(plan, model, group)


def make_adamw(model: nn.Module, optimiser: Optimiser) -> LeanAdamW:
    """Return fused AdamW; vectors (biases, LayerNorm) are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return LeanAdamW(
        groups,
        lr=optimiser.learning_rate,
        betas=optimiser.betas,
        eps=optimiser.epsilon,
        weight_decay=optimiser.weight_decay,
        fused=True,
    )


def updates(norm: float, most_norm: float) -> bool:
    """Return True when a gradient of this norm may change the weights."""
    return math.isfinite(norm) and norm <= most_norm


def clip_divisor(norm: float, clip_norm: float) -> float:
    """Return what a gradient of this norm is divided by; DeepSpeed's and torch's formula."""
    return max(1.0, (norm + 1e-6) / clip_norm)


def nats_and_correct(sums: tuple[Tensor, ...]) -> Tensor:
    """Stack the sums of all vocabularies, shape (N, 2)."""
    return torch.stack(sums)


def parameters_of(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the trainable parameters with their names."""
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)
