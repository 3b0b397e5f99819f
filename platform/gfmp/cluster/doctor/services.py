"""Ray, MLflow, the GPU and the network: what jobs ask of them, asked beforehand."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from gfmp.cluster.doctor.findings import Finding, bad, broken, note, ok
from gfmp.errors import CorruptArtefactError, GfmpError, ServiceError
from gfmp.mlflow_store.address import is_server, preflight, tracking_uri
from gfmp.storage.workspace import Workspace

LOOPBACK = "127.0.0.1"
UI_PORT = 5000
_ANSWER_SECONDS = 120
_ASK_GPU = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
_ASK_TORCH = "import torch; print(torch.cuda.is_available(), torch.version.cuda)"


def gpu(torch_version: str) -> Iterator[Finding]:
    """Look for GPUs, and whether torch can use them.

    Args:
        torch_version: Version of the installed torch; empty without one.
    """
    listed = _output(_ASK_GPU)
    names = listed.splitlines() if listed else []
    if not names:
        yield ok("gpu", "none; jobs run on the CPU")
        return
    yield ok("gpu", "; ".join(names))
    if not Path("/proc/driver/nvidia/gpus").is_dir():
        fix = "start the container with its driver's files: docker run --gpus all"
        yield note("gpu driver", "/proc/driver/nvidia is not here, so plans count no GPU", fix)
    if torch_version:
        yield judge_torch(torch_version, _output((sys.executable, "-c", _ASK_TORCH)))


def judge_torch(version: str, answer: str) -> Finding:
    """Say whether a torch can use the GPUs that are there.

    Args:
        version: Of the package; one for CPUs ends in +cpu.
        answer: Whether CUDA is available and its version, as torch says; empty when it fails.
    """
    if version.endswith("+cpu"):
        fix = "install the CUDA build of torch (pytorch.org, Get Started)"
        return note("torch on gpu", f"{version} is for CPUs alone", fix)
    works, _, cuda = answer.partition(" ")
    if works == "True":
        return ok("torch on gpu", f"CUDA {cuda}")
    fix = "install a newer driver, or the build of torch for this one"
    return bad("torch on gpu", f"{version} sees no GPU (CUDA {cuda or '?'})", fix, ServiceError)


def ray(installed: bool) -> Iterator[Finding]:
    """Look where Ray would run, and whether it may."""
    if not installed:
        return
    from gfmp.cluster.ray_token import check_mode, check_token, token_path
    from gfmp.cluster.session import check_address, cluster_address

    try:
        address = cluster_address()
        check_mode(address)
        if address:
            check_address(address)
        if address and not token_path().is_file():
            check_token(address)
    except GfmpError as fault:
        yield broken("ray cluster", fault)
        return
    yield ok("ray cluster", f"{address} answers" if address else "a session of this machine's own")
    yield ok("ray processes", _raylets())


def _raylets() -> str:
    import psutil

    found = [process.pid for process in psutil.process_iter() if _is_raylet(process)]
    listed = ", ".join(map(str, found))
    return f"other sessions run here: raylet {listed}" if found else "none runs here"


def _is_raylet(process: object) -> bool:
    import psutil

    assert isinstance(process, psutil.Process), "psutil lists processes"
    with contextlib.suppress(psutil.Error):
        return bool(process.name() == "raylet")
    return False


def mlflow(workspace: Workspace) -> Finding:
    """Look whether the tracking store can be used."""
    uri = tracking_uri(workspace)
    try:
        preflight(uri)
    except GfmpError as fault:
        return broken("mlflow store", fault)
    if is_server(uri):
        return ok("mlflow store", "the server answers")
    database = workspace.mlflow_database
    if uri != f"sqlite:///{database}":
        return ok("mlflow store", "a database that MLFLOW_TRACKING_URI names")
    if not database.exists():
        return ok("mlflow store", "none yet; the first run makes one in the workspace")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
            (runs,) = store.execute("select count(*) from runs").fetchone()
    except sqlite3.Error as fault:
        fix = f"move {database} away, then gfmp runs sync makes it again from the ledgers"
        return bad("mlflow store", f"not readable: {fault}", fix, CorruptArtefactError)
    return ok("mlflow store", f"{database} ({runs:,} runs)")


def network() -> Iterator[Finding]:
    """Look at loopback, proxies and the port of `gfmp ui`."""
    try:
        with socket.create_server((LOOPBACK, 0)):
            yield ok("loopback", f"{LOOPBACK} takes connections")
    except OSError as fault:
        fix = "bring it up: ip link set lo up"
        yield bad("loopback", f"{LOOPBACK} does not: {fault}", fix, ServiceError)
    yield judge_proxies(urllib.request.getproxies(), bool(urllib.request.proxy_bypass(LOOPBACK)))
    try:
        with socket.create_server((LOOPBACK, UI_PORT)):
            yield ok("port of gfmp ui", f"{UI_PORT} is free")
    except OSError:
        yield ok("port of gfmp ui", f"{UI_PORT} is taken; gfmp ui takes the next free one")


def judge_proxies(proxies: dict[str, str], passed_by: bool) -> Finding:
    """Say whether connections to this machine go through a proxy.

    Args:
        proxies: Protocol -> proxy, without `no`.
        passed_by: Whether loopback is left out.
    """
    used = [protocol for protocol in proxies if protocol in ("http", "https", "all")]
    if not used:
        return ok("proxy", "none")
    if passed_by:
        return ok("proxy", "one, but not for this machine itself")
    fix = f"export no_proxy={LOOPBACK},localhost"
    return note("proxy", "connections to this machine itself would go through it", fix)


def _output(command: tuple[str, ...]) -> str:
    """Return what a program prints; an empty text when it fails or is not here."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
