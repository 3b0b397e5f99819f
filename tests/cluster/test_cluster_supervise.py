"""A driver that dies is started again; what it left is ended; signals reach it once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from gfmp.cluster import lives
from gfmp.cluster.litter import RAY_FOLDER_VARIABLE, end_marked
from gfmp.cluster.supervise import Command, supervise
from gfmp.errors import InterruptedRunError, TerminatedRunError, TrainingError
from gfmp.ledger.store import RunStore
from gfmp.storage.workspace import Workspace

# A driver that does what the next line of a list says. It is a program like any other to the
# supervisor, which knows nothing of a driver but its status and what is on the disk.
DRIVER = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
folder = Path(os.environ["TESTED"])
with (folder / "calls.jsonl").open("a") as handle:
    names = ("GFMP_DRIVER", "GFMP_SUBMISSION", "GFMP_LOG", "GFMP_SUPERVISOR")
    said = {name: os.environ.get(name) for name in names}
    call = {"argv": sys.argv[1:], "pid": os.getpid(), "session": os.getsid(0)}
    handle.write(json.dumps(call | said) + "\\n")
acts = (folder / "acts.txt").read_text().split()
act = acts[len((folder / "calls.jsonl").read_text().splitlines()) - 1]
def run():
    from gfmp.ledger.header import NewRun
    from gfmp.ledger.store import RunStore
    from gfmp.storage.workspace import Workspace
    store = RunStore(Workspace.at(None))
    found = store.submitted(os.environ["GFMP_SUBMISSION"])
    return found or store.create(NewRun("demo", "sweep", 0, "ab" * 32, b"", {}, ()))
if act == "begin":
    with run().open_writer("driver") as writer:
        writer.append("started", {"segment": 0})
if act == "finish":
    with run().open_writer("driver") as writer:
        writer.append("finished", {"cells": 1, "seconds": 1.0})
if act == "litter":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                             start_new_session=True)
    (folder / "child").write_text(str(child.pid))
    time.sleep(1)
if act == "halve":  # a trial that was killed while it wrote, beside a driver that goes on
    path = folder / "workspace" / "cells" / "ab" / "x"
    path.parent.mkdir(parents=True, exist_ok=True)
    code = "import os, sys; from pathlib import Path; from gfmp.storage import atomic"
    code += "; atomic.temporary_sibling(Path(sys.argv[1])).touch(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert list(path.parent.glob(".tmp-*"))
    sys.exit(0)
if act in ("die", "begin", "litter", "finish"):
    os.kill(os.getpid(), signal.SIGKILL)
if act == "obey":
    def leave(number, frame):
        (folder / "heard").write_text(str(number))
        sys.exit(128 + number)
    signal.signal(signal.SIGTERM, leave); signal.signal(signal.SIGINT, leave)
if act == "ignore":
    signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)
if act in ("obey", "ignore", "sleep"):
    (folder / "ready").touch(); time.sleep(600)
sys.exit(int(act))
"""


