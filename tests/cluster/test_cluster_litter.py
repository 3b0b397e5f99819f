"""What killed drivers leave is found by marks and names, and only that is cleared away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cluster_world import World

from gfmp.cluster import litter
from gfmp.cluster.closing import close_killed, killed
from gfmp.cluster.head import Head, starting
from gfmp.cluster.litter import (
    clear_ray_results,
    clear_sessions,
    clear_workspace,
    end_marked,
    end_predecessor,
    ray_folder,
)
from gfmp.errors import DataError, LockedError, LostServiceError, RefusedError, TrainingError
from gfmp.ledger.run import Run
from gfmp.storage.locks import LockRecord
from gfmp.storage.owners import MARK_VARIABLE
from gfmp.storage.workspace import Workspace

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def marked() -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, MARK_VARIABLE: "litter-test"}
    with subprocess.Popen(SLEEP, env=environment, start_new_session=True) as process:
        yield process
        process.kill()


@pytest.fixture
def gone() -> int:
    """The id of a process that has just ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_processes_are_found_by_their_mark_alone(marked: subprocess.Popen[bytes]) -> None:
    assert end_marked("another mark") == 0
    assert marked.poll() is None
    assert end_marked("litter-test") == 1
    assert not psutil.pid_exists(marked.pid)


def test_those_that_go_by_themselves_are_not_killed() -> None:
    environment = {**os.environ, MARK_VARIABLE: "leaving"}
    command = [sys.executable, "-c", "import time; time.sleep(1)"]
    with subprocess.Popen(command, env=environment) as process:
        assert end_marked("leaving", grace_seconds=30.0) == 0
        assert process.wait() == 0


def test_workers_of_a_dead_driver_are_ended_before_the_next(
    copied: Run, marked: subprocess.Popen[bytes]
) -> None:
    end_predecessor(copied, LockRecord())
    end_predecessor(copied, LockRecord(1, "another machine", "litter-test"))
    assert marked.poll() is None
    end_predecessor(copied, LockRecord(1, socket.gethostname(), "litter-test"))
    assert not psutil.pid_exists(marked.pid)


def test_a_worker_elsewhere_is_waited_for(copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litter, "_WORKER_SECONDS", 0.3)
    with copied.open_writer("rank0"):
        began = time.monotonic()
        with pytest.raises(LockedError, match="still write") as caught:
            end_predecessor(copied, LockRecord(1, "another machine", "m"))
        assert time.monotonic() - began >= 0.3
        assert copied.resume_command in caught.value.problems[0].fix
    end_predecessor(copied, LockRecord(1, "another machine", "m"))


def test_the_folder_for_ray_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    folder = ray_folder()
    assert folder == Path(f"/tmp/gfmp-{os.getuid()}")
    assert folder.stat().st_mode & 0o777 == 0o700
    # Sockets below a long name could not be made.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a very long name for a folder"))
    assert ray_folder() == folder
    monkeypatch.setattr(litter, "_LONGEST_BASE", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"gfmp-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="somebody else"):
        ray_folder()


def test_sessions_of_dead_drivers_go_but_the_newest_three(tmp_path: Path, gone: int) -> None:
    ray = tmp_path / "ray"
    dead = [ray / f"session_2026-01-0{day}_01-02-03_000004_{gone}" for day in range(1, 6)]
    alive = ray / f"session_2026-01-01_01-02-03_000004_{os.getpid()}"
    strange = ray / "session_by_hand"
    answering = ray / f"session_2026-01-01_00-00-00_000004_{gone}"
    for folder in (*dead, alive, strange, answering):
        (folder / "sockets").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raylet:
        here = Path.cwd()
        os.chdir(answering / "sockets")  # a socket's path must be short
        try:
            raylet.bind("raylet")
        finally:
            os.chdir(here)
        raylet.listen()
        short = Path("/tmp") / f"gfmp-test-{os.getpid()}"
        short.symlink_to(tmp_path)
        try:
            assert clear_sessions(short) == 2
        finally:
            short.unlink()
    assert sorted(ray.iterdir()) == sorted([*dead[2:], alive, strange, answering])
    assert clear_sessions(tmp_path / "nowhere") == 0


def test_old_logs_go_but_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litter, "_KEPT_LOGS", 2)
    workspace = Workspace(tmp_path)
    workspace.logs.mkdir()
    for day in range(1, 6):
        path = workspace.logs / f"2026010{day}-000000.log"
        path.touch()
        if day != 2:  # somebody still writes to it
            os.utime(path, (0, 0))
    assert clear_workspace(workspace) == 2
    assert [p.name[7] for p in sorted(workspace.logs.iterdir())] == ["2", "4", "5"]
    assert clear_workspace(Workspace(tmp_path / "nowhere")) == 0


def test_what_ray_keeps_of_earlier_starts_goes(copied: Run) -> None:
    (copied.path / "ray" / "segment-000" / "deep").mkdir(parents=True)
    clear_ray_results(copied)
    assert not list(copied.path.glob("ray/*"))


def test_a_fault_is_blamed_on_a_head_that_is_gone() -> None:
    head = Head()
    assert head.lost() == ""
    head.check()
    with pytest.raises(TrainingError), head.blamed():
        raise TrainingError("of its own")
    with subprocess.Popen(SLEEP) as child:
        process = psutil.Process(child.pid)
        head._processes = [("raylet", process)]
        head.check()
        child.kill()
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        with pytest.raises(LostServiceError, match="raylet is gone") as caught:
            head.check()
        assert caught.value.exit_status == 75
        with pytest.raises(LostServiceError, match="raylet is gone"), head.blamed():
            raise RuntimeError("connection reset")
    assert head.lost() == "raylet"


def test_a_session_that_does_not_start_may_be_tried_again() -> None:
    with pytest.raises(LostServiceError, match="timed out during startup"), starting():
        raise RuntimeError("The current node timed out during startup.\nAnd more.")
    with pytest.raises(DataError), starting():
        raise DataError("of ours")


def test_mlflow_is_told_of_killed_runs(own_world: World) -> None:
    workspace = own_world.workspace
    run, other, present = own_world.run(), own_world.run(), own_world.run()
    for one in (run, present):
        with one.open_writer("driver") as driver:
            driver.append("started", {"segment": 0})
    with other.open_writer("driver") as driver:
        driver.append("started", {"segment": 0})
        driver.append("interrupted", {"step": 3, "signal": "SIGTERM"})
    assert [one.id for one in killed(workspace)] == [run.id, present.id]
    with run.own():
        assert [one.id for one in killed(workspace)] == [present.id]
    close_killed(workspace, present)
    while len(killed(workspace)) > 1:
        time.sleep(0.1)
    from gfmp.mlflow_store.address import own_uri
    from gfmp.mlflow_store.client import Tracked, open_store

    client = open_store(own_uri(workspace), workspace, "tiny")
    tracked = Tracked.find(client, "tiny", run.id)
    assert tracked is not None
    assert tracked.status == "KILLED"
    assert Tracked.find(client, "tiny", present.id) is None
    # A later start that is killed as well is told again.
    with run.open_writer("driver") as driver:
        driver.append("started", {"segment": 1})
    assert run.id in [one.id for one in killed(workspace)]
