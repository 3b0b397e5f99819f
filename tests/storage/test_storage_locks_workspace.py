"""Locks name their owner; workspaces and names are checked."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from gfmp.errors import LockedError, RefusedError
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace, checked_name


def _hold(path: Path, ready: object) -> None:
    with exclusive(path):
        ready.set()  # type: ignore[attr-defined]  # a multiprocessing event
        os.kill(os.getpid(), 9) if path.name == "killed" else multiprocessing.Event().wait(30)


@pytest.mark.parametrize("name", ["held", "killed"])
def test_a_lock_lives_as_long_as_its_owner(tmp_path: Path, name: str) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    owner = context.Process(target=_hold, args=(tmp_path / name, ready))
    owner.start()
    ready.wait(10)
    if name == "killed":
        owner.join()
        with exclusive(tmp_path / name):
            pass
        return
    with pytest.raises(LockedError) as caught, exclusive(tmp_path / name, wait_seconds=0.3):
        pass
    assert str(owner.pid) in caught.value.problems[0].why
    owner.kill()
    owner.join()


def test_workspace_is_chosen_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GFMP_WORKSPACE", raising=False)
    assert Workspace.at(None).root == tmp_path / "workspace"
    monkeypatch.setenv("GFMP_WORKSPACE", str(tmp_path / "other"))
    assert Workspace.at(None).root == tmp_path / "other"
    assert Workspace.at(str(tmp_path / "third")).runs == tmp_path / "third" / "runs"


@pytest.mark.parametrize(
    "name", ["", "../../x", "/etc/x", "a/b", "-rf", "x" * 65, "b\u0430d", "Upper", ".hidden"]
)
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(RefusedError) as caught:
        checked_name(name, "vocabulary")
    assert caught.value.exit_status == 77
    suggestion = caught.value.problems[0].fix.split("'")[1]
    assert checked_name(suggestion, "vocabulary") == suggestion


def test_safe_names_pass() -> None:
    assert checked_name("bpe4096", "vocabulary") == "bpe4096"