@dataclass
class Play:
    """A driver's script, and what came of it."""

    folder: Path
    resumes: str | None = None

    def __post_init__(self) -> None:
        (self.folder / "driver.py").write_text(DRIVER)
        self.said: list[str] = []

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "workspace")

    def run(self, *acts: str) -> int:
        """Supervise a driver whose lives go like this."""
        (self.folder / "acts.txt").write_text(" ".join(acts))
        program = (sys.executable, str(self.folder / "driver.py"))
        return supervise(
            Command(
                ("sweep", "x.yaml", "--set", "a=1"),
                self.workspace,
                self.resumes,
                self.said.append,
                program,
            )
        )

    @property
    def calls(self) -> list[dict[str, str]]:
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setenv("TESTED", str(tmp_path))
    monkeypatch.setattr(lives, "_LONGEST_DELAY_SECONDS", 0.1)
    for name in ("GFMP_DRIVER", "RAY_ADDRESS", RAY_FOLDER_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return Play(tmp_path)


@pytest.mark.parametrize("status", [0, 2, 3, 65, 70, 73, 78, 143])
def test_what_a_driver_decides_is_the_end(play: Play, status: int) -> None:
    assert play.run(str(status)) == status
    assert [call["argv"] for call in play.calls] == [["sweep", "x.yaml", "--set", "a=1"]]
    assert play.said == []


def test_the_driver_has_a_session_a_mark_and_a_log_of_its_own(play: Play) -> None:
    assert play.run("die", "75", "0") == 0
    first, second, third = play.calls
    for call in play.calls:
        assert call["session"] == call["pid"]
        assert call["GFMP_SUPERVISOR"] == str(os.getpid())
        assert call["GFMP_SUBMISSION"] == first["GFMP_SUBMISSION"]
        assert call["GFMP_LOG"] == first["GFMP_LOG"]
    assert len({first["GFMP_DRIVER"], second["GFMP_DRIVER"], third["GFMP_DRIVER"]}) == 3
    assert play.said[0].startswith("the driver died (killed by SIGKILL) before its run began")
    assert play.said[1].startswith("the driver died (Ray's head was lost) before")


def test_once_there_is_a_run_it_is_resumed(play: Play) -> None:
    assert play.run("die", "begin", "die", "0") == 0
    (run,) = RunStore(play.workspace).list()
    again = ["sweep", "--resume", run.id]
    asked = ["sweep", "x.yaml", "--set", "a=1"]
    assert [call["argv"] for call in play.calls] == [asked, asked, again, again]
    assert f"at run {run.id}; it starts again" in play.said[1]


def test_a_resume_is_given_again_as_it_was(play: Play) -> None:
    assert play.run("begin", "0") == 0
    (run,) = RunStore(play.workspace).list()
    (play.folder / "calls.jsonl").unlink()
    play.resumes = run.id
    assert play.run("die", "0") == 0
    assert [call["argv"] for call in play.calls] == [["sweep", "x.yaml", "--set", "a=1"]] * 2


def test_a_run_that_finished_is_not_resumed(play: Play) -> None:
    assert play.run("finish") == 0
    assert play.said == []


def test_it_gives_up_without_progress(play: Play) -> None:
    with pytest.raises(TrainingError, match="died 4 times without progress") as caught:
        play.run(*["die"] * 9)
    assert len(play.calls) == 4
    assert "killed by SIGKILL" in str(caught.value)
    assert "give the same command again" in caught.value.problems[0].fix


def test_what_a_dead_driver_leaves_is_ended(play: Play) -> None:
    assert play.run("litter", "0") == 0
    with contextlib.suppress(psutil.NoSuchProcess):  # or its new parent has not taken note yet
        child = psutil.Process(int((play.folder / "child").read_text()))
        assert child.status() == psutil.STATUS_ZOMBIE


def test_temporaries_of_dead_writers_are_cleared_first(play: Play) -> None:
    assert play.run("begin", "0") == 0
    (run,) = RunStore(play.workspace).list()
    tag = json.loads((run.path / "submission.json").read_text())["creator"]  # killed by now
    left = [
        play.workspace.runs / f".tmp-demo-{tag}-01234567",
        run.path / f".tmp-x.json-{tag}-01234567",
        run.path / "workers" / f".tmp-rank0.json-{tag}-01234567",
        play.workspace.cells / "ab" / f".tmp-c-{tag}-01234567",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    (play.folder / "calls.jsonl").unlink()
    assert play.run("0") == 0
    assert not any(path.exists() for path in left)


def test_what_a_killed_trial_was_writing_goes_when_the_driver_ends(play: Play) -> None:
    assert play.run("halve") == 0
    assert list((play.workspace.cells / "ab").iterdir()) == []


def _when_ready(play: Play, *then: Callable[[], None]) -> threading.Thread:
    def _do() -> None:
        while not (play.folder / "ready").exists():
            time.sleep(0.05)
        for act in then:
            act()
            time.sleep(0.3)

    thread = threading.Thread(target=_do)
    thread.start()
    return thread


def _signal(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "heard"),
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGHUP, signal.SIGTERM),
    ],
)
def test_signals_are_sent_on(play: Play, number: int, heard: int) -> None:
    # These tests too may run under nohup, where nobody cares about a hangup.
    outside = signal.getsignal(number)
    usual = signal.SIG_DFL if outside is signal.SIG_IGN else outside
    signal.signal(number, usual)
    thread = _when_ready(play, _signal(number))
    try:
        assert play.run("obey") == 128 + heard
        thread.join()
        assert int((play.folder / "heard").read_text()) == heard
        assert signal.getsignal(number) is usual
    finally:
        signal.signal(number, outside)


def test_a_driver_that_cannot_tell_is_spoken_for(play: Play) -> None:
    thread = _when_ready(play, _signal(signal.SIGTERM))
    with pytest.raises(TerminatedRunError, match="SIGTERM") as caught:
        play.run("sleep")
    thread.join()
    assert caught.value.exit_status == 143
    assert len(play.calls) == 1


def test_the_second_signal_ends_what_does_not_end(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gfmp.cluster.supervise._PATIENCE_SECONDS", 0.5)
    thread = _when_ready(play, _signal(signal.SIGINT), _signal(signal.SIGINT))
    with pytest.raises(InterruptedRunError, match="SIGINT") as caught:
        play.run("ignore")
    thread.join()
    assert caught.value.exit_status == 130


def test_a_signal_between_two_lives_is_heeded(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "_LONGEST_DELAY_SECONDS", 60.0)
    monkeypatch.setattr(
        lives.Lives, "delay_seconds", property(lambda self: 30.0 if self.deaths else 0.0)
    )
    timer = threading.Timer(3.0, _signal(signal.SIGTERM))
    timer.start()
    with pytest.raises(TerminatedRunError):
        play.run("die", "0")
    timer.join()
    assert len(play.calls) == 1


def test_a_killed_supervisor_takes_its_driver_along(play: Play) -> None:
    script = (
        "import sys; sys.argv = ['gfmp', 'submit', 'x']; sys.path.insert(0, sys.argv[0])\n"
        "import os, time; from pathlib import Path\n"
        "from gfmp.cluster import supervise as s; from gfmp.storage.workspace import Workspace\n"
        "child = 'from gfmp.cluster.supervise import become_driver; import time, os;'\n"
        "child += 'assert become_driver(); assert \\'GFMP_SUPERVISOR\\' not in os.environ;'\n"
        "child += 'print(os.getpid(), flush=True); time.sleep(600)'\n"
        "command = s.Command((), Workspace(Path(os.environ['TESTED'])), None, print,\n"
        "                    (sys.executable, '-c', child))\n"
        "s.supervise(command)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        driver = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        psutil.wait_procs([driver], timeout=10)
        assert not driver.is_running() or driver.status() == psutil.STATUS_ZOMBIE


def test_the_parent_stays_light() -> None:
    script = (
        "import sys, gfmp.cli.main, gfmp.cluster.supervise\n"
        "print([m for m in ('ray', 'torch', 'mlflow', 'pydantic') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_nobody_ends_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GFMP_DRIVER", "me")
    with pytest.raises(AssertionError):
        end_marked("me")
