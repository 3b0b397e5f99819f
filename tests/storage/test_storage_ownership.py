"""Locks under threads and processes, hashes at every size, names and workspaces as properties."""

from __future__ import annotations

import fcntl
import hashlib
import json
import multiprocessing
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import CorruptArtefactError, LockedError, RefusedError, StorageError
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.hashes import canonical_json, fingerprint, sha256_bytes, sha256_file
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace, checked_name

MIB = 1 << 20


def test_the_lock_file_names_its_present_owner_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.lock"
    path.parent.mkdir()
    path.write_text("something much longer than the words of an owner" * 10)
    with exclusive(path):
        owner = json.loads(path.read_text())
        assert owner == {"pid": os.getpid(), "host": socket.gethostname()}
    assert path.exists()


def test_a_lock_is_not_reentrant_and_says_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with exclusive(path), pytest.raises(LockedError) as caught, exclusive(path):
        pytest.fail("owned twice")
    problem = caught.value.problems[0]
    assert problem.where == str(path)
    assert f'"pid": {os.getpid()}' in problem.why
    assert "wait for it to end" in problem.fix


def test_an_owner_that_has_not_signed_yet_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(LockedError) as caught, exclusive(path):
            pytest.fail("owned twice")
    assert "unknown" in caught.value.problems[0].why


def test_a_loser_does_not_blot_out_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with exclusive(path):
        before = path.read_bytes()
        for _ in range(3):
            with pytest.raises(LockedError), exclusive(path):
                pytest.fail("owned twice")
        assert path.read_bytes() == before


def test_an_error_in_the_block_gives_the_lock_back(tmp_path: Path) -> None:
    for fault in (ValueError, KeyboardInterrupt):
        with pytest.raises(fault), exclusive(tmp_path / "x.lock"):
            raise fault
    with exclusive(tmp_path / "x.lock"):
        pass


def test_one_who_waits_gets_the_lock_when_it_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, refused = tmp_path / "x.lock", threading.Event()
    real, order = fcntl.flock, []

    def flock(handle: object, operation: int) -> None:
        try:
            real(handle, operation)  # type: ignore[arg-type]  # passed on
        except BlockingIOError:
            refused.set()
            raise

    monkeypatch.setattr(fcntl, "flock", flock)

    def wait() -> None:
        with exclusive(path, wait_seconds=30.0):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with exclusive(path):
            waiting = pool.submit(wait)
            assert refused.wait(10)
            order.append("first")
        waiting.result(10)
    assert order == ["first", "second"]


def _count(lock: Path, counter: Path, times: int) -> None:
    for _ in range(times):
        with exclusive(lock, wait_seconds=60.0):
            counter.write_text(str(int(counter.read_text()) + 1))


def test_no_two_threads_or_processes_are_inside_at_once(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("fork")
    arguments = (tmp_path / "lock", counter, 3)
    processes = [context.Process(target=_count, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(_count, *arguments) for _ in range(2)]:
            done.result(60)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert counter.read_text() == "12"


def test_a_lock_where_none_can_be_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "x.lock"):
        with pytest.raises(StorageError) as caught, exclusive(path):
            pytest.fail("locked")
        assert caught.value.problems[0].where == str(path)


@pytest.mark.parametrize("size", [0, 1, 63, 64, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])
def test_a_file_has_the_hash_of_its_bytes_at_every_size(tmp_path: Path, size: int) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    (tmp_path / "x").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert sha256_file(tmp_path / "x") == sha256_bytes(data) == expected
    if size:
        (tmp_path / "x").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert sha256_file(tmp_path / "x") != expected


def test_the_hash_of_nothing_is_the_published_one(tmp_path: Path) -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # FIPS 180-4
    assert sha256_bytes(b"") == empty
    with pytest.raises(FileNotFoundError):
        sha256_file(tmp_path / "absent")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def reordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(list(value))}
    return tuple(map(reordered, value)) if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_canonical_json_is_json_in_ascii_whatever_the_order(value: object) -> None:
    text = canonical_json(value)
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == value
    assert canonical_json(reordered(value)) == text
    assert canonical_json(json.loads(text)) == text
    assert fingerprint(value) == hashlib.sha256(text.encode()).hexdigest()


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=4), JSON, max_size=3), st.text(max_size=4), JSON)
def test_another_value_has_another_fingerprint(
    value: dict[str, object], key: str, other: object
) -> None:
    changed = value | {key: other}
    same = key in value and canonical_json(value[key]) == canonical_json(other)
    assert (fingerprint(changed) == fingerprint(value)) == same


@pytest.mark.parametrize("value", [{1, 2}, b"x", Path("x"), {("a",): 1}, object()])
def test_other_types_have_no_fingerprint(value: object) -> None:
    with pytest.raises(TypeError):
        fingerprint(value)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=4), JSON, max_size=3))
def test_json_files_round_trip_and_equal_values_give_equal_bytes(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, object]
) -> None:
    first, second = (tmp_path_factory.getbasetemp() / name for name in ("1.json", "2.json"))
    write_json(first, value)
    write_json(second, reordered(value))
    assert read_json(first) == value
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"3", b'"x"', b"\xff\xfe\xfd", b"{}{}", b'{"a": 1', b'{"a" 1}', b"\0" * 9],
)
def test_a_file_that_is_no_json_object_is_corrupt_and_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(data)
    with pytest.raises(CorruptArtefactError) as caught:
        read_json(path)
    assert caught.value.problems[0].where == str(path)
    assert "restore" in caught.value.problems[0].fix
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "absent.json")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_name_is_safe_or_refused_with_a_safe_one(name: str) -> None:
    try:
        safe = checked_name(name, "run")
    except RefusedError as fault:
        safe = fault.problems[0].fix.removeprefix("choose a name such as ").strip("'")
        assert checked_name(safe, "run") == safe
    else:
        assert safe == name
    assert Path("folder", safe).resolve().parent == Path("folder").resolve()
    assert safe == safe.lower()
    assert len(safe.encode()) <= 64


def test_a_workspace_has_a_place_of_its_own_for_each_noun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.at(str(tmp_path / "w"))
    places = [
        workspace.corpora,
        workspace.vocabularies,
        workspace.runs,
        workspace.mlflow_database,
        workspace.mlflow_artifacts,
    ]
    assert len(set(places)) == 5
    assert {place.parent for place in places} == {tmp_path / "w"}
    assert not workspace.root.exists()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Workspace.at("~/mine").root == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    assert Workspace.at("./a/../b").root == tmp_path / "b"
    monkeypatch.setenv("GFMP_WORKSPACE", "")
    assert Workspace.at("").root == tmp_path / "workspace"
