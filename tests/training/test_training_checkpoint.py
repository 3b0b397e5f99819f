from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_launch import import_path
from training_ranks import Stand, state_hash
from training_world import World

from gfmp.errors import (
    CorruptArtefactError,
    ExistsError,
    MissingInputError,
    SpecError,
    StorageError,
    TrainingError,
)
from gfmp.spec.pretrain import Checkpointing
from gfmp.storage.atomic import read_json, write_json
from gfmp.training.checkpoint import Identity, Store
from gfmp.training.engine import Engine
from gfmp.training.keeping import kept_steps
from gfmp.training.manifest import (
    WEIGHTS_FILE,
    Cursor,
    directory_name,
    read_manifest,
    verify,
    what_differs,
    write_manifest,
)
from gfmp.training.processes import Group
from gfmp.training.restore import committed, find_newest, load_weights, restore
from gfmp.training.retention import prune
from gfmp.vocabulary.ensemble import Ensemble

ORDER = "ab" * 32


@pytest.fixture(scope="module")
def stand(world: World, group: Group) -> Stand:
    return Stand.of(world, "ddp", group)


@pytest.fixture(scope="module")
def engine(stand: Stand) -> Engine:
    built = stand.build()
    stand.run(built, Cursor(0, ORDER), 2)
    return built


@pytest.fixture
def store(stand: Stand, engine: Engine, tmp_path: Path) -> Store:
    """Two committed checkpoints, of steps 3 and 4."""
    store = stand.store(tmp_path / "checkpoints")
    for step in (3, 4):
        store.commit(engine, Cursor(step, ORDER), heldout_loss=float(step))
    return store


def test_a_commit_is_whole_and_says_what_it_is(store: Store, engine: Engine) -> None:
    path = store.folder / directory_name(4)
    manifest = verify(path)
    assert path.name == "step-000000004"
    assert manifest.cursor == Cursor(4, ORDER)
    assert manifest.what_fingerprint == store.identity.plan.what.fingerprint
    assert manifest.heldout_loss == 4.0
    assert manifest.written_by["torch"] == torch.__version__
    assert manifest.written_by["engine"] == "ddp"
    assert manifest.num_bytes == sum(
        p.stat().st_size for p in path.iterdir() if p.name != "manifest.json"
    )
    weights = load_weights(path)
    assert set(weights) == set(engine.names)
    assert all(torch.equal(weights[n], engine.read(n, "weight")) for n in engine.names)
    assert not list(store.folder.glob(".tmp-*"))


def test_no_pickle_is_in_a_checkpoint(store: Store) -> None:
    names = {path.name for path in (store.folder / directory_name(3)).iterdir()}
    assert names == {
        "manifest.json",
        "ensemble.json",
        "model.safetensors",
        "moments-00000-of-00001.safetensors",
    }


def test_restore_takes_the_newest(store: Store, stand: Stand, engine: Engine) -> None:
    fresh = stand.build()
    loaded, rejected = restore(store, fresh)
    assert loaded is not None
    assert loaded.cursor.step == 4
    assert rejected == ()
    assert state_hash(fresh) == state_hash(engine)


