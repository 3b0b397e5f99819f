"""Whatever the operating system refuses, and whenever: old or new, no litter, one clear error."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gfmp.errors import ExistsError, GfmpError, RefusedError, StorageError
from gfmp.storage.atomic import (
    TEMPORARY_PREFIX,
    atomic_write,
    put_if_absent,
    remove_abandoned,
    staged_directory,
    storage_faults,
    write_json,
)

CALLS = ("fsync", "link", "rename", "replace", "mkdir")
make_folder = os.mkdir  # stays the real one, for what a test does itself


class Kernel:
    """Counts the calls that change a disk, and at call number `at` does `what` instead."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, what: Callable[[], None]) -> None:
        self.seen: list[str] = []
        for name in CALLS:
            patch.setattr(os, name, self._wrapped(name, getattr(os, name), at, what))

    def _wrapped(
        self, name: str, real: Callable[..., object], at: int, what: Callable[[], None]
    ) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            self.seen.append(name)
            if len(self.seen) == at:
                what()
            return real(*arguments, **options)

        return call


def refuse(number: int) -> Callable[[], None]:
    def what() -> None:
        raise OSError(number, os.strerror(number))

    return what


def write_file(path: Path) -> None:
    atomic_write(path, b"new")


def write_once(path: Path) -> None:
    put_if_absent(path, b"new")


def write_folder(path: Path) -> None:
    with staged_directory(path) as staging:
        (staging / "a").write_bytes(b"1")
        make_folder(staging / "deep")
        (staging / "deep" / "b").write_bytes(b"2")
        (staging / "manifest").write_bytes(b"3")


WRITERS = (write_file, write_once, write_folder)


def calls_of(write: Callable[[Path], None], folder: Path) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        kernel = Kernel(patch, 0, refuse(errno.EIO))
        write(folder / "new" / "place" / "x")
    return kernel.seen


def tree(path: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(path)): p.read_bytes() if p.is_file() else b"/" for p in path.rglob("*")
    }


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
def test_a_refusal_at_any_call_leaves_all_or_nothing(
    tmp_path: Path, write: Callable[[Path], None], number: int
) -> None:
    calls = calls_of(write, tmp_path / "good")
    whole = tree(tmp_path / "good" / "new" / "place")
    expected = RefusedError if number in (errno.EACCES, errno.EROFS) else StorageError
    assert len(calls) >= 3
    for at in range(1, len(calls) + 1):
        place = tmp_path / str(at) / "new" / "place"
        with pytest.MonkeyPatch.context() as patch, pytest.raises(expected) as caught:
            Kernel(patch, at, refuse(number))
            write(place / "x")
        assert caught.value.problems[0].where == str(place / "x")
        assert os.strerror(number) in caught.value.problems[0].message
        assert "--workspace" in caught.value.problems[0].fix
        # only the very last call, the fsync of the parent, comes after publication
        assert tree(place) == (whole if at == len(calls) else {}), (at, calls)


def test_a_refusal_while_replacing_keeps_the_old_content_until_the_new_has_its_name(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x"
    found: dict[str, bytes] = {}
    for at in (2, 3, 4):
        path.write_bytes(b"old")
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StorageError):
            kernel = Kernel(patch, at, refuse(errno.ENOSPC))
            atomic_write(path, b"new")
        found[f"{at} {kernel.seen[-1]}"] = path.read_bytes()
        assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert found == {"2 fsync": b"old", "3 replace": b"old", "4 fsync": b"new"}


def _die() -> None:
    os._exit(9)


def _dies_at(write: Callable[[Path], None], path: Path, at: int) -> int:
    child = os.fork()
    if child == 0:
        with pytest.MonkeyPatch.context() as patch:
            Kernel(patch, at, _die)
            write(path)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("write", WRITERS)
