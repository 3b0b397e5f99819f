"""One process, many breaks: a run that was interrupted is the run that was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_ranks import Stand, state_hash
from training_world import Events, Shape, World

from gfmp.feed.batch import TokenBatch
from gfmp.plan.values import Engine as EngineName
from gfmp.spec.pretrain import Checkpointing
from gfmp.training.engine import Engine
from gfmp.training.job import Outcome
from gfmp.training.keeping import kept_steps
from gfmp.training.loop import train
from gfmp.training.manifest import Cursor, directory_name, verify
from gfmp.training.processes import Group
from gfmp.training.restore import restore
from gfmp.training.session import weights_hash
from gfmp.training.step import ORDER_START, Stepper, agree

LONG, BREAK = 40, 25
START = Cursor(0, ORDER_START)


@pytest.fixture(scope="module", autouse=True)
def _one_thread(group: Group) -> None:
    assert group.world == 1
    torch.set_num_threads(1)


def stand_of(world: World, group: Group, shape: Shape) -> Stand:
    return Stand(world, world.plan(shape), group)


def restored(stand: Stand, folder: Path) -> tuple[Engine, Cursor]:
    """Load the newest checkpoint of a folder into a fresh engine."""
    engine = stand.build()
    loaded, rejected = restore(stand.store(folder), engine)
    assert loaded is not None
    assert rejected == ()
    return engine, loaded.cursor


@pytest.mark.parametrize("engine_name", ["ddp", "zero1"])
def test_forty_steps_equal_twenty_five_and_a_restore(
    world: World, group: Group, tmp_path: Path, engine_name: EngineName
) -> None:
    stand = stand_of(world, group, Shape(engine_name, steps=LONG))
    engine = stand.build()
    at_break, _ = stand.run(engine, START, BREAK)
    before = state_hash(engine)
    stand.store(tmp_path).commit(engine, at_break, None)
    assert state_hash(engine) == before, "committing only reads"
    end, curve = stand.run(engine, at_break, LONG)

    fresh, cursor = restored(stand, tmp_path)
    assert cursor == at_break
    assert state_hash(fresh) == before
    again, second = stand.run(fresh, cursor, LONG)
    assert again == end
    assert second == curve
    assert weights_hash(fresh) == weights_hash(engine)
    assert state_hash(fresh) == state_hash(engine)


@pytest.mark.parametrize(("writer", "reader"), [("ddp", "zero1"), ("zero1", "ddp")])
def test_another_engine_goes_on_with_the_same_curve(
    world: World, group: Group, tmp_path: Path, writer: EngineName, reader: EngineName
) -> None:
    first, second = (stand_of(world, group, Shape(name, steps=16)) for name in (writer, reader))
    engine = first.build()
    middle, _ = first.run(engine, START, 8)
    first.store(tmp_path).commit(engine, middle, None)
    end, expected = first.run(engine, middle, 16)
    other, cursor = restored(second, tmp_path)
    again, found = second.run(other, cursor, 16)
    assert again == end
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_restore_overwrites_whatever_the_engine_held(
    world: World, group: Group, tmp_path: Path
) -> None:
    stand = stand_of(world, group, Shape(steps=6))
    engine = stand.build()
    middle, _ = stand.run(engine, START, 3)
    stand.store(tmp_path).commit(engine, middle, None)
    at_three = state_hash(engine)
    end, _ = stand.run(engine, middle, 6)
    loaded, _ = restore(stand.store(tmp_path), engine)
    assert loaded is not None
    assert state_hash(engine) == at_three
    assert stand.run(engine, loaded.cursor, 6)[0] == end


@pytest.fixture(scope="module")
def straight(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Events]:
    """Five steps without a break, a commit and an evaluation after each of them."""
    folder, events = tmp_path_factory.mktemp("unbroken"), Events()
    return train(world.job(world.plan(every_step(world)), folder, events)), events


def every_step(world: World) -> Shape:
    evaluation = world.plan(Shape()).what.evaluation.model_copy(update={"every_steps": 1})
    return Shape(steps=5, commit_every=1, changes={"evaluation": evaluation})


def test_a_run_stopped_after_every_step_is_the_same_run(
    world: World, straight: tuple[Outcome, Events], tmp_path: Path
) -> None:
    plan = world.plan(every_step(world))
    losses: list[object] = []
    for step in range(1, 5):
        events = Events(stop_after=1)
        outcome = train(world.job(plan, tmp_path, events))
        assert (outcome.status, outcome.step) == ("interrupted", step)
        losses += [fields["loss"] for fields in events.of("step")]
    events = Events()
    outcome = train(world.job(plan, tmp_path, events))
    assert outcome == straight[0]
    losses += [fields["loss"] for fields in events.of("step")]
    assert losses == [fields["loss"] for fields in straight[1].of("step")]
    assert events.of("report") == straight[1].of("report")
    assert Outcome(**outcome.to_json()) == outcome  # type: ignore[arg-type] # JSON has no types


def test_the_disk_holds_what_retention_says(world: World, straight: tuple[Outcome, Events]) -> None:
    _, events = straight
    folder = Path(str(events.of("checkpoint")[-1]["path"])).parent
    assert [fields["step"] for fields in events.of("checkpoint")] == [1, 2, 3, 4, 5]
    # The last step is committed before its report, so its loss is not in the manifest.
    losses: dict[int, float | None] = {5: None}
    for fields in events.of("evaluation")[:-1]:
        each = [v for k, v in fields.items() if k.endswith("/loss") and isinstance(v, float)]
        losses[int(str(fields["step"]))] = sum(each) / len(each)
    keep = Checkpointing(keep_last=2, keep_best=1)
    left = {path.name for path in folder.iterdir()}
    assert left == {directory_name(step) for step in kept_steps(losses, keep)}
    for name in left:
        manifest = verify(folder / name)
        assert manifest.heldout_loss == pytest.approx(losses[manifest.cursor.step])


def test_committed_bytes_are_those_on_disk(straight: tuple[Outcome, Events]) -> None:
    fields = straight[1].of("checkpoint")[-1]
    files = [p for p in Path(str(fields["path"])).iterdir() if p.name != "manifest.json"]
    assert fields["bytes"] == sum(path.stat().st_size for path in files)


def test_a_vocabulary_without_rows_is_left_out_of_the_losses(world: World, tmp_path: Path) -> None:
    feed = replace(world.plan(Shape()).what.feed, weights=(1.0, 0.0))
    events = Events()
    shape = Shape(steps=2, commit_every=2, accumulation=2, changes={"feed": feed})
    outcome = train(world.job(world.plan(shape), tmp_path, events))
    assert outcome.status == "finished"
    for fields in events.of("step"):
        assert "loss/bpe64" not in fields
        assert fields["loss"] == pytest.approx(fields["loss/kmer3"])
    assert "report/bpe64/loss" in events.of("report")[0]


def whole_batch(world: World, workers: int, accumulation: int) -> tuple[TokenBatch, ...]:
    """Return every micro-batch of every rank at step 0."""
    plan = world.plan(Shape(world=workers, accumulation=accumulation))
    shares = [next(world.source(plan, rank).since(0)) for rank in range(workers)]
    assert [len(share) for share in shares] == [accumulation] * workers
    return tuple(batch for share in shares for batch in share)


@pytest.fixture(scope="module")
def one_piece(world: World, group: Group) -> tuple[Engine, list[float], float]:
    """A plain step on the global batch as a single micro-batch."""
    return one_step(world, group, whole_batch(world, 1, 1))


def one_step(
    world: World, group: Group, batches: tuple[TokenBatch, ...]
) -> tuple[Engine, list[float], float]:
    stand = stand_of(world, group, Shape())
    engine = stand.build()
    agreed = agree(batches, 2, stop=False, group=group)
    result = Stepper(engine, stand.softmax, group).take(batches, agreed, 1e-3)
    return engine, list(result.nats), result.gradient_norm


@pytest.mark.parametrize(
    ("workers", "accumulation"), [(1, 2), (1, 3), (1, 8), (2, 1), (2, 2), (4, 2), (8, 1)]
)
def test_the_cut_of_a_batch_changes_no_step(
    world: World,
    group: Group,
    one_piece: tuple[Engine, list[float], float],
    workers: int,
    accumulation: int,
) -> None:
    cut = whole_batch(world, workers, accumulation)
    whole = whole_batch(world, 1, 1)
    assert agree(cut, 2, stop=False, group=group) == agree(whole, 2, stop=False, group=group)
    engine, nats, norm = one_step(world, group, cut)
    expected, expected_nats, expected_norm = one_piece
    assert nats == pytest.approx(expected_nats, rel=1e-5)
    assert norm == pytest.approx(expected_norm, rel=1e-4)
    for name in engine.names:
        torch.testing.assert_close(
            engine.read(name, "exp_avg"), expected.read(name, "exp_avg"), rtol=1e-3, atol=1e-6
        )
        # The first update of AdamW is nearly the sign of the gradient, whatever its size.
        moved = (engine.read(name, "weight") - expected.read(name, "weight")).abs()
        assert moved.median() < 1e-6, name