def test_nothing_was_ever_committed(stand: Stand, engine: Engine, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        assert restore(stand.store(folder), engine) == (None, ())


def test_what_the_ledger_committed_is_missed(stand: Stand, engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="step 8 was committed"):
        restore(stand.store(tmp_path), engine, committed_step=8)
    stand.store(tmp_path).commit(engine, Cursor(0, ORDER), None)
    with pytest.raises(MissingInputError, match="step 8 was committed"):
        restore(stand.store(tmp_path), engine, committed_step=8)


def test_an_older_one_is_taken_and_the_lost_one_named(store: Store, engine: Engine) -> None:
    loaded, rejected = restore(store, engine, committed_step=9)
    assert loaded is not None and loaded.cursor.step == 4
    assert [item.path.name for item in rejected] == [directory_name(9)]
    assert "it is gone" in rejected[0].reason
    assert restore(store, engine, committed_step=3)[1] == ()


def test_a_deleted_run_is_not_begun_again(stand: Stand, engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "checkpoints"
    with pytest.raises(StorageError, match="No such file"):
        stand.store(folder).commit(engine, Cursor(3, ORDER), None)
    assert not folder.parent.exists()


@pytest.mark.parametrize("file", ["model.safetensors", "moments-00000-of-00001.safetensors"])
def test_every_flipped_bit_is_found(store: Store, file: str) -> None:
    path = store.folder / directory_name(4) / file
    whole = path.read_bytes()
    places = random.Random(0).sample(range(len(whole) * 8), 12)
    for place in places:
        broken = bytearray(whole)
        broken[place // 8] ^= 1 << place % 8
        path.write_bytes(broken)
        with pytest.raises(CorruptArtefactError, match=f"{file} does not match its sha256"):
            verify(path.parent)
    path.write_bytes(whole)
    verify(path.parent)


def test_every_changed_letter_of_the_manifest_is_found(store: Store) -> None:
    path = store.folder / directory_name(4) / "manifest.json"
    whole = path.read_text()
    body = json.loads(whole)
    for changed in (
        {**body, "heldout_loss": 0.0},
        {**body, "cursor": {**body["cursor"], "order_hash": "cd" * 32}},
        {**body, "sha256": "0" * 64},
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(CorruptArtefactError, match="its own sha256"):
            read_manifest(path.parent)
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(CorruptArtefactError, match="not a JSON object"):
        read_manifest(path.parent)


def test_another_format_version_is_refused(store: Store) -> None:
    from gfmp.storage.hashes import fingerprint

    path = store.folder / directory_name(4)
    body = read_json(path / "manifest.json")
    body.pop("sha256")
    body["format_version"] = 2
    write_json(path / "manifest.json", {**body, "sha256": fingerprint(body)})
    with pytest.raises(CorruptArtefactError, match="version is 2, this gfmp reads 1"):
        read_manifest(path)
    body["format_version"] = 1
    body.pop("cursor")
    write_json(path / "manifest.json", {**body, "sha256": fingerprint(body)})
    with pytest.raises(CorruptArtefactError, match="not understood"):
        read_manifest(path)


def _truncate(path: Path) -> None:
    os.truncate(path / WEIGHTS_FILE, 100)


def _remove_file(path: Path) -> None:
    (path / WEIGHTS_FILE).unlink()


def _remove_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def _add(path: Path) -> None:
    (path / "notes.txt").write_text("x")


def _rename(path: Path) -> None:
    path.rename(path.with_name(directory_name(9)))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (_truncate, "model.safetensors has 100 bytes instead of"),
        (_remove_file, "missing or unknown files: model.safetensors"),
        (_remove_manifest, "its writer was stopped before the end"),
        (_add, "missing or unknown files: notes.txt"),
        (_rename, "it holds the state after step 4"),
    ],
)
def test_a_broken_one_is_named_and_the_one_before_is_used(
    store: Store, stand: Stand, harm: object, reason: str
) -> None:
    assert callable(harm)
    harm(store.folder / directory_name(4))
    loaded, rejected = restore(store, stand.build())
    assert loaded is not None
    assert loaded.cursor.step == 3
    assert [reason in item.reason for item in rejected] == [True]
    assert [path.name for path in committed(store.folder)] == [directory_name(3)]
    assert len(list(store.folder.glob(".rejected-step-*"))) == 1


def test_a_rejected_name_is_free_again(store: Store, engine: Engine) -> None:
    _truncate(store.folder / directory_name(4))
    restore(store, engine)
    store.commit(engine, Cursor(4, ORDER), None)
    assert find_newest(store.folder).path == store.folder / directory_name(4)


def test_never_from_zero_when_progress_was_committed(store: Store, engine: Engine) -> None:
    for step in (3, 4):
        _truncate(store.folder / directory_name(step))
    with pytest.raises(MissingInputError, match="no checkpoint is whole") as caught:
        restore(store, engine)
    assert "step-000000003" in str(caught.value)
    assert caught.value.exit_status == 66
    for path in committed(store.folder):
        path.rename(path.with_name(f".rejected-{path.name}"))
    with pytest.raises(MissingInputError, match="all were rejected before"):
        restore(store, engine)


def test_a_writer_killed_half_way_leaves_the_one_before(
    store: Store, stand: Stand, scene: Path
) -> None:
    script = Path(__file__).parent / "training_killed.py"
    command = [sys.executable, str(script), str(scene), str(store.folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": import_path()}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(store.folder.glob(".tmp-step-000000005*"))) == 1
    loaded, rejected = restore(store, stand.build())
    assert loaded is not None
    assert loaded.cursor.step == 4
    assert [item.reason for item in rejected] == ["its writer was stopped before it was committed"]
    assert not list(store.folder.glob(".tmp-*"))


def test_committing_twice_is_refused(store: Store, engine: Engine) -> None:
    with pytest.raises(ExistsError, match="published by another process"):
        store.commit(engine, Cursor(4, ORDER), None)
    assert not list(store.folder.glob(".tmp-*"))


def test_nonfinite_state_is_never_committed(stand: Stand, tmp_path: Path) -> None:
    engine = stand.build()
    name = engine.names[-1]
    engine.write(name, "exp_avg_sq", torch.full_like(engine.read(name, "weight"), float("inf")))
    engine.settle(1)
    with pytest.raises(TrainingError, match=f"not finite after step 7, the first is {name}"):
        stand.store(tmp_path).commit(engine, Cursor(7, ORDER), None)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_storage_error(stand: Stand, engine: Engine, tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StorageError) as caught:
            stand.store(tmp_path).commit(engine, Cursor(7, ORDER), None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.exit_status == 74
    assert list(tmp_path.iterdir()) == []


def test_another_plan_is_refused_with_every_difference(store: Store, engine: Engine) -> None:
    plan = store.identity.plan
    optimiser = plan.what.optimiser.model_copy(update={"learning_rate": 1.0})
    other = replace(plan, what=replace(plan.what, steps=999, optimiser=optimiser))
    strange = replace(store, identity=Identity(other, store.identity.ensemble))
    with pytest.raises(SpecError) as caught:
        restore(strange, engine)
    texts = " ".join(problem.message for problem in caught.value.problems)
    assert "optimiser.learning_rate: 0.003 -> 1.0" in texts
    assert "steps: 20 -> 999" in texts
    assert len(caught.value.problems) == 2


def test_another_placement_is_no_difference(world: World, store: Store, engine: Engine) -> None:
    moved = replace(store.identity.plan.where, workers=7, accumulation=3, engine="zero3")
    plan = replace(store.identity.plan, where=moved)
    loaded, _ = restore(replace(store, identity=Identity(plan, world.ensemble)), engine)
    assert loaded is not None


def test_another_ensemble_is_refused_in_words(world: World, store: Store, engine: Engine) -> None:
    fewer = Ensemble.of(world.ensemble.vocabularies[:1])
    strange = replace(store, identity=Identity(store.identity.plan, fewer))
    with pytest.raises(SpecError, match=r"another ensemble: .*bpe64"):
        restore(strange, engine)


def test_what_differs_names_leaves() -> None:
    old = {"a": {"b": 1, "c": 2}, "d": [1]}
    new = {"a": {"b": 1, "c": 3}, "d": [1], "e": None, "f": 0}
    assert what_differs(old, new) == ["a.c: 2 -> 3", "f: None -> 0"]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (Checkpointing(keep_last=1, keep_best=0), {50}),
        (Checkpointing(keep_last=2, keep_best=1), {50, 40, 20}),
        (Checkpointing(keep_last=1, keep_best=2), {50, 20, 10}),
        (Checkpointing(keep_last=9, keep_best=9), {10, 20, 30, 40, 50}),
    ],
)
def test_retention_keeps_newest_and_best(keep: Checkpointing, expected: set[int]) -> None:
    losses = {10: 3.0, 20: 1.0, 30: None, 40: 4.0, 50: None}
    assert kept_steps(losses, keep) == expected


def test_pruning_removes_only_what_does_not_stay(store: Store, engine: Engine) -> None:
    for step in (5, 6):
        store.commit(engine, Cursor(step, ORDER), None)
    _remove_manifest(store.folder / directory_name(5))
    prune(store.folder, Checkpointing(keep_last=1, keep_best=1))
    left = {path.name for path in store.folder.iterdir()}
    assert left == {directory_name(step) for step in (3, 5, 6)}


def test_a_manifest_round_trips(store: Store, tmp_path: Path) -> None:
    manifest = read_manifest(store.folder / directory_name(3))
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
