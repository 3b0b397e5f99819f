"""The process group of a worker group: its store listens where only the workers need it.

torch's TCPStore binds to every interface. It takes a socket that is already bound, so rank 0
binds one to the address of its node: loopback in a session of one machine.

Only ranks import torch. Ray's own settings of a process group import it in the driver and in the
controller as well, where it is a second and a half of CPU for nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from ray.train.backend import Backend, BackendConfig

_BACKLOG = 1024
_LEAVE_SECONDS = 30.0


class WorkerGroup(Protocol):
    """What is used of Ray Train's group of workers."""

    def __len__(self) -> int:
        """Return the number of workers."""
        ...

    def execute(self, call: Callable[..., object]) -> list[object]:
        """Call on every worker; return what each returned, by rank."""
        ...

    def execute_async(self, call: Callable[..., object]) -> list[object]:
        """Begin a call on every worker; return what `ray.get` waits for."""
        ...

    def execute_single(self, rank: int, call: Callable[..., object]) -> object:
        """Call on one worker."""
        ...

    def execute_single_async(
        self, rank: int, call: Callable[..., object], *arguments: object
    ) -> object:
        """Begin a call on one worker."""
        ...


@dataclass(frozen=True)
class Meeting:
    """Where the ranks meet.

    Attributes:
        host: Address of rank 0's node.
        port: Port of its store.
        world: Number of ranks.
        backend: `gloo` or `nccl`.
        timeout_s: Seconds until a collective call that not all ranks make is a fault.
    """

    host: str
    port: int
    world: int
    backend: str
    timeout_s: int


@dataclass(frozen=True)
class ClosedGroup(BackendConfig):
    """Settings of a process group for Ray Train, with a store on one address only.

    Attributes:
        backend: `gloo` or `nccl`.
        timeout_s: Seconds until a collective call that not all ranks make is a fault.
    """

    backend: str
    timeout_s: int

    @property
    def backend_cls(self) -> type:
        """What sets the group up."""
        return _ClosedBackend


def process_group(use_gpu: bool, timeout_s: int = 1800) -> ClosedGroup:
    """Return the settings of the process group for Ray Train.

    Args:
        use_gpu: NCCL instead of gloo.
        timeout_s: Seconds until a collective call that not all ranks make is a fault.
    """
    return ClosedGroup("nccl" if use_gpu else "gloo", timeout_s)


class _ClosedBackend(Backend):
    share_cuda_visible_devices = True

    def on_start(self, worker_group: WorkerGroup, backend_config: ClosedGroup) -> None:
        """Let rank 0 open the store, then let every rank join the group."""
        import ray

        found = worker_group.execute_single(0, _open_socket)
        assert isinstance(found, tuple), "an address and a port"
        host, port = found
        meeting = Meeting(
            host, port, len(worker_group), backend_config.backend, backend_config.timeout_s
        )
        worker_group.execute(_tell_rank)
        ray.get(
            [
                worker_group.execute_single_async(rank, _join, meeting, rank)
                for rank in range(meeting.world)
            ]
        )

    def on_shutdown(self, worker_group: WorkerGroup, backend_config: ClosedGroup) -> None:
        """Let every rank leave the group; one that cannot is ended with its process."""
        import ray

        with contextlib.suppress(ray.exceptions.GetTimeoutError):
            ray.get(worker_group.execute_async(_leave), timeout=_LEAVE_SECONDS)


# The bound socket of rank 0 between the two calls that Ray makes into its process.
_OPENED: list[socket.socket] = []


def _open_socket() -> tuple[str, int]:
    """Bind a free port on the address of this node and keep it for the store."""
    import ray

    host = ray.util.get_node_ip_address()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.bind((host, 0))
    bound.listen(_BACKLOG)
    _OPENED.append(bound)
    return host, int(bound.getsockname()[1])


def _tell_rank() -> None:
    """Put into the environment what torchrun puts there."""
    import ray.train

    context = ray.train.get_context()
    told = {
        "LOCAL_RANK": context.get_local_rank(),
        "LOCAL_WORLD_SIZE": context.get_local_world_size(),
        "NODE_RANK": context.get_node_rank(),
        "RANK": context.get_world_rank(),
        "WORLD_SIZE": context.get_world_size(),
    }
    os.environ.update({name: str(value) for name, value in told.items()})


def _leave() -> None:
    """Leave the group."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def _join(meeting: Meeting, rank: int) -> None:
    """Take part in the group as `rank`."""
    import torch.distributed as dist

    # DeepSpeed and torch look these up even when the group is there already.
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = meeting.host, str(meeting.port)
    timeout = timedelta(seconds=meeting.timeout_s)
    # The store closes the descriptor it is given, so the socket lets go of it.
    listening: dict[str, Any] = {"master_listen_fd": _OPENED.pop().detach()} if rank == 0 else {}
    store = dist.TCPStore(  # type: ignore[attr-defined] # documented, but not exported by name
        meeting.host, meeting.port, meeting.world, rank == 0, timeout, **listening
    )
    dist.init_process_group(
        meeting.backend, store=store, rank=rank, world_size=meeting.world, timeout=timeout
    )
