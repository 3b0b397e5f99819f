"""Folders that take the place of others: whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gfmp.errors import StorageError
from gfmp.storage import exchange
from gfmp.storage.exchange import replaced_directory

FILES = ("a.txt", "deep/b.txt", "c.txt")


def write(folder: Path, word: str) -> None:
    """Publish a folder in which every file holds `word`."""
    with replaced_directory(folder) as staging:
        for name in FILES:
            (staging / name).parent.mkdir(exist_ok=True)
            (staging / name).write_text(word)


def words(folder: Path) -> list[str]:
    """Read every file through one handle of the folder, as it stood at one moment."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = []
        for name in FILES:
            with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=handle)) as stream:
                found.append(stream.read())
        return found
    finally:
        os.close(handle)


def test_the_new_takes_the_place_of_the_old(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write(folder, "old")
    (folder / "left over.txt").write_text("x")
    write(folder, "new")
    assert words(folder) == ["new"] * 3
    assert not (folder / "left over.txt").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["report"], "no temporary is left"


def test_what_fails_leaves_the_old(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write(folder, "old")
    with pytest.raises(RuntimeError), replaced_directory(folder) as staging:
        (staging / "a.txt").write_text("half")
        raise RuntimeError
    assert words(folder) == ["old"] * 3
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_a_reader_never_finds_none_or_a_mixture(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write(folder, "0")
    done = threading.Event()

    def _write() -> None:
        for number in range(1, 30):
            write(folder, str(number))
        done.set()

    thread = threading.Thread(target=_write)
    thread.start()
    looks = mixed = 0
    while not done.is_set():
        try:
            found = words(folder)
        except FileNotFoundError:
            # The folder it held was replaced and removed while it read: it must look again.
            assert folder.is_dir(), "there is always one"
            continue
        looks += 1
        mixed += len(set(found)) > 1
    thread.join()
    assert looks > 0
    assert mixed == 0
    assert words(folder) == ["29"] * 3


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_left_alone(tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    if kind == "file":
        (tmp_path / "report").write_text("mine")
    else:
        (tmp_path / "report").symlink_to(other)
    with pytest.raises(StorageError, match="Not a directory"):
        write(tmp_path / "report", "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "report"]
    assert list(other.iterdir()) == []


def test_without_an_exchange_of_names_it_works_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_exchange", lambda one, other: False)
    for word in ("old", "new", "newest"):
        write(tmp_path / "report", word)
        assert words(tmp_path / "report") == [word] * 3
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("call", ["fsync", "rename", "_take_place"])
def test_a_writer_killed_anywhere_leaves_old_or_new(tmp_path: Path, call: str) -> None:
    folder = tmp_path / "report"
    write(folder, "old")
    program = f"""
import os, signal, sys
from pathlib import Path
from gfmp.storage import exchange
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if {call!r} == "_take_place":
    exchange._take_place = die
elif {call!r} == "fsync":
    os.fsync = die
else:
    Path.rename = die
with exchange.replaced_directory(Path({str(folder)!r})) as staging:
    (staging / "a.txt").write_text("new")
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert words(folder) == ["old"] * 3
