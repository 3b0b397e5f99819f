from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_launch import launch
from training_ranks import Stand, state_hash
from training_world import Shape, World

from gfmp.feed.batch import TokenBatch
from gfmp.training.batches import SoftmaxRows, count_targets, target_vocabulary, to_tensors
from gfmp.training.engine import Engine
from gfmp.training.health import Incident
from gfmp.training.manifest import Cursor
from gfmp.training.processes import Group
from gfmp.training.step import ORDER_START, Stepper, StepResult, advance, agree


@pytest.fixture
def batches(world: World) -> tuple[TokenBatch, ...]:
    return next(world.source(world.plan(Shape(accumulation=2)), 0).since(0))


def test_targets_belong_to_the_vocabulary_of_their_row(batches: tuple[TokenBatch, ...]) -> None:
    for batch in batches:
        found = target_vocabulary(batch)
        for position, vocabulary in zip(batch.positions, found, strict=True):
            row = max(r for r in range(len(batch.samples)) if batch.cu_seqlens[r] <= position)
            assert batch.vocabulary[row] == vocabulary
        assert count_targets(batch, 2).sum() == batch.num_targets


@pytest.mark.parametrize("scope", ["own", "union"])
def test_tensors_keep_every_target_and_its_label(
    world: World, group: Group, batches: tuple[TokenBatch, ...], scope: str
) -> None:
    masking = world.plan(Shape()).what.feed.masking.model_copy(update={"scope": scope})
    softmax = SoftmaxRows.of(world.ensemble, masking)
    batch = batches[0]
    tokens = to_tensors(batch, softmax, group.device)
    assert sum(tokens.counts) == batch.num_targets
    assert tokens.packing.lengths == tuple(np.diff(batch.cu_seqlens))
    true = dict(zip(batch.positions.tolist(), batch.labels.tolist(), strict=True))
    vocabularies = np.repeat([0, 1], tokens.counts)
    for position, label, vocabulary in zip(
        tokens.positions_M.tolist(), tokens.labels_M.tolist(), vocabularies, strict=True
    ):
        assert softmax.rows[vocabulary][label] == true[position]


def test_a_label_outside_its_vocabulary_is_a_bug(
    world: World, group: Group, batches: tuple[TokenBatch, ...]
) -> None:
    softmax = SoftmaxRows.of(world.ensemble, world.plan(Shape()).what.feed.masking)
    wrong = replace(batches[0], labels=np.zeros_like(batches[0].labels))
    with pytest.raises(AssertionError, match="word of its row's vocabulary"):
        to_tensors(wrong, softmax, group.device)


def test_agreement_counts_the_batch(group: Group, batches: tuple[TokenBatch, ...]) -> None:
    agreed = agree(batches, 2, stop=True, group=group)
    lengths = np.concatenate([np.diff(batch.cu_seqlens) for batch in batches])
    assert agreed.stop
    assert agreed.tokens == lengths.sum()
    assert agreed.squared_lengths == (lengths.astype(int) ** 2).sum()
    assert agreed.num_targets == sum(batch.num_targets for batch in batches)
    exact = sum(int(digest) for batch in batches for digest in batch.digests)
    assert agreed.digest == exact % 2**64


def test_order_hash_depends_on_every_digest_and_their_order() -> None:
    start = Cursor(0, ORDER_START)
    there = advance(advance(start, 1), 2)
    assert there.step == 2
    assert there == advance(advance(start, 1), 2)
    assert there.order_hash != advance(advance(start, 2), 1).order_hash
    assert advance(start, 2**64 - 1).order_hash != advance(start, 0).order_hash


def poison(engine: Engine, value: float) -> None:
    """Set one weight of the embedding to a value."""
    name = engine.names[0]
    weight = engine.read(name, "weight")
    weight[:, 0] = value
    engine.write(name, "weight", weight)
    engine.settle(0)


@pytest.mark.parametrize("engine_name", ["ddp", "zero0", "zero1", "zero3"])
def test_nonfinite_loss_stops_before_any_weight_changes(
    world: World, group: Group, batches: tuple[TokenBatch, ...], engine_name: str
) -> None:
    stand = Stand.of(world, engine_name, group)  # type: ignore[arg-type] # names of engines
    own = next(world.source(stand.plan, 0).since(0))
    engine = stand.build()
    poison(engine, float("nan"))
    before = state_hash(engine)
    found = Stepper(engine, stand.softmax, group).take(own, agree(own, 2, False, group), 1e-3)
    assert isinstance(found, Incident)
    assert found.cause == "loss"
    assert found.messages[0].startswith("loss nan at step 1 on rank 0")
    assert f"samples {own[0].samples[0]}" in found.messages[0]
    assert found.error("remedy").exit_status == 70
    assert state_hash(engine) == before


ENGINES = ["ddp", "zero0", "zero1", "zero2", "zero3"]


@pytest.mark.parametrize("engine_name", ENGINES)
def test_a_dropped_step_leaves_no_trace(world: World, group: Group, engine_name: str) -> None:
    """Dropped before the first update and between two: the others are as if it never came."""
    stand = Stand.of(world, engine_name, group)  # type: ignore[arg-type] # names of engines
    start = Cursor(0, ORDER_START)
    plain, disturbed = stand.build(), stand.build()
    for cursor in (start, replace(start, step=1)):
        found = stand.take(disturbed, cursor, most_norm=1e-9)
        assert isinstance(found, Incident)
        assert (found.cause, found.limit) == ("spike", 1e-9)
        normal = stand.take(disturbed, cursor)
        assert isinstance(normal, StepResult)
        assert found.gradient_norm == pytest.approx(normal.gradient_norm)
        assert normal == stand.take(plain, cursor)
        assert state_hash(disturbed) == state_hash(plain)


@pytest.mark.parametrize("engine_name", ["ddp", "zero0", "zero1", "zero2", "zero3"])
def test_infinite_gradient_changes_no_weight(world: World, group: Group, engine_name: str) -> None:
    stand = Stand.of(world, engine_name, group)  # type: ignore[arg-type] # names of engines
    engine = stand.build()
    own = next(world.source(stand.plan, 0).since(0))
    before = state_hash(engine)
    # Finite nats times this scale overflow fp32 in the backward pass.
    for batch in own:
        engine.backward(to_tensors(batch, stand.softmax, group.device), 1e38)
    assert not np.isfinite(engine.step(1e-3))
    assert state_hash(engine) == before


def test_nonfinite_loss_of_one_rank_stops_all(scene: Path) -> None:
    script = str(Path(__file__).parent / "training_faults.py")
    launch(2, [script, str(scene)])
    for rank in range(2):
        told = (scene / f"fault-{rank}.txt").read_text()
        assert "loss nan at step 2 on rank 1, samples" in told
        assert "on rank 0" not in told
        assert "weights unchanged" in told
