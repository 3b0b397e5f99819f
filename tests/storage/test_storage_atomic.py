"""The commit protocol: old or new, never torn; faults become errors with a remedy."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from pathlib import Path

import pytest

from gfmp.errors import CorruptArtefactError, ExistsError, RefusedError, StorageError
from gfmp.storage.atomic import (
    atomic_write,
    put_if_absent,
    read_json,
    remove_abandoned,
    staged_directory,
    write_json,
)
from gfmp.storage.hashes import canonical_json, fingerprint, sha256_bytes, sha256_file


def test_write_replaces_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    atomic_write(target, b"old")
    atomic_write(target, b"new")
    assert target.read_bytes() == b"new"
    assert [p.name for p in target.parent.iterdir()] == ["file"]


def _race(path: Path, number: int, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]  # a multiprocessing barrier
    os._exit(0 if put_if_absent(path, f"{number}".encode() * 1000) else 1)


def test_one_of_many_writers_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(8)
    workers = [context.Process(target=_race, args=(tmp_path / "x", i, barrier)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(w.exitcode for w in workers) == [0] + [1] * 7
    assert len(set((tmp_path / "x").read_bytes())) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_failed_stage_publishes_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staged_directory(tmp_path / "artefact") as staging:
        (staging / "part").write_bytes(b"x")
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_a_stage_is_published_once(tmp_path: Path) -> None:
    for expected in (b"1", b"2"):
        try:
            with staged_directory(tmp_path / "artefact") as staging:
                (staging / "part").write_bytes(expected)
        except ExistsError as fault:
            assert expected == b"2"
            assert fault.exit_status == 73
    assert (tmp_path / "artefact" / "part").read_bytes() == b"1"
    assert [p.name for p in tmp_path.iterdir()] == ["artefact"]


def _write_too_much(folder: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        atomic_write(folder / "big", b"x" * 5000)
    except StorageError as fault:
        os._exit(0 if "free" in fault.problems[0].why else 2)
    os._exit(1)


def test_a_refusing_disk_is_a_storage_error(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("fork").Process(target=_write_too_much, args=(tmp_path,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_forbidden_place_is_refused() -> None:
    with pytest.raises(RefusedError):
        atomic_write(Path("/sys/gfmp/file"), b"x")  # nobody may create folders there


def test_json_is_stable_and_checked(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    assert read_json(tmp_path / "a.json") == {"a": [1.5, None], "b": 1}
    (tmp_path / "torn.json").write_text('{"a": ')
    (tmp_path / "list.json").write_text("[1]")
    for name in ("torn.json", "list.json"):
        with pytest.raises(CorruptArtefactError):
            read_json(tmp_path / name)


def test_abandoned_stages_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".tmp-x").mkdir()
    (tmp_path / ".tmp-y").write_text("")
    (tmp_path / "keep").write_text("")
    remove_abandoned(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["keep"]


def test_hashes_do_not_depend_on_order(tmp_path: Path) -> None:
    assert canonical_json({"b": 1, "a": 2}) == '{"a":2,"b":1}'
    assert fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    (tmp_path / "f").write_bytes(b"abc" * 1_000_000)
    assert sha256_file(tmp_path / "f") == sha256_bytes(b"abc" * 1_000_000)
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))
