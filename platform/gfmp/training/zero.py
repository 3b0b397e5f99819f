"""DeepSpeed ZeRO 0-3 with torch's AdamW passed in: no compiler, no averaging, no chatter."""

from __future__ import annotations

import importlib
import logging
import math
import os
import sys
from typing import Any

import torch
from torch import Tensor

from gfmp.model.loss import Readout
from gfmp.model.masked import MaskedLanguageModel
from gfmp.model.tokens import TokenTensors
from gfmp.plan.engine import deepspeed_config
from gfmp.plan.values import Plan
from gfmp.training.adamw import nothing_compiled
from gfmp.training.engine import (
    Part,
    clip_divisor,
    make_adamw,
    nats_and_correct,
    parameters_of,
    updates,
)
from gfmp.training.processes import Group
from gfmp.training.states import ShardedStates, SlicedStates, States, WholeStates


def zero_engine(plan: Plan, model: MaskedLanguageModel, group: Group) -> ZeroEngine:
    """Return a DeepSpeed engine of the plan's stage around `model`."""
    deepspeed = load_deepspeed(group.device.type)
    stage = int(plan.where.engine.removeprefix("zero"))
    config = deepspeed_config(plan)
    if stage == 0:
        # Without ZeRO, DeepSpeed clips and steps whatever the norm is; `ZeroEngine` does it.
        config["gradient_clipping"] = 0.0
    if stage == 3:
        # The head reads the embedding table, which belongs to another module.
        deepspeed.zero.register_external_parameter(model.head, model.encoder.embedding.weight)
    wrapped, *_ = deepspeed.initialize(
        model=model,
        optimizer=make_adamw(model, plan.what.optimiser),
        config=config,
        dist_init_required=False,
    )
    return ZeroEngine(wrapped, stage, plan.what.optimiser.clip_norm, group)


def load_deepspeed(device_type: str) -> Any:
    """Import DeepSpeed without what training does not need.

    MLflow stays out (its autotuner would load it, 2 s and more), no operator is compiled, and its
    logger writes where all others write.
    """
    os.environ.setdefault("DS_ACCELERATOR", device_type)
    hidden = sys.modules.get("mlflow")
    sys.modules["mlflow"] = None  # type: ignore[assignment] # the import system's way to say no
    try:
        deepspeed = importlib.import_module("deepspeed")
        with nothing_compiled():  # an optimiser we do not use, imported to compare ours with it
            importlib.import_module("deepspeed.runtime.zero.muon.muon_optimizer")
    finally:
        del sys.modules["mlflow"]
        if hidden is not None:
            sys.modules["mlflow"] = hidden
    # The shared-memory collective would be compiled at first use; gloo does the same. The table
    # is replaced, because reading it probes every operator with the system's linker.
    deepspeed.ops.__compatible_ops__ = {"deepspeed_shm_comm": False}
    for name in ("DeepSpeed", "torch.distributed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logger = logging.getLogger("DeepSpeed")
    logger.handlers.clear()
    logger.propagate = True
    # One rank without a launcher: DeepSpeed reads these even when the group exists.
    os.environ.setdefault("LOCAL_RANK", "0")
    deepspeed.comm.init_distributed(dist_init_required=False, verbose=False)
    return deepspeed


class ZeroEngine:
    """A DeepSpeed engine behind `gfmp.training.engine.Engine`.

    DeepSpeed divides summed gradients by the world size; the loss is multiplied by it before.
    """

    def __init__(self, wrapped: Any, stage: int, clip_norm: float, group: Group) -> None:
        self._wrapped = wrapped
        self._stage = stage
        self._clip_norm = clip_norm
        self._group = group
        self._parameters = dict(parameters_of(wrapped.module))
        self._micro = 0
        self._states = _states(wrapped.optimizer, stage)
        self._ceiling = NormCeiling(wrapped.optimizer, stage)

    @property
    def names(self) -> tuple[str, ...]:
        """See `Engine.names`."""
        return tuple(self._parameters)

    def backward(self, tokens: TokenTensors, scale: float) -> Tensor:
        """See `Engine.backward`."""
        if self._micro:
            # DeepSpeed counts micro-batches by calls of step; before the last one it only counts.
            self._wrapped.step()
        self._micro += 1
        sums = nats_and_correct(self._wrapped(tokens))
        loss = sums[:, 0].sum() * (scale * self._group.world)
        self._wrapped.backward(loss, scale_wrt_gas=False)
        return sums.detach()

    def step(self, learning_rate: float, most_norm: float = math.inf) -> float:
        """See `Engine.step`."""
        assert self._micro == self._wrapped.gradient_accumulation_steps(), "the plan's number"
        self._micro = 0
        for settings in self._wrapped.optimizer.param_groups:
            settings["lr"] = learning_rate
        if self._stage == 0:
            return self._step_whole(most_norm)
        self._ceiling.most_norm = most_norm
        self._wrapped.step()
        return self._ceiling.norm

    def _step_whole(self, most_norm: float) -> float:
        gradients = [p.grad for p in self._parameters.values() if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients))
        if updates(norm, most_norm):
            torch._foreach_mul_(gradients, 1.0 / clip_divisor(norm, self._clip_norm))
        else:
            # AdamW passes over what has no gradient; DeepSpeed still counts the micro-batch.
            self._wrapped.zero_grad()
        self._wrapped.step()
        return norm

    def score(self, tokens: TokenTensors, readout: Readout) -> tuple[Tensor, ...]:
        """See `Engine.score`."""
        self._wrapped.eval()
        with torch.no_grad():
            scores: tuple[Tensor, ...] = self._wrapped(tokens, readout)
        self._wrapped.train()
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


class NormCeiling:
    """Lets ZeRO 1-3 drop a step by its norm, where it already drops one that is not finite.

    DeepSpeed takes the norm and updates in one call. What it sees as the norm of a gradient above
    the ceiling is infinite, so that it clears the step and changes nothing.
    """

    def __init__(self, zero: Any, stage: int) -> None:
        self.most_norm = math.inf
        self.norm = math.nan
        if stage in (1, 2):
            whole = zero.scaled_global_norm
            zero.scaled_global_norm = lambda *a, **k: self._judged(whole(*a, **k))
        elif stage == 3:
            by_group = zero._get_norm_groups
            zero._get_norm_groups = lambda: self._judged_groups(by_group())

    def _judged(self, norm: Tensor) -> Tensor:
        # DeepSpeed writes -1 for a norm that is not finite.
        self.norm = float(norm) if norm >= 0 else math.inf
        return norm if updates(self.norm, self.most_norm) else torch.full_like(norm, math.inf)

    def _judged_groups(self, norms: list[Tensor]) -> list[Tensor]:
        if any(not norm >= 0 for norm in norms):
            self.norm = math.inf
            return norms
        whole = self._judged(torch.linalg.vector_norm(torch.stack(norms)))
        return norms if torch.isfinite(whole) else [torch.full_like(n, math.inf) for n in norms]


def _states(optimizer: Any, stage: int) -> States:
    if stage == 0:
        return WholeStates(optimizer)
    return SlicedStates(optimizer) if stage < 3 else ShardedStates(optimizer)
