"""Names go in one step, bytes after; locks that many hold keep out the one that clears."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gfmp.errors import LockedError, StorageError
from gfmp.storage.atomic import TEMPORARY_PREFIX, dead_temporaries
from gfmp.storage.locks import exclusive, shared
from gfmp.storage.removal import discard, disk_bytes, set_aside


def test_what_is_set_aside_is_whole_under_a_name_nobody_looks_for(tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "result.json").write_text("{}")
    doomed = set_aside(folder)
    assert not folder.exists()
    assert doomed.parent == tmp_path
    assert doomed.name.startswith(TEMPORARY_PREFIX)
    assert (doomed / "in" / "result.json").read_text() == "{}"
    assert dead_temporaries(tmp_path) == ()  # its writer lives
    discard(doomed)
    discard(doomed)  # somebody else was quicker
    assert list(tmp_path.iterdir()) == []


def test_of_a_link_only_the_link_goes(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    discard(set_aside(tmp_path / "link"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_is_not_there_cannot_be_set_aside(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        set_aside(tmp_path / "nothing")


def test_a_file_with_two_names_takes_its_bytes_once(tmp_path: Path) -> None:
    one = tmp_path / "data"
    one.write_bytes(b"x" * 100_000)
    alone = disk_bytes(tmp_path)
    os.link(one, tmp_path / "again")
    assert disk_bytes(tmp_path) == alone >= 100_000
    assert disk_bytes(one) < alone
    assert disk_bytes(tmp_path / "gone") == 0


def test_many_share_a_lock_and_one_alone_waits_for_all(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with shared(lock), shared(lock), pytest.raises(LockedError), exclusive(lock):
        pass
    with exclusive(lock):
        assert lock.read_text()
    with shared(lock):
        pass
