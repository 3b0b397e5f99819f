"""Logs as they grow."""

from __future__ import annotations

import time
from pathlib import Path

from gfmp.cli.render.text import echo
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status

_POLL_SECONDS = 0.5
_CHUNK_BYTES = 1 << 16


def follow_logs(run: Run) -> None:
    """Print what is added to the logs of a run until nobody drives it any more."""
    ends = {path: path.stat().st_size for path in run.logs_path.glob("*.log")}
    driven = True
    while driven:
        driven = run.status() is Status.RUNNING  # before reading, so that the end is read too
        for path in sorted(run.logs_path.glob("*.log")):
            ends[path] = _show_from(path, ends.get(path, 0), whole=not driven)
        if driven:
            time.sleep(_POLL_SECONDS)


def _show_from(path: Path, offset: int, *, whole: bool) -> int:
    """Print the lines behind `offset`; returns where the next one begins."""
    with path.open("rb") as handle:
        handle.seek(offset)
        while data := handle.read(_CHUNK_BYTES):
            ended = data.rfind(b"\n") + 1
            kept = data if whole or (not ended and len(data) == _CHUNK_BYTES) else data[:ended]
            for line in kept.decode("utf-8", errors="replace").splitlines():
                echo(f"{path.stem}: {line}")
            offset += len(kept)
            if len(kept) < len(data):
                return offset
    return offset
