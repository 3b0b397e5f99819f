"""torch's fused AdamW without torch's compiler.

`torch.optim` imports `torch._dynamo`, and with it the whole compiler, when a group of parameters is
added and in every step (torch 2.13, `_disable_dynamo`, `_use_grad_for_differentiable`): more than a
second of CPU and a hundred megabytes in every rank, also where nothing is compiled. The update
itself is one call of a fused kernel, which this makes; the numbers are torch's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


class LeanAdamW(torch.optim.AdamW):
    """Fused AdamW for parameters of one device and type; see `torch.optim.AdamW`."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own."""
        add: Any = torch.optim.Optimizer.add_param_group
        add.__wrapped__(self, param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None, "the loss is computed before"
        for group in self.param_groups:
            updated = {p: p.grad for p in group["params"] if p.grad is not None}
            if updated:
                self._update(updated, group)

    def _update(self, updated: Mapping[Tensor, Tensor], group: Mapping[str, Any]) -> None:
        states = [ensure_state(self, parameter) for parameter in updated]
        counts = [state["step"] for state in states]
        torch._foreach_add_(counts, 1)
        first, second = group["betas"]
        torch._fused_adamw_(
            list(updated),
            list(updated.values()),
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            counts,
            lr=group["lr"],
            beta1=first,
            beta2=second,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


def ensure_state(optimizer: torch.optim.Optimizer, tensor: Tensor) -> dict[str, Tensor]:
    """Return the AdamW state of `tensor`, made as before its first update unless it has one."""
    state: dict[str, Tensor] = optimizer.state[tensor]
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32, device=tensor.device)
        state["exp_avg"] = torch.zeros_like(tensor, requires_grad=False)
        state["exp_avg_sq"] = torch.zeros_like(tensor, requires_grad=False)
    return state


@contextlib.contextmanager
def nothing_compiled() -> Iterator[None]:
    """Let functions that are imported during the block stay as they are written."""
    compiler = torch.compile
    torch.compile = _as_written
    try:
        yield
    finally:
        torch.compile = compiler


def _as_written(model: Any = None, **settings: object) -> Any:
    return (lambda function: function) if model is None else model
