"""The disk is full, fails, cannot be written, or loses the folder of a run."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from fault_checkpoints import verify_all
from fault_project import Prepared, Project, committed, hashes, wait_until
from fault_seen import Seen

from gfmp.cluster.inputs import RunInputs
from gfmp.errors import GfmpError
from gfmp.training.checkpoint import Identity, Store
from gfmp.training.engine import Part
from gfmp.training.manifest import Cursor
from gfmp.training.processes import Group
from gfmp.training.restore import find_newest

ROOM_LEFT = 700_000


@contextlib.contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk of its own; `folder` must exist."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "gfmp", str(folder)], check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def small_workspace(project: Project, size: str) -> Iterator[Path]:
    """Put the workspace of a project on a disk of its own."""
    aside = project.folder / "aside"
    project.workspace.rename(aside)
    project.workspace.mkdir()
    with disk(project.workspace, size):
        shutil.copytree(aside, project.workspace, dirs_exist_ok=True)
        yield project.workspace


def fill(folder: Path, left: int) -> Path:
    """Take all but `left` bytes of the disk of `folder`."""
    ballast = folder / "ballast"
    with ballast.open("wb") as handle:
        os.posix_fallocate(handle.fileno(), 0, shutil.disk_usage(folder).free - left)
    return ballast


@pytest.mark.fault("K3")
def test_a_full_disk_ends_the_run_and_it_goes_on_when_there_is_room(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    with small_workspace(fresh, "64m") as workspace:
        command = fresh.start("submit", str(fresh.job))
        run = fresh.next_run(command)
        wait_until(lambda: 8 in committed(run), command, 600)
        ballast = fill(workspace, ROOM_LEFT)
        done = command.wait()
        seen.exit(done.status)
        assert done.status == 74, done.output
        said = " ".join(done.output.split())
        assert "bytes needed" in said and "bytes free" in said
        kept = verify_all(run)
        assert kept and kept[-1] >= 8
        assert fresh.leftovers() == []
        ballast.unlink()
        resumed = fresh.run("submit", "--resume", run.name)
        seen.exit(resumed.status)
        assert resumed.status == 0, resumed.output
        assert hashes(run) == (prepared.order_hash, prepared.weights_hash)
        seen.lost(steps=int(hashes(run)[1] != prepared.weights_hash), files=len(fresh.leftovers()))
    seen.outcome("74 with bytes needed and free; resumed to equal weights")


@pytest.mark.ci
@pytest.mark.fault("K3")
def test_no_room_for_two_checkpoints_does_not_start(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    with small_workspace(fresh, "64m") as workspace:
        fill(workspace, ROOM_LEFT)
        done = fresh.run("submit", str(fresh.job))
        seen.exit(done.status)
        assert done.status == 74, done.output
        assert "no room for 2 checkpoints" in " ".join(done.output.split())
        assert fresh.known_runs() == []
        seen.lost(files=len(fresh.leftovers()))
    seen.outcome("74 before Ray with bytes needed and free")


@pytest.mark.ci
@pytest.mark.fault("K3")
def test_a_read_only_workspace_is_refused_before_the_start(
    prepared: Prepared, fresh: Project, seen: Seen
) -> None:
    with small_workspace(fresh, "64m") as workspace:
        subprocess.run(["mount", "-o", "remount,ro", str(workspace)], check=True)
        done = fresh.run("submit", str(fresh.job))
        seen.exit(done.status)
        assert done.status == 77, done.output
        assert "Read-only file system" in " ".join(done.output.split())
        seen.lost(files=len(fresh.leftovers()))
    seen.outcome("77 before the start")


@pytest.mark.fault("K3")
def test_a_run_whose_folder_is_deleted_ends_and_begins_no_other(fresh: Project, seen: Seen) -> None:
    command = fresh.start("submit", str(fresh.job))
    run = fresh.next_run(command)
    wait_until(lambda: 4 in committed(run), command, 600)
    # Its name is gone at once, however long the removal takes.
    run.rename(fresh.folder / "doomed")
    shutil.rmtree(fresh.folder / "doomed")
    done = command.wait()
    seen.exit(done.status)
    assert done.status == 74, done.output
    assert not (run / "checkpoints").exists()
    seen.outcome("74; no second run begins in its place")
    seen.lost(processes=len(fresh.gone(10)))


class SmallState:
    """Three parameters and their moments, the same at every step but for one number."""

    def __init__(self, step: int) -> None:
        self._step = step

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return ("a", "b", "c")

    def read(self, name: str, part: Part) -> torch.Tensor:
        """Return a value."""
        return torch.full((5, 3), float(self._step))


@pytest.fixture(scope="module")
def identity(prepared: Prepared) -> Identity:
    """The plan and the ensemble of the prepared run."""
    inputs = RunInputs.open(prepared.run)
    return Identity(inputs.plan, inputs.ensemble)


def failing(number: int, original: Callable[..., object]) -> Callable[..., object]:
    """Return a call that fails with EIO when it is made the number-th time."""
    made = iter(range(1, 10**6))

    def call(*arguments: object, **options: object) -> object:
        if next(made) == number:
            raise OSError(5, "Input/output error")
        return original(*arguments, **options)

    return call


@pytest.mark.ci
@pytest.mark.fault("K3")
@pytest.mark.parametrize("name", ["fsync", "rename", "replace"])
def test_whichever_call_fails_the_newest_checkpoint_is_old_or_new(
    identity: Identity, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The N-th call fails, for N = 1, 2, ... until a commit makes fewer calls."""
    store = Store(tmp_path / "checkpoints", identity, Group(0, 1, torch.device("cpu")))
    step, number, statuses = 1, 0, set()
    store.commit(SmallState(step), Cursor(step, "ab" * 32), None)
    while True:
        number += 1
        with monkeypatch.context() as patched:
            patched.setattr(os, name, failing(number, getattr(os, name)))
            try:
                store.commit(SmallState(step + 1), Cursor(step + 1, "ab" * 32), None)
            except GfmpError as fault:
                statuses.add(fault.exit_status)
            else:
                break
        found = find_newest(store.folder)
        assert found.manifest is not None and found.manifest.cursor.step in (step, step + 1)
        assert found.rejected == ()
        step = found.manifest.cursor.step
        assert not list(store.folder.glob(".tmp-*"))
    assert statuses == {74}, name
    assert find_newest(store.folder).manifest.cursor.step == step + 1  # type: ignore[union-attr]
    seen.outcome(f"{name} fails at each of {number - 1} places: old or new")
    seen.lost(files=len(list(store.folder.glob(".tmp-*"))))


