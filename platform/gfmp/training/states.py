"""Reading and writing whole parameters and moments, however an engine stores them.

Three layouts: every rank holds everything; ZeRO 1 and 2 hold flat slices of the optimiser's
master copy; ZeRO 3 holds a slice of every parameter. Only values cross, so what one layout wrote
any other loads, at any world size.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gfmp.training.adamw import ensure_state
from gfmp.training.engine import Part


class States(Protocol):
    """One layout; calls are collective."""

    def read(self, parameter: nn.Parameter, part: Part) -> Tensor:
        """Return a whole value, fp32 on the CPU."""
        ...

    def write(self, parameter: nn.Parameter, part: Part, value: Tensor) -> None:
        """Set a whole value."""
        ...

    def settle(self, updates: int) -> None:
        """Make what was written take effect after `updates` optimiser updates."""
        ...


class WholeStates:
    """Every rank holds whole parameters and moments."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    def read(self, parameter: nn.Parameter, part: Part) -> Tensor:
        """See `States.read`."""
        if part == "weight":
            return parameter.detach().to("cpu", copy=True)
        return self._moment(parameter, part).to("cpu", copy=True)

    def write(self, parameter: nn.Parameter, part: Part, value: Tensor) -> None:
        """See `States.write`."""
        target = parameter.detach() if part == "weight" else self._moment(parameter, part)
        target.copy_(value)

    def settle(self, updates: int) -> None:
        """See `States.settle`."""
        set_updates(self._optimizer, updates)

    def _moment(self, parameter: nn.Parameter, part: Part) -> Tensor:
        ensure_state(self._optimizer, parameter)
        moment: Tensor = self._optimizer.state[parameter][part]
        return moment


class SlicedStates:
    """ZeRO 1 and 2: flat slices of the master copy, linked to the parameters by DeepSpeed."""

    def __init__(self, zero: Any) -> None:
        self._zero = zero
        for flat in zero.single_partition_of_fp32_groups:
            ensure_state(zero.optimizer, flat)
        zero._lazy_init_hp_params_optimizer_state()

    def read(self, parameter: nn.Parameter, part: Part) -> Tensor:
        """See `States.read`."""
        return _read_whole(parameter, part)

    def write(self, parameter: nn.Parameter, part: Part, value: Tensor) -> None:
        """See `States.write`."""
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        value = value.to(parameter.device)
        if part == "weight":
            safe_set_full_fp32_param(parameter, value)
        else:
            safe_set_full_optimizer_state(parameter, value, part)

    def settle(self, updates: int) -> None:
        """See `States.settle`."""
        set_updates(self._zero.optimizer, updates)
        self._zero.update_lp_params()


class ShardedStates:
    """ZeRO 3: a slice of every parameter; slices are equal, the last one padded."""

    def __init__(self, zero: Any) -> None:
        self._zero = zero
        for flat in zero.fp32_partitioned_groups_flat:
            ensure_state(zero.optimizer, flat)

    def read(self, parameter: nn.Parameter, part: Part) -> Tensor:
        """See `States.read`."""
        return _read_whole(parameter, part)

    def write(self, parameter: nn.Parameter, part: Part, value: Tensor) -> None:
        """See `States.write`."""
        from deepspeed.utils import safe_set_local_fp32_param, safe_set_local_optimizer_state

        shard: Any = parameter
        own = self._own_slice(value.flatten(), shard.ds_tensor.numel(), shard)
        if part == "weight":
            safe_set_local_fp32_param(parameter, own)
        else:
            safe_set_local_optimizer_state(parameter, own, part)

    def settle(self, updates: int) -> None:
        """See `States.settle`."""
        zero = self._zero
        set_updates(zero.optimizer, updates)
        zero._partition_all_parameters()
        for group in range(len(zero.fp16_groups)):
            zero._reassign_or_swap_out_partitioned_parameters(group)
        zero._post_step(set())

    def _own_slice(self, flat: Tensor, size: int, shard: Any) -> Tensor:
        first = size * self._zero._get_param_partition_rank(shard)
        own = torch.zeros(size, dtype=flat.dtype)
        real = flat[first : first + size]
        own[: real.numel()] = real
        return own.to(shard.ds_tensor.device)


def _read_whole(parameter: nn.Parameter, part: Part) -> Tensor:
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

    if part == "weight":
        value = safe_get_full_fp32_param(parameter)
    else:
        value = safe_get_full_optimizer_state(parameter, part)
    whole: Tensor = value.detach().to("cpu", copy=True)
    return whole


def set_updates(optimizer: torch.optim.Optimizer, updates: int) -> None:
    """Set AdamW's own count of updates, which corrects the bias of its moments."""
    for state in optimizer.state.values():
        state["step"].fill_(float(updates))
