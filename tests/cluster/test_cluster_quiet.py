"""Noise goes to files, signals to the ledger, faults cross the borders of processes whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gfmp.cluster.feed import BURST_STEPS, bursts
from gfmp.cluster.noise import capture_forever, redirected
from gfmp.cluster.session import check_address
from gfmp.cluster.watch import StopSignal, follow, interruption, stoppable
from gfmp.errors import (
    InterruptedRunError,
    LostServiceError,
    Problem,
    ServiceError,
    StorageError,
    TerminatedRunError,
    TrainingError,
)
from gfmp.ledger.events import Event
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.storage.workspace import Workspace


@pytest.fixture
def run(tmp_path: Path) -> Run:
    new = NewRun("demo", "pretrain", 0, "0" * 64, b"kind: pretrain\n", {}, ("gfmp",))
    return RunStore(Workspace(tmp_path)).create(new)


def test_prints_of_child_processes_go_to_the_log(tmp_path: Path) -> None:
    script = (
        "import sys, subprocess; from pathlib import Path; "
        "from gfmp.cluster.noise import capture_forever, redirected\n"
        f"with redirected(Path({str(tmp_path / 'log')!r})) as console:\n"
        "    print('python noise'); subprocess.run(['echo', 'C noise']); console.write('seen\\n')\n"
        "print('after')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("after\n", "seen\n")
    logged = (tmp_path / "log").read_text()
    assert "python noise" in logged
    assert "C noise" in logged


def test_descriptors_come_back_after_an_error(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(RuntimeError), redirected(tmp_path / "log"):
        raise RuntimeError
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nonsense"])
def test_a_dead_address_is_an_error(address: str) -> None:
    with pytest.raises(ServiceError, match=address):
        check_address(address)


def test_a_log_that_cannot_be_written_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot write"):
        capture_forever(tmp_path / "logs" / "rank0.log")
    with pytest.raises(StorageError), redirected(tmp_path / "logs" / "one.log"):
        raise AssertionError("nothing runs without its log")


def test_the_first_signal_asks_and_the_second_ends(run: Run) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with StopSignal(run) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert run.stop_requested()
        assert signals.name == "SIGTERM"
        with pytest.raises(InterruptedRunError, match="twice"):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_interruptions_exit_as_the_shell_expects(run: Run) -> None:
    assert isinstance(interruption(run, "SIGTERM"), TerminatedRunError)
    assert interruption(run, "SIGTERM").exit_status == 143
    assert interruption(run, "SIGINT").exit_status == 130
    assert run.id in interruption(run, "SIGINT").problems[0].fix


class _Seen:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def say(self, line: str) -> None:
        raise AssertionError(line)

    def event(self, event: Event) -> None:
        self.events.append(event)


def test_events_written_just_before_the_end_are_shown(run: Run) -> None:
    done, seen = threading.Event(), _Seen()
    with run.open_writer("driver") as writer:
        writer.append("started", {"segment": 0})
        watcher = threading.Thread(target=follow, args=(run, seen, done))
        watcher.start()
        writer.append("finished", {"step": 1})
        done.set()
        watcher.join()
    assert [event.kind for event in seen.events] == ["started", "finished"]


def test_what_an_earlier_start_said_is_not_shown_again(run: Run) -> None:
    done, seen = threading.Event(), _Seen()
    with run.open_writer("driver") as writer:
        writer.append("failed", {"error": "x", "code": "T070"})
    with run.open_writer("driver") as writer:
        writer.append("started", {"segment": 1})
        done.set()
        follow(run, seen, done)
    assert [event.kind for event in seen.events] == ["started"]


def test_the_work_is_watched_while_it_is_followed(run: Run) -> None:
    def _check() -> None:
        raise LostServiceError("gone")

    with pytest.raises(LostServiceError):
        follow(run, _Seen(), threading.Event(), _check)


def test_before_a_run_a_signal_ends_the_command(run: Run) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TerminatedRunError, match="before a run"), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(InterruptedRunError, match="SIGINT") as caught, stoppable():
        os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.exit_status == 130
    assert signal.getsignal(signal.SIGTERM) is handler


def test_errors_cross_process_borders_whole() -> None:
    import pickle

    fault = TrainingError.of([Problem("loss nan", "step 7", "rule", "fix")])
    again = pickle.loads(pickle.dumps(fault))
    assert (type(again), again.problems) == (TrainingError, fault.problems)


@pytest.mark.parametrize(("first", "steps"), [(0, 1), (0, 8), (0, 200), (37, 200), (200, 200)])
def test_bursts_cover_every_step_once(first: int, steps: int) -> None:
    cut = list(bursts(first, steps))
    assert [s for a, b in cut for s in range(a, b)] == list(range(first, steps))
    assert all(b - a <= BURST_STEPS for a, b in cut)
