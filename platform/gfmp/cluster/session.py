"""One Ray session for one command: quiet, on this machine unless RAY_ADDRESS names a cluster."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gfmp.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OBJECT_STORE_BYTES = 512 << 20
_CONNECT_SECONDS = 5.0
# Feed and ingest tasks beside the training workers; they wait for I/O or run in short bursts, so
# they are given slots of their own instead of a share of the workers' cores.
_TASK_SLOTS = 2
_QUIET: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TQDM": "0",
    # Paths in a plan are absolute; workers stay in the folder they start in.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # On one machine there is nobody to announce a preemption.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "TOKENIZERS_PARALLELISM": "true",
    # Idle OpenMP threads sleep: spinning ones starve the ranks beside them.
    "OMP_WAIT_POLICY": "PASSIVE",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def check_address() -> None:
    """Fail early when RAY_ADDRESS names a head node that does not answer.

    Ray itself waits for minutes before it says so.

    Raises:
        ServiceError: nothing listens there.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address in ("", "auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host or "127.0.0.1", int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as fault:
        raise ServiceError(
            f"no Ray cluster answers at {address!r}",
            where="environment variable RAY_ADDRESS",
            why=str(fault),
            fix="start the cluster, or `unset RAY_ADDRESS` to run on this machine",
        ) from fault


@contextlib.contextmanager
def ray_session(workers: int) -> Iterator[None]:
    """Start (or join) Ray for the block; everything it started is gone afterwards.

    Args:
        workers: Training workers that must fit at once.

    Raises:
        ServiceError: RAY_ADDRESS names a cluster that cannot be reached.
    """
    check_address()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if os.environ.get("RAY_ADDRESS", "local") == "local":
        ray.init(
            address="local",
            num_cpus=workers + _TASK_SLOTS,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
        )
        _protect_token()
    else:
        ray.init(log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


def _protect_token() -> None:
    """Close the token file to other users; Ray writes it with the umask of the process."""
    token = Path.home() / ".ray" / "auth_token"
    if token.is_file():
        token.chmod(0o600)
