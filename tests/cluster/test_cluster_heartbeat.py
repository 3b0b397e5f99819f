"""A process that stands still ends by itself and says where it stood; one that goes on lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from gfmp.cluster.heartbeat import Pulse, PulsedSource, stack_path
from gfmp.cluster.witness import Witness
from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing
from gfmp.storage.atomic import write_json

# `holds` keeps the interpreter's lock: the clock must not need it.
SCRIPT = """
import os, sys, threading, time
import gfmp.cluster.heartbeat as heartbeat
from pathlib import Path
heartbeat.GRACE_SECONDS = 0.5
def holds():
    import ctypes
    ctypes.PyDLL(None).sleep(60)
def sleeps():
    time.sleep(60)
def crashes():
    import ctypes
    ctypes.string_at(0)
def train_worker(path, what):
    with heartbeat.Pulse(Path(path)) as pulse:
        pulse.beat(0.5)
        globals()[what]()
# Ray runs the training beside the main thread.
thread = threading.Thread(target=train_worker, args=sys.argv[1:])
thread.start()
thread.join()
"""


def _run(path: Path, what: str) -> int:
    command = [sys.executable, "-c", SCRIPT, str(path), what]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


@pytest.mark.parametrize("what", ["sleeps", "holds"])
def test_a_rank_that_stands_still_says_where_and_ends(tmp_path: Path, what: str) -> None:
    path = tmp_path / "logs" / "stack.log"
    assert _run(path, what) == -signal.SIGALRM
    text = path.read_text()
    assert "Timeout (" in text
    assert f"in {what}" in text
    assert "in train_worker" in text


def test_a_crash_says_where(tmp_path: Path) -> None:
    path = tmp_path / "stack.log"
    assert _run(path, "crashes") == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in path.read_text()


def test_a_rank_that_goes_on_and_one_that_has_left_live(tmp_path: Path) -> None:
    path = tmp_path / "stack.log"
    with Pulse(path) as pulse:
        # Every beat has another limit, so that none is saved.
        for extra in range(8):
            pulse.beat(0.5 + extra / 1000)
            time.sleep(0.1)
    time.sleep(0.7)
    assert path.read_text() == ""
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def _batch(step: int) -> TokenBatch:
    empty = np.zeros(0, dtype=np.int64)
    fields = dict.fromkeys(TokenBatch.__dataclass_fields__, empty)
    return TokenBatch(**{**fields, "step": step})


def test_every_step_is_a_beat_and_the_last_one_gives_time_for_the_report() -> None:
    beats: list[float] = []

    class _Pulse(Pulse):
        def __init__(self) -> None:
            """Has no file: nothing is wound."""

        def beat(self, limit_seconds: float) -> None:
            """Take the limit down."""
            beats.append(limit_seconds)

    def _source(dealing: Dealing) -> Iterator[tuple[TokenBatch, ...]]:
        for step in range(dealing.first_step, dealing.end_step):
            time.sleep(0.02)
            yield (_batch(step),)

    source = PulsedSource(_source, _Pulse(), limit_seconds=7.0, end_step=5)
    waits = []
    for made in source(Dealing(2, 5, (1.0,))):
        waits.append((made[0].step, source.feed_seconds))
    assert [step for step, _ in waits] == [2, 3, 4]
    assert all(seconds >= 0.02 for _, seconds in waits)
    assert beats == [7.0, 7.0, 3600.0]


def _rank(folder: Path, rank: int, pid: int, host: str) -> None:
    write_json(folder / "workers" / f"rank{rank}.json", {"pid": pid, "host": host})


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_the_witness_sees_who_went_first_and_reads_what_was_written(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    _rank(tmp_path, 7, os.getpid(), os.uname().nodename)  # of an earlier group
    stack_path(tmp_path, 0).parent.mkdir()
    stack_path(tmp_path, 0).write_text("of an earlier group\n")
    other = subprocess.Popen(["sleep", "60"])
    with Witness(tmp_path) as witness:
        host = os.uname().nodename
        _rank(tmp_path, 0, sleeper.pid, host)
        _rank(tmp_path, 1, other.pid, host)
        _rank(tmp_path, 2, 2**22 + 1, "elsewhere")
        _until(lambda: sum(end.peak_bytes > 0 for end in witness.ends()) == 2)
        other.kill()
        other.wait()
        _until(lambda: witness.ends()[1].vanished is not None)
        with stack_path(tmp_path, 0).open("a") as handle:
            handle.write("of this group\n")
    zero, one, two = witness.ends()
    assert (zero.vanished, one.vanished, two.vanished) == (None, 0, None)
    assert zero.peak_bytes > 0
    assert (two.host, two.peak_bytes) == ("elsewhere", 0)
    assert (zero.stack, one.stack) == ("of this group\n", "")


def test_what_is_left_of_a_group_is_ended(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gfmp.cluster.witness._CLEAR_SECONDS", 0.5)
    with Witness(tmp_path) as witness:
        _rank(tmp_path, 0, sleeper.pid, os.uname().nodename)
        _until(lambda: bool(witness.ends()) and witness.ends()[0].peak_bytes > 0)
    sleeper.send_signal(signal.SIGSTOP)  # which nothing but SIGKILL ends
    witness.clear()
    assert not psutil.pid_exists(sleeper.pid)


def _until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
