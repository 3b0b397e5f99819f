"""Starting the ranks of a group as processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def import_path() -> str:
    """Return a PYTHONPATH with the package, the repository and the room's test modules."""
    return os.pathsep.join(map(str, (ROOT / "platform", ROOT, Path(__file__).parent)))


def launch(world: int, command: Sequence[str]) -> None:
    """Start `command` as every rank of a group and wait for all of them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = import_path()
    shared = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(world),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": path,
    }
    ranks = [
        subprocess.Popen(
            [sys.executable, *command],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(world)
    ]
    outputs = [rank.communicate(timeout=300)[0] for rank in ranks]
    failed = [out for rank, out in zip(ranks, outputs, strict=True) if rank.returncode]
    assert not failed, "\n".join(failed)
