"""The store: immutable, content addressed, safe among processes, honest about damage."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path

import pytest

from gfmp.errors import (
    CorruptArtefactError,
    ExistsError,
    GfmpError,
    MissingInputError,
    RefusedError,
    StorageError,
)
from gfmp.storage.hashes import sha256_file
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.store import VocabularyStore
from gfmp.vocabulary.vocabulary import LengthLaw, Vocabulary

RECIPE = Recipe("toy", "any", {"k": 2})
SPAWN = multiprocessing.get_context("spawn")


def toy(name: str = "toy", last: str = "ACGT", family: str = "any") -> Vocabulary:
    return Vocabulary(
        name=name,
        family=family,
        words=("A", "C", "G", "T", last),
        stride_bp=0,
        mask_span_tokens=1,
        window=LengthLaw(1, 10, 0.5),
        shortest_bp=1,
        bp_per_token=1.5,
        payload={"merges": ["A C"]},
    )


def tree(root: Path) -> dict[str, bytes]:
    files = (p for p in sorted(root.rglob("*")) if p.is_file() and p.name != "lock")
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


@pytest.fixture
def store(tmp_path: Path) -> VocabularyStore:
    return VocabularyStore(tmp_path / "vocabularies")


def test_what_is_registered_comes_back(store: VocabularyStore) -> None:
    registered = store.register(toy(), RECIPE)
    assert registered.created
    assert registered.path.name == toy().fingerprint[:16]
    assert store.get("toy") == toy()
    assert store.names() == ("toy",)
    assert store.recipe_json("toy") == RECIPE.to_json()


def test_the_same_again_changes_nothing(store: VocabularyStore) -> None:
    store.register(toy(), RECIPE)
    before = tree(store.root)
    again = store.register(toy(), replace(RECIPE, seed=9))
    assert not again.created
    assert tree(store.root) == before


def test_other_content_under_the_name_is_refused(store: VocabularyStore) -> None:
    store.register(toy(), RECIPE)
    before = tree(store.root)
    other = toy(last="GG")
    with pytest.raises(ExistsError, match=toy().fingerprint[:16]) as caught:
        store.register(other, RECIPE)
    assert other.fingerprint[:16] in str(caught.value)
    assert caught.value.exit_status == 73
    assert tree(store.root) == before


def test_two_names_live_side_by_side(store: VocabularyStore) -> None:
    store.register(toy(), RECIPE)
    store.register(toy("toy2"), RECIPE)
    assert store.names() == ("toy", "toy2")
    assert store.get("toy2").name == "toy2"


def test_an_unknown_name_suggests_the_nearest(store: VocabularyStore) -> None:
    with pytest.raises(MissingInputError) as caught:
        store.get("toy")
    assert "registered are none" in caught.value.problems[0].why
    store.register(toy(), RECIPE)
    with pytest.raises(MissingInputError) as caught:
        store.get("tooy")
    assert caught.value.problems[0].fix == "did you mean 'toy'?"
    assert caught.value.exit_status == 66


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "", "x" * 300, "-rf", "b\u0430d"])
def test_unsafe_names_touch_nothing(store: VocabularyStore, name: str) -> None:
    with pytest.raises(RefusedError):
        store.get(name)
    assert not store.root.exists()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rewrite_consistently(path: Path) -> None:
    """Change the vocabulary and the manifest so that only the fingerprint tells."""
    vocabulary = toy(last="CCCC")
    path.write_text(json.dumps(vocabulary.to_json()))
    manifest = path.parent / "manifest.json"
    value = json.loads(manifest.read_bytes())
    value["vocabulary.json"] = sha256_file(path)
    manifest.write_text(json.dumps(value))


@pytest.mark.parametrize("damage", [flip, Path.unlink, rewrite_consistently])
@pytest.mark.parametrize("reader", ["get", "register"])
def test_a_damaged_object_is_an_error(
    store: VocabularyStore, damage: Callable[[Path], object], reader: str
) -> None:
    damage(store.register(toy(), RECIPE).path / "vocabulary.json")
    with pytest.raises(CorruptArtefactError) as caught:
        store.get("toy") if reader == "get" else store.register(toy(), RECIPE)
    assert caught.value.problems[0].where.endswith("vocabulary.json")
    assert caught.value.exit_status == 65


@pytest.mark.parametrize("name", ["recipe.json", "manifest.json"])
def test_every_file_of_the_object_is_guarded(store: VocabularyStore, name: str) -> None:
    flip(store.register(toy(), RECIPE).path / name)
    with pytest.raises(CorruptArtefactError):
        store.get("toy")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"name": "other", "fingerprint": "x"}',
        '{"name": "toy", "fingerprint": 3}',
        '{"name": "toy", "fingerprint": "../../x"}',
    ],
)
def test_a_damaged_name_is_an_error(store: VocabularyStore, text: str) -> None:
    store.register(toy(), RECIPE)
    (store.root / "names" / "toy.json").write_text(text)
    with pytest.raises(CorruptArtefactError):
        store.get("toy")


def test_a_name_that_points_elsewhere_is_an_error(store: VocabularyStore) -> None:
    store.register(toy(), RECIPE)
    other = store.register(toy("other"), RECIPE)
    record = store.root / "names" / "toy.json"
    record.write_text(json.dumps({"name": "toy", "fingerprint": other.fingerprint}))
    with pytest.raises(CorruptArtefactError, match="points at the vocabulary 'other'"):
        store.get("toy")


@pytest.mark.parametrize("which", ["names", "objects", "names/toy.json", "object", "file"])
def test_symbolic_links_are_refused(store: VocabularyStore, tmp_path: Path, which: str) -> None:
    folder = store.register(toy(), RECIPE).path
    shown = {"object": folder, "file": folder / "vocabulary.json"}
    path = shown.get(which, store.root / which)
    moved = tmp_path / "elsewhere"
    shutil.move(path, moved)
    path.symlink_to(moved)
    with pytest.raises(RefusedError, match="symbolic link"):
        store.get("toy")
    with pytest.raises(RefusedError, match="symbolic link"):
        store.register(toy(), RECIPE)


def _register(root: Path, last: str, go: float, results: Queue[tuple[str, str]]) -> None:
    vocabulary = toy(last=last)
    time.sleep(max(0.0, go - time.time()))
    try:
        registered = VocabularyStore(root).register(vocabulary, RECIPE)
    except GfmpError as error:
        results.put((last, error.code))
    else:
        results.put((last, str(registered.created)))


def test_of_many_processes_one_creates(store: VocabularyStore) -> None:
    results: Queue[tuple[str, str]] = SPAWN.Queue()
    go = time.time() + 3.0
    words = ["AAAA", "CCCC"] * 3
    workers = [SPAWN.Process(target=_register, args=(store.root, w, go, results)) for w in words]
    for worker in workers:
        worker.start()
    outcomes = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
    winner = store.get("toy").words[-1]
    mine = sorted(outcome for word, outcome in outcomes if word == winner)
    others = [outcome for word, outcome in outcomes if word != winner]
    assert mine == ["False", "False", "True"]
    assert others == ["E073"] * 3
    assert len(list((store.root / "objects").iterdir())) == 1


def _register_for_ever(root: Path) -> None:
    store = VocabularyStore(root)
    for i in range(100_000):
        store.register(toy(f"v{i}"), replace(RECIPE, name=f"v{i}"))


def test_a_killed_writer_leaves_a_valid_store(store: VocabularyStore) -> None:
    for delay in (0.0, 0.013, 0.031):
        worker = SPAWN.Process(target=_register_for_ever, args=(store.root,))
        worker.start()
        seen = len(store.names())
        while len(store.names()) < seen + 3 and worker.is_alive():
            time.sleep(0.002)
        time.sleep(delay)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join(timeout=30)
        for name in store.names():
            assert store.get(name).name == name
    store.register(toy("last"), RECIPE)
    assert not list(store.root.rglob(".tmp-*"))


@pytest.mark.parametrize(("call", "times"), [("fsync", 10), ("link", 1), ("rename", 1)])
def test_each_call_that_fails_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, times: int
) -> None:
    real = vars(os)[call]
    for n in range(1, 100):
        store = VocabularyStore(tmp_path / str(n))
        left = [n]

        def failing(*args: object, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(*args)

        monkeypatch.setattr(os, call, failing)
        try:
            store.register(toy(), RECIPE)
        except StorageError as error:
            assert error.exit_status == 74
            assert store.names() in ((), ("toy",))
            monkeypatch.setattr(os, call, real)
            store.register(toy(), RECIPE)
            assert store.get("toy") == toy()
            assert not list(store.root.rglob(".tmp-*"))
        else:
            break
    assert times < n < 99
