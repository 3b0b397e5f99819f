"""A process is known by its machine, its boot and its number; locks and temporaries say it."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gfmp.errors import RefusedError
from gfmp.storage.atomic import (
    put_if_absent,
    remove_dead,
    staged_directory,
    temporary_sibling,
)
from gfmp.storage.locks import LockRecord, exclusive, last_owner
from gfmp.storage.owners import MARK_VARIABLE, Owner, process_exists


@pytest.fixture(scope="module")
def gone() -> int:
    """The id of a process that has just ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_tag_names_its_owner() -> None:
    me = Owner.present()
    assert me.pid == os.getpid()
    assert Owner.of(me.tag) == me
    for other in ("", "x", me.tag + "-", me.tag.upper() + "g", f"{me.host}-{me.boot}-0"):
        assert Owner.of(other) is None


def test_only_what_is_certain_counts_as_dead(gone: int) -> None:
    me = Owner.present()
    assert not me.dead()
    assert dataclasses.replace(me, pid=gone).dead()
    assert dataclasses.replace(me, boot="00000000").dead()  # before the last boot
    assert not dataclasses.replace(me, host="000000", pid=gone).dead()  # who knows
    assert process_exists(1)  # another user's
    assert not process_exists(gone)


def test_only_temporaries_of_dead_writers_are_removed(tmp_path: Path, gone: int) -> None:
    dead = dataclasses.replace(Owner.present(), pid=gone).tag
    (tmp_path / f".tmp-a.json-{dead}-01234567").write_text("half")
    (tmp_path / f".tmp-folder-{dead}-01234567" / "deep").mkdir(parents=True)
    kept = [temporary_sibling(tmp_path / "mine"), tmp_path / ".tmp-of-nobody", tmp_path / "whole"]
    for path in kept:
        path.write_text("x")
    assert remove_dead(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert remove_dead(tmp_path / "nowhere") == 0


def test_a_killed_writer_leaves_what_the_next_one_may_remove(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from gfmp.storage.atomic import staged_directory\n"
        "with staged_directory(Path(sys.argv[1]) / 'run') as staging:\n"
        "    (staging / 'part').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert [p.name.startswith(".tmp-run-") for p in tmp_path.iterdir()] == [True]
    with staged_directory(tmp_path / "run"):  # ours, alive and at work
        assert remove_dead(tmp_path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_lock_remembers_its_last_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    assert last_owner(path) == LockRecord()
    monkeypatch.setenv(MARK_VARIABLE, "abc")
    with exclusive(path):
        pass
    assert last_owner(path) == LockRecord(os.getpid(), socket.gethostname(), "abc")
    for torn in ("", "{", "[]", '{"pid": 1}'):
        path.write_text(torn)
        assert last_owner(path) == LockRecord()


def test_a_lock_never_writes_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(RefusedError) as caught, exclusive(tmp_path / "lock"):
        pass
    assert caught.value.exit_status == 77
    assert caught.value.problems[0].where == str(tmp_path / "lock")
    assert victim.read_text() == "precious"
    (tmp_path / "dangling").symlink_to(tmp_path / "made")
    with pytest.raises(RefusedError), exclusive(tmp_path / "dangling"):
        pass
    assert not (tmp_path / "made").exists()


def test_the_loser_of_a_race_leaves_no_temporary(tmp_path: Path) -> None:
    assert put_if_absent(tmp_path / "a", b"1")
    assert not put_if_absent(tmp_path / "a", b"2")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