def test_a_death_at_any_call_leaves_all_or_nothing_and_litter_that_can_be_swept(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    calls = calls_of(write, tmp_path / "good")
    whole = tree(tmp_path / "good" / "new" / "place")
    for at in range(1, len(calls) + 1):
        place = tmp_path / str(at)
        place.mkdir()
        # the parents are there, so that there are fewer calls and the last may never come
        assert _dies_at(write, place / "x", at) in (0, 9)
        remove_abandoned(place)
        assert tree(place) in ({}, whole), (at, calls)
        assert not list(place.glob(f"{TEMPORARY_PREFIX}*"))
        write(place / "y")
        assert (place / "y").exists()


def _recorded_fsyncs(patch: pytest.MonkeyPatch, path: Path) -> list[tuple[str, bool]]:
    seen: list[tuple[str, bool]] = []
    real = os.fsync

    def record(handle: int) -> None:
        seen.append((str(Path(f"/proc/self/fd/{handle}").readlink()), path.exists()))
        real(handle)

    patch.setattr(os, "fsync", record)
    return seen


@pytest.mark.parametrize("write", WRITERS)
def test_content_is_durable_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    seen = _recorded_fsyncs(monkeypatch, path)
    write(path)
    assert seen[-1] == (str(tmp_path), True)
    before = [name for name, published in seen[:-1] if not published]
    assert len(before) == len(seen) - 1
    if path.is_dir():
        synced = {Path(name).relative_to(tmp_path).parts[1:] for name in before}
        assert synced == {(), ("a",), ("deep",), ("deep", "b"), ("manifest",)}
        # names inside a folder are durable before the folder itself
        assert before[-1].count(os.sep) < min(name.count(os.sep) for name in before[:-1])


def test_an_error_of_the_block_is_not_dressed_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged_directory(tmp_path / "x"):
        raise KeyboardInterrupt
    with pytest.raises(FileNotFoundError), staged_directory(tmp_path / "x") as staging:
        (staging / "absent").read_bytes()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_stage_never_replaces_what_is_there(tmp_path: Path, kind: str) -> None:
    final, kept = tmp_path / "final", tmp_path / "kept"
    kept.mkdir()
    (kept / "old").write_bytes(b"old")
    if kind == "file":
        final.write_bytes(b"old")
    elif kind == "link":
        final.symlink_to(kept)
    else:
        final.mkdir()
        (final / "old").write_bytes(b"old")
    before = tree(tmp_path)
    with pytest.raises(ExistsError) as caught, staged_directory(final) as staging:
        (staging / "new").write_bytes(b"new")
    assert caught.value.problems[0].where == str(final)
    assert "choose another name" in caught.value.problems[0].fix
    assert tree(tmp_path) == before
    assert final.is_symlink() == (kind == "link")


def test_an_empty_folder_is_a_free_name(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    write_folder(tmp_path / "x")
    assert (tmp_path / "x" / "deep" / "b").read_bytes() == b"2"


def test_links_inside_a_stage_stay_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data").write_bytes(b"data")
    with staged_directory(tmp_path / "x") as staging:
        (staging / "file").symlink_to(outside / "data")
        (staging / "folder").symlink_to(outside)
        (staging / "sibling").symlink_to("file")
    assert (tmp_path / "x" / "file").readlink() == outside / "data"
    assert (tmp_path / "x" / "folder" / "data").read_bytes() == b"data"
    assert (tmp_path / "x" / "sibling").readlink() == Path("file")
    assert tree(outside) == {"data": b"data"}


def test_a_link_to_nowhere_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"), staged_directory(tmp_path / "x") as s:
        (s / "broken").symlink_to("nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", WRITERS)
def test_a_parent_that_is_a_file_is_an_error_about_the_target(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(StorageError) as caught:
        write(tmp_path / "file" / "x")
    assert caught.value.problems[0].where == str(tmp_path / "file" / "x")
    assert tree(tmp_path) == {"file": b"kept"}


def test_a_folder_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(StorageError):
        atomic_write(tmp_path / "x", b"new")
    assert not put_if_absent(tmp_path / "x", b"new")
    assert tree(tmp_path) == {"x": b"/"}


def test_a_name_too_long_for_the_disk_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="too long"):
        atomic_write(tmp_path / ("x" * 300), b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (OSError(errno.EPERM, "x"), RefusedError, "Operation not permitted"),
        (OSError(errno.EDQUOT, "x"), StorageError, "quota"),
        (OSError("without a number"), StorageError, "without a number"),
    ],
)
def test_each_fault_has_its_class_and_names_its_cause(
    tmp_path: Path, fault: OSError, kind: type[GfmpError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught, storage_faults(tmp_path / "not" / "yet"):
        raise fault
    assert caught.value.__cause__ is fault
    if kind is StorageError:
        assert "bytes are free" in caught.value.problems[0].why


def test_a_value_json_cannot_say_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    for value in ({"a": float("nan")}, {"a": object()}, {"a": float("inf")}):
        with pytest.raises((ValueError, TypeError)):
            write_json(tmp_path / "x.json", value)
    assert (tmp_path / "x.json").read_text() == '{\n "a": 1\n}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_sweeping_takes_only_temporary_names_and_follows_no_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / ".tmp-inner").write_bytes(b"not of this folder")
    (tmp_path / ".tmp-link").symlink_to(kept)
    (tmp_path / ".tmp-nowhere").symlink_to(tmp_path / "nothing")
    (tmp_path / ".tmp-full" / "deep").mkdir(parents=True)
    (tmp_path / ".tmporary").write_bytes(b"")
    remove_abandoned(tmp_path)
    assert tree(tmp_path) == {
        "kept": b"/",
        "kept/.tmp-inner": b"not of this folder",
        ".tmporary": b"",
    }
    remove_abandoned(tmp_path / "absent")
    remove_abandoned(kept / ".tmp-inner")
    assert (kept / ".tmp-inner").exists()
