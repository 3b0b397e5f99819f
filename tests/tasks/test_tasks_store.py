"""Prepared tasks: read once, found again by content, verified on every load."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from task_samples import sequences, write_layout, write_task

from gfmp.errors import CorruptArtefactError, DataError, MissingInputError
from gfmp.storage.hashes import sha256_file
from gfmp.storage.locks import exclusive
from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import TaskTarget, find_task
from gfmp.tasks.prepare import build
from gfmp.tasks.store import TaskStore
from gfmp.tasks.task import SPLITS, Task

SOURCE = "{format: csv, files: {all: {path: a.csv}}, group_column: gene}"
TARGET = "{kind: binary}"


def _write_rows(folder: Path, num_rows: int = 200, length: int = 30) -> None:
    lines = [
        f"{sequence.decode()},{i % 2},g{i // 4}"
        for i, sequence in enumerate(sequences(num_rows, length=length))
    ]
    (folder / "a.csv").write_text("\n".join(["sequence,label,gene", *lines]) + "\n")


def _target(folder: Path, more: str = "split: {by: group}\n") -> TaskTarget:
    _write_rows(folder)
    return write_task(folder, SOURCE, TARGET, more)


def _same(one: Task, other: Task) -> bool:
    return one.fingerprint == other.fingerprint and all(
        one.rows(split).sequences == other.rows(split).sequences
        and np.array_equal(one.rows(split).targets, other.rows(split).targets, equal_nan=True)
        and one.rows(split).origins == other.rows(split).origins
        and one.rows(split).groups == other.rows(split).groups
        for split in SPLITS
    )


def test_what_is_loaded_is_what_was_built(tmp_path: Path) -> None:
    target, store = _target(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    assert not store.prepared(target)
    assert not (tmp_path / "w").exists()  # asking leaves no trace
    first = store.prepare(target)
    assert store.prepared(target)
    assert store.num_rows(target) == {split: len(first.rows(split)) for split in SPLITS}
    second = store.prepare(target)
    assert _same(first, second)
    assert _same(first, build(target.name, target.spec, target.base))
    assert first.facts == second.facts
    assert first.facts["split"] == (
        f"by group; {len(first.valid)} validation rows were taken from train (0.1, seed 0)"
    )


def test_a_prepared_task_is_found_by_its_content_alone(tmp_path: Path) -> None:
    target, store = _target(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    with pytest.raises(MissingInputError, match="is not prepared"):
        store.get("sample", "0" * 64)
    first = store.prepare(target)
    other = store.prepare(_target(tmp_path, "metric: accuracy\nsplit: {by: group, seed: 1}\n"))
    for path in (tmp_path / "a.csv", tmp_path / "sample.yaml"):
        path.unlink()
    for task in (first, other):
        found = store.get("sample", task.fingerprint)
        assert _same(found, task)
        assert (found.target, found.metric, found.facts) == (task.target, task.metric, task.facts)
    with pytest.raises(MissingInputError, match="is not prepared"):
        store.get("sample", "0" * 64)


@pytest.mark.parametrize("key", ["target", "format_version", "metrics", "sha256"])
def test_a_manifest_of_another_format_is_told(tmp_path: Path, key: str) -> None:
    target, store = _target(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    store.prepare(target)
    (path,) = (tmp_path / "w").rglob("manifest.json")
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, key: 7}))
    with pytest.raises(CorruptArtefactError, match="its manifest has "):
        store.prepare(target)


def test_unknown_labels_and_values_survive(tmp_path: Path) -> None:
    lines = [f"{s.decode()},{i % 2},{'' if i % 3 else 1}" for i, s in enumerate(sequences(60))]
    (tmp_path / "a.csv").write_text("\n".join(["sequence,x,y", *lines]) + "\n")
    source = "{format: csv, files: {all: {path: a.csv}}}"
    target = write_task(
        tmp_path, source, "{kind: multilabel, columns: [x, y]}", "split: {by: random}\n"
    )
    store = TaskStore(Workspace(tmp_path / "w"))
    assert _same(store.prepare(target), build(target.name, target.spec, target.base))


def test_words_for_people_do_not_prepare_a_task_again(tmp_path: Path) -> None:
    store = TaskStore(Workspace(tmp_path / "w"))
    first = store.prepare(_target(tmp_path))
    renamed = _target(tmp_path, "split: {by: group}\nlicence: MIT\ncitation: Somebody\n")
    assert store.prepared(renamed)
    again = store.prepare(renamed)
    assert again.fingerprint == first.fingerprint
    assert (again.facts["licence"], again.facts["citation"]) == ("MIT", "Somebody")


def test_a_moved_file_is_the_same_task(tmp_path: Path) -> None:
    store = TaskStore(Workspace(tmp_path / "w"))
    first = store.prepare(_target(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a.csv").rename(tmp_path / "elsewhere" / "a.csv")
    moved = write_task(
        tmp_path, SOURCE.replace("a.csv", "elsewhere/a.csv"), TARGET, "split: {by: group}\n"
    )
    assert store.prepared(moved)
    assert store.prepare(moved).fingerprint == first.fingerprint


@pytest.mark.parametrize(
    "more",
    [
        "split: {by: group, seed: 1}\n",
        "split: {by: group, valid_fraction: 0.2}\n",
        "split: {by: random, test_fraction: 0.3}\n",
        "metric: accuracy\nsplit: {by: group}\n",
        "also: [auroc]\nsplit: {by: group}\n",
    ],
)
def test_what_matters_makes_another_task(tmp_path: Path, more: str) -> None:
    store = TaskStore(Workspace(tmp_path / "w"))
    first = store.prepare(_target(tmp_path))
    other = _target(tmp_path, more)
    assert not store.prepared(other)
    assert store.prepare(other).fingerprint != first.fingerprint
    assert store.prepared(_target(tmp_path))


def test_changed_content_makes_another_task(tmp_path: Path) -> None:
    target, store = _target(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    first = store.prepare(target)
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text(text.replace(",1,", ",0,", 1))
    assert not store.prepared(target)
    assert store.prepare(target).fingerprint != first.fingerprint


def test_a_pinned_file_must_be_the_one(tmp_path: Path) -> None:
    _write_rows(tmp_path)
    digest = sha256_file(tmp_path / "a.csv")
    source = SOURCE.replace("path: a.csv", f"path: a.csv, sha256: {digest}")
    target = write_task(tmp_path, source, TARGET, "split: {by: group}\n")
    store = TaskStore(Workspace(tmp_path / "w"))
    store.prepare(target)
    with (tmp_path / "a.csv").open("a") as handle:
        handle.write("ACGT,1,g\n")
    with pytest.raises(DataError, match="the file changed") as caught:
        store.prepare(target)
    assert digest in caught.value.problems[0].why
    assert not store.prepared(target)


def test_a_lost_file_is_missing(tmp_path: Path) -> None:
    target, store = _target(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    (tmp_path / "a.csv").unlink()
    assert not store.prepared(target)
    with pytest.raises(MissingInputError, match=r"there is no file 'a\.csv'"):
        store.prepare(target)
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.parametrize("victim", ["train.parquet", "test.parquet", "manifest.json"])
@pytest.mark.parametrize("how", ["flip", "cut", "remove"])
def test_damage_is_told(tmp_path: Path, victim: str, how: str) -> None:
    target, store = _target(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    store.prepare(target)
    (path,) = (tmp_path / "w").rglob(victim)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if how == "remove":
        path.unlink()
    else:
        path.write_bytes(data if how == "flip" else data[: len(data) // 2])
    with pytest.raises(CorruptArtefactError) as caught:
        store.prepare(target)
    assert caught.value.exit_status == 65


def test_a_changed_fingerprint_is_told(tmp_path: Path) -> None:
    target, store = _target(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    fingerprint = store.prepare(target).fingerprint
    (path,) = (tmp_path / "w").rglob("manifest.json")
    path.write_text(path.read_text().replace(fingerprint, "f" * 64))
    with pytest.raises(CorruptArtefactError, match="its rows hash to"):
        store.prepare(target)


def test_a_failed_reading_publishes_nothing(tmp_path: Path) -> None:
    target, store = _target(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    with (tmp_path / "a.csv").open("a") as handle:
        handle.write("ACGT,7,g\n")
    with pytest.raises(DataError, match="holds '7'"):
        store.prepare(target)
    assert [path.name for path in (tmp_path / "w" / "tasks" / "sample").iterdir()] == ["lock"]


def test_another_process_is_waited_for(tmp_path: Path) -> None:
    target, store = _target(tmp_path), TaskStore(Workspace(tmp_path / "w"))
    found: list[Task] = []
    with exclusive(tmp_path / "w" / "tasks" / "sample" / "lock"):
        waiting = threading.Thread(target=lambda: found.append(store.prepare(target)))
        waiting.start()
        time.sleep(0.3)
        assert not found and not store.prepared(target)
    waiting.join(timeout=20)
    assert len(found) == 1 and store.prepared(target)


def test_a_folder_without_train_learns_from_dev_and_says_so(tmp_path: Path) -> None:
    rows = [(s.decode(), str(i % 3)) for i, s in enumerate(sequences(90))]
    folder = write_layout(tmp_path / "gue" / "splice", dev=rows[:60], test=rows[60:])
    task = TaskStore(Workspace(tmp_path / "w")).prepare(find_task(str(folder), tmp_path))
    assert task.facts["train"] == "there is no train file: dev.csv is learned from"
    assert (len(task.train), len(task.valid), len(task.test)) == (54, 6, 30)
    assert task.target.kind == "multiclass"


def test_ten_thousand_rows_load_at_once(tmp_path: Path) -> None:
    _write_rows(tmp_path, num_rows=10_000, length=200)
    target = write_task(tmp_path, SOURCE, TARGET, "split: {by: group}\n")
    store = TaskStore(Workspace(tmp_path / "w"))
    store.prepare(target)
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        store.prepare(target)
        took.append(time.perf_counter() - begun)
    assert min(took) <= 0.3