@pytest.mark.ci
@pytest.mark.fault("K3")
def test_however_full_the_disk_is_the_newest_checkpoint_is_old_or_new(
    identity: Identity, tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room vanishes between the look at it and the writing: real disks of real sizes."""
    monkeypatch.setattr("gfmp.training.room._MARGIN_BYTES", 0)
    statuses = []
    with disk(tmp_path, "512k") as folder:
        store = Store(folder / "checkpoints", identity, Group(0, 1, torch.device("cpu")))
        store.commit(SmallState(1), Cursor(1, "ab" * 32), None)
        for left in range(4096, 60_000, 4096):
            ballast = fill(folder, left)
            try:
                store.commit(SmallState(2), Cursor(2, "ab" * 32), None)
            except GfmpError as fault:
                statuses.append(fault.exit_status)
                assert "bytes" in str(fault)
            found = find_newest(store.folder)
            assert found.manifest is not None
            assert found.manifest.cursor.step == (1 if len(statuses) == left // 4096 else 2)
            ballast.unlink()
            if found.manifest.cursor.step == 2:
                break
        else:
            pytest.fail("it never fitted")
        assert not list(store.folder.glob(".tmp-*"))
    assert statuses and set(statuses) == {74}
    seen.outcome(f"{len(statuses)} sizes too small: the old one stays")
    seen.lost(files=0)


@pytest.mark.ci
@pytest.mark.fault("K3")
def test_a_lost_run_folder_refuses_the_commit(
    identity: Identity, tmp_path: Path, seen: Seen
) -> None:
    group = Group(0, 1, torch.device("cpu"))
    store = Store(tmp_path / "gone" / "checkpoints", identity, group)
    with pytest.raises(GfmpError, match="No such file") as caught:
        store.commit(SmallState(1), Cursor(1, "ab" * 32), None)
    seen.exit(caught.value.exit_status)
    assert caught.value.exit_status == 74
    seen.outcome("74; the folder is not made again")
    seen.lost(files=len(list(tmp_path.iterdir())))
