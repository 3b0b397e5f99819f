from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from training_ranks import Stand, state_hash
from training_world import Events, Shape, World

from gfmp.errors import StorageError, TrainingError
from gfmp.spec.pretrain import Checkpointing
from gfmp.training.checkpoint import Committed, Snapshot, Store
from gfmp.training.commits import Commits
from gfmp.training.engine import Engine
from gfmp.training.loop import train
from gfmp.training.manifest import Cursor, directory_name, verify
from gfmp.training.processes import Group
from gfmp.training.restore import committed, find_newest, restore
from gfmp.training.step import ORDER_START

KEEP = Checkpointing(keep_last=1, keep_best=0)
GATE = threading.Event()


@dataclass(frozen=True)
class SlowStore(Store):
    """A store on a disk that waits until a test lets it write."""

    def publish(self, snapshot: Snapshot) -> Committed:
        """Wait, then publish."""
        assert GATE.wait(60)
        return super().publish(snapshot)


@pytest.fixture(scope="module")
def stand(world: World, group: Group) -> Stand:
    return Stand.of(world, "ddp", group)


@pytest.fixture
def engine(stand: Stand) -> Engine:
    return stand.build()


@pytest.fixture
def slow(stand: Stand, tmp_path: Path) -> Commits:
    """Commits that are written when `GATE` is set."""
    GATE.clear()
    whole = stand.store(tmp_path / "checkpoints")
    return Commits(SlowStore(whole.folder, whole.identity, whole.group), KEEP)


def test_training_goes_on_while_a_commit_is_written(
    stand: Stand, engine: Engine, slow: Commits, tmp_path: Path
) -> None:
    middle, _ = stand.run(engine, Cursor(0, ORDER_START), 2)
    before = state_hash(engine)
    slow.begin(engine, middle, 1.5)
    stand.run(engine, middle, 4)
    assert state_hash(engine) != before
    assert not slow.written
    assert not list((tmp_path / "checkpoints").glob("step-*"))
    GATE.set()
    told = slow.settle()
    assert told is not None
    assert told["step"] == 2
    assert told["path"] == str(tmp_path / "checkpoints" / directory_name(2))
    assert float(str(told["seconds"])) > 0
    assert float(str(told["write_seconds"])) > 0
    fresh = stand.build()
    loaded, rejected = restore(stand.store(tmp_path / "checkpoints"), fresh)
    assert loaded is not None and rejected == ()
    assert loaded.cursor == middle
    assert state_hash(fresh) == before


def test_a_commit_tells_when_it_has_ended(engine: Engine, slow: Commits) -> None:
    assert not slow.written
    assert slow.settle() is None
    slow.begin(engine, Cursor(1, ORDER_START), None)
    GATE.set()
    for _ in range(600):
        if slow.written:
            break
        threading.Event().wait(0.1)
    assert slow.written
    assert slow.settle() is not None
    assert not slow.written


def test_only_one_is_in_flight(engine: Engine, slow: Commits) -> None:
    slow.begin(engine, Cursor(1, ORDER_START), None)
    with pytest.raises(AssertionError, match="one commit at a time"):
        slow.begin(engine, Cursor(2, ORDER_START), None)
    GATE.set()
    assert slow.settle() is not None


def test_older_ones_are_pruned_beside_the_training(
    engine: Engine, slow: Commits, tmp_path: Path
) -> None:
    GATE.set()
    for step in (1, 2, 3):
        slow.begin(engine, Cursor(step, ORDER_START), None)
        slow.settle()
    assert [p.name for p in committed(tmp_path / "checkpoints")] == [directory_name(3)]


def test_what_the_writer_raises_ends_the_run(stand: Stand, engine: Engine, tmp_path: Path) -> None:
    commits = Commits(stand.store(tmp_path / "gone" / "checkpoints"), KEEP)
    commits.begin(engine, Cursor(3, ORDER_START), None)
    with pytest.raises(StorageError, match="No such file"):
        commits.settle()
    assert commits.settle() is None, "it is told once"


def test_a_state_that_is_not_finite_is_told_and_never_published(
    stand: Stand, engine: Engine, tmp_path: Path
) -> None:
    name = engine.names[-1]
    engine.write(name, "weight", torch.full_like(engine.read(name, "weight"), float("nan")))
    commits = Commits(stand.store(tmp_path), KEEP)
    commits.begin(engine, Cursor(7, ORDER_START), None)
    with pytest.raises(TrainingError, match=f"not finite after step 7, the first is {name}"):
        commits.settle()
    assert list(tmp_path.iterdir()) == []


def test_an_error_elsewhere_lets_the_commit_end(
    engine: Engine, slow: Commits, tmp_path: Path
) -> None:
    slow.abandon()
    slow.begin(engine, Cursor(5, ORDER_START), None)
    threading.Timer(0.2, GATE.set).start()
    slow.abandon()
    found = find_newest(tmp_path / "checkpoints")
    assert found.path is not None
    assert verify(found.path).cursor.step == 5


def test_a_run_ends_with_the_error_of_its_writer(world: World, tmp_path: Path) -> None:
    job = world.job(world.plan(Shape(steps=4)), tmp_path / "gone" / "checkpoints", Events())
    with pytest.raises(StorageError, match="No such file"):
        train(job)
    assert not (tmp_path / "gone").exists()


def test_a_run_that_fails_keeps_the_commit_it_had_begun(world: World, tmp_path: Path) -> None:
    class Failing(Events):
        def __call__(self, kind: str, fields: object) -> None:
            assert isinstance(fields, dict)
            super().__call__(kind, fields)
            if kind == "step" and fields["step"] == 3:
                raise RuntimeError("a fault of somebody else")

    with pytest.raises(RuntimeError, match="somebody else"):
        train(world.job(world.plan(Shape(steps=4)), tmp_path, Failing()))
    found = find_newest(tmp_path)
    assert found.path is not None
    assert found.path.name == directory_name(2)
