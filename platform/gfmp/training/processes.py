"""The group of training processes: one rank each, and the few things they say to each other."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import HashStore

from gfmp.errors import GfmpError, TrainingError

Shared = TypeVar("Shared")


@dataclass(frozen=True)
class Group:
    """This process among those that train together.

    Attributes:
        rank: Number of this process, from 0.
        world: Number of processes.
        device: Where this process computes.
        channel: What they talk over; None for the process group there is.
    """

    rank: int
    world: int
    device: torch.device
    channel: dist.ProcessGroup | None = None

    @classmethod
    def join(cls, use_gpu: bool) -> Group:
        """Use the process group there is, else the one of RANK and WORLD_SIZE, else none but us."""
        if not dist.is_initialized():
            backend = "nccl" if use_gpu else "gloo"
            if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
                dist.init_process_group(backend, init_method="env://")
            else:
                dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
        return cls(dist.get_rank(), dist.get_world_size(), _device(use_gpu))

    def apart(self) -> Group:
        """Return the same ranks with a channel of their own, for one thread beside the training.

        What two threads say over one channel would be taken for each other's. Every rank calls.
        """
        channel = dist.new_group(backend="gloo") if self.world > 1 else None
        return Group(self.rank, self.world, torch.device("cpu"), channel)

    def sum(self, values: Tensor) -> Tensor:
        """Add `values` up over all ranks, in place, and return them; int64 wraps around."""
        if self.world > 1:
            dist.all_reduce(values, group=self.channel)
        return values

    def gather(self, value: Shared) -> list[Shared]:
        """Return every rank's value, by rank."""
        values: list[Shared] = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(values, value, group=self.channel)
        return values

    def on_root(self, call: Callable[[], Shared]) -> Shared:
        """Let rank 0 call, and give its result to every rank.

        Raises:
            GfmpError: what rank 0 raised, on every rank, so that nobody waits for it.
        """
        outcome: list[Shared | GfmpError] = []
        if self.rank == 0:
            outcome.append(_attempt(call))
        return _unwrap(self._broadcast(outcome))

    def all_agree(self, call: Callable[[], Shared]) -> list[Shared]:
        """Let every rank call, and give all results to every rank.

        Raises:
            GfmpError: what the first failing rank raised, on every rank.
        """
        return [_unwrap(outcome) for outcome in self.gather(_attempt(call))]

    def _broadcast(self, outcome: list[Shared | GfmpError]) -> Shared | GfmpError:
        if self.world == 1:
            return outcome[0]
        # Rank 0 has one item to give, every other rank one place to receive it in.
        carried: list[Any] = list(outcome) or [None]
        dist.broadcast_object_list(carried, src=0, group=self.channel)
        received: Shared | GfmpError = carried[0]
        return received


def _attempt(call: Callable[[], Shared]) -> Shared | GfmpError:
    try:
        return call()
    except GfmpError as fault:
        return fault
    except Exception as fault:
        problem = TrainingError(
            f"{type(fault).__name__}: {fault}",
            why="one rank failed where all ranks have to succeed",
            fix="read the log of that rank; if the cause is not there, report it as a bug",
        )
        problem.__cause__ = fault
        return problem


def _unwrap(outcome: Shared | GfmpError) -> Shared:
    if isinstance(outcome, GfmpError):
        raise outcome
    return outcome


def _device(use_gpu: bool) -> torch.device:
    if not use_gpu:
        return torch.device("cpu")
    # A launcher shows a process either its own GPU or all of the machine's.
    local = int(os.environ.get("LOCAL_RANK", "0"))
    index = local if local < torch.cuda.device_count() else 0
    torch.cuda.set_device(index)
    return torch.device("cuda", index)
