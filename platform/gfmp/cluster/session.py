"""One Ray session for one command: quiet, on this machine unless RAY_ADDRESS names a cluster.

What Ray opens by itself on a machine can run any code for whoever reaches it, so the session is
closed: every socket on loopback, a token that only its owner can read, and a cluster without a
token only for whoever says so.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from gfmp.cluster.daemons import only_needed
from gfmp.cluster.ray_token import check_mode, check_token, own_token
from gfmp.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OBJECT_STORE_BYTES = 512 << 20
_CONNECT_SECONDS = 5.0
# Ray gives its own processes 30 s to start, which a busy machine can need longer for.
_STARTS = 3
# Feed and ingest tasks beside the training workers; they wait for I/O or run in short bursts, so
# they are given slots of their own instead of a share of the workers' cores.
_TASK_SLOTS = 2
_QUIET: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_TQDM": "0",
    # Paths in a plan are absolute; workers stay in the folder they start in.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # A worker process per slot, started in advance: training workers have an environment of their
    # own and cannot use them.
    "RAY_prestart_worker_first_driver": "0",
    "TOKENIZERS_PARALLELISM": "true",
    # Idle OpenMP threads sleep: spinning ones starve the ranks beside them.
    "OMP_WAIT_POLICY": "PASSIVE",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}
# On one machine, whatever the environment says. Ray replaces the loopback address it is given by
# the public one (`resolve_ip_for_localhost`) unless it is told that there are no clusters; then
# all of its servers bind to 127.0.0.1.
_CLOSED: Mapping[str, str] = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}
# Collectives choose an interface by themselves unless they are told one.
_COLLECTIVES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
_LOOPBACK_INTERFACES = ("lo", "lo0")
_LOOPBACK = "127.0.0.1"
# They let Ray Data read pickles out of Parquet files.
_FORBIDDEN = (
    "RAY_DATA_AUTOLOAD_PYEXTENSIONTYPE",
    "RAY_DATA_AUTOLOAD_CLOUDPICKLE_TENSOR_METADATA",
    "RAY_DATA_AUTOLOAD_PICKLE_OBJECT_SCALAR",
)
# What a gRPC server answers at once with a SETTINGS frame (RFC 9113, section 3.4).
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_HEADER_BYTES = 9
_SETTINGS = 4


def cluster_address() -> str:
    """Return what RAY_ADDRESS names; empty for a session of this machine's own.

    `auto` is the cluster that `ray start` left on this machine. Ray itself would take any other
    session it finds among the processes, such as that of another run.

    Raises:
        ServiceError: it is `auto`, and no cluster was started here.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address != "auto":
        return "" if address == "local" else address
    # Sessions of gfmp have a folder of their own in RAY_TMPDIR, so the usual ones count too.
    places = (os.environ.get("RAY_TMPDIR", ""), os.environ.get("TMPDIR", ""), "/tmp")
    files = [Path(place) / "ray" / "ray_current_cluster" for place in places if place]
    for path in files:
        with contextlib.suppress(OSError):
            return path.read_text(encoding="utf-8").strip()
    raise _unreachable(address, f"`ray start` was not run here: there is no {files[-1]}")


def check_address(address: str) -> None:
    """Fail early when nothing answers at the address of a cluster as its head node would.

    Ray itself waits for minutes before it says so.

    Raises:
        ServiceError: nothing listens there, or something that is not Ray.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host or _LOOPBACK, int(port)), _CONNECT_SECONDS) as there:
            there.sendall(_PREFACE)
            answer = there.recv(_FRAME_HEADER_BYTES, socket.MSG_WAITALL)
    except (OSError, ValueError) as fault:
        raise _unreachable(address, str(fault) or type(fault).__name__) from fault
    if len(answer) < _FRAME_HEADER_BYTES or answer[3] != _SETTINGS:
        raise _unreachable(address, "what listens there does not speak Ray's protocol")


def _unreachable(address: str, why: str) -> ServiceError:
    return ServiceError(
        f"no Ray cluster answers at {address!r}",
        where="environment variable RAY_ADDRESS",
        why=why,
        fix="start the cluster, or `unset RAY_ADDRESS` to run on this machine",
    )


@contextlib.contextmanager
def ray_session(workers: int) -> Iterator[None]:
    """Start (or join) Ray for the block; everything it started is gone afterwards.

    Args:
        workers: Training workers that must fit at once.

    Raises:
        ServiceError: RAY_ADDRESS names a cluster that cannot be reached, or Ray does not start.
        RefusedError: authentication is switched off, or a cluster is named without a token and
            without consent to that.
    """
    address = cluster_address()
    check_mode(address)
    _settle_environment(address)
    if address:
        check_address(address)
        check_token(address)
    else:
        own_token()
    import ray

    # A start that failed half-way, or that a signal ended, is shut down as well: Ray would take
    # the next one in this process for a second call.
    try:
        if address:
            _join(address)
        else:
            _start(workers)
        yield
    finally:
        ray.shutdown()


def _settle_environment(address: str) -> None:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for name in _FORBIDDEN:
        os.environ.pop(name, None)
    if not address:
        # On one machine there is nobody to announce a preemption.
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        os.environ.update(_CLOSED)
        found = [name for _, name in socket.if_nameindex() if name in _LOOPBACK_INTERFACES]
        os.environ.update({name: found[0] for name in _COLLECTIVES if found})
    # Nothing that Ray writes may be changed by other users, whatever the umask was.
    os.umask(os.umask(0o022) | 0o022)


def _start(workers: int) -> None:
    import ray
    from ray._private import ray_constants

    # The variable speaks to Ray's processes; here Ray may have been imported before it was set.
    ray_constants.ENABLE_RAY_CLUSTER = False
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    for attempt in range(1, _STARTS + 1):
        try:
            with only_needed():
                ray.init(
                    address="local",
                    num_cpus=workers + _TASK_SLOTS,
                    include_dashboard=False,
                    log_to_driver=False,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    _node_ip_address=_LOOPBACK,
                )
        except Exception as fault:
            # Ray has no class of its own for this.
            if "timed out" not in str(fault).lower():
                raise
            ray.shutdown()
            _end_children(before)
            if attempt < _STARTS:
                continue
            raise ServiceError(
                f"Ray did not start on this machine in {_STARTS} attempts",
                why=str(fault).splitlines()[0],
                fix="the machine is very busy, or /tmp is full: try again when it is not",
            ) from fault
        break
    assert ray.util.get_node_ip_address() == _LOOPBACK, "a session of one machine is on loopback"


def _end_children(kept: Set[int]) -> None:
    """End what a start that failed has left; Ray itself does so when this process ends."""
    for child in psutil.Process().children(recursive=True):
        if child.pid not in kept:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def _join(address: str) -> None:
    import ray
    from ray.exceptions import AuthenticationError

    try:
        ray.init(address, log_to_driver=False)
    except (ConnectionError, AuthenticationError) as fault:
        raise _unreachable(address, str(fault).splitlines()[0]) from fault
