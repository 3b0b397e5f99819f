"""A worker that makes its own batches: those of the feed, in order, and nothing left behind."""

from __future__ import annotations

import threading

import pytest
from cluster_world import World

from gfmp.cluster.feed import STEPS_AHEAD, OwnStepSource, RayStepSource, Share, step_source
from gfmp.cluster.inputs import RunInputs
from gfmp.errors import CorruptArtefactError
from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing
from gfmp.ledger.run import Run

EVEN = (0.5, 0.5)


def as_bytes(steps: list[tuple[TokenBatch, ...]]) -> list[list[bytes]]:
    return [[batch.to_bytes() for batch in step] for step in steps]


def feed_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("feed")]


def test_the_plan_says_who_makes_the_batches(planned: Run) -> None:
    share = Share(0, 1, 1)
    assert step_source("worker", planned.path, share) == OwnStepSource(planned.path, share)
    assert step_source("tasks", planned.path, share) == RayStepSource(planned.path, share)


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("first", [0, 3])
def test_a_worker_makes_exactly_the_batches_of_the_feed(
    planned: Run, world_size: int, first: int
) -> None:
    feed = RunInputs.open(planned.path).feed()
    last = first + 2 * STEPS_AHEAD
    for rank in range(world_size):
        source = OwnStepSource(planned.path, Share(rank, world_size, 2))
        made = list(source(Dealing(first, last, EVEN)))
        expected = [feed.step(step, rank, world_size, 2) for step in range(first, last)]
        assert as_bytes(made) == as_bytes(expected)


def test_a_dealing_is_made_by_its_weights(planned: Run) -> None:
    weights = (0.1, 0.9)
    feed = RunInputs.open(planned.path).feed()
    made = list(OwnStepSource(planned.path, Share(0, 1, 1))(Dealing(2, 6, weights)))
    expected = [feed.under(weights).step(step, 0, 1, 1) for step in range(2, 6)]
    assert as_bytes(made) == as_bytes(expected)
    assert as_bytes(made) != as_bytes([feed.step(step, 0, 1, 1) for step in range(2, 6)])


@pytest.mark.parametrize("num_read", [0, 1, 3])
def test_a_reader_may_leave_at_any_step(planned: Run, num_read: int) -> None:
    steps = OwnStepSource(planned.path, Share(0, 1, 1))(Dealing(0, 1000, EVEN))
    read = [next(steps) for _ in range(num_read)]
    steps.close()
    assert [step[0].step for step in read] == list(range(num_read))
    assert feed_threads() == []


def test_an_empty_dealing_has_no_batches(planned: Run) -> None:
    assert list(OwnStepSource(planned.path, Share(0, 1, 1))(Dealing(4, 4, EVEN))) == []


def test_damage_under_the_feed_is_named(own_world: World) -> None:
    run = own_world.run()
    for shard in own_world.corpus().path.rglob("*.parquet"):
        damaged = bytearray(shard.read_bytes())
        damaged[200] ^= 0xFF
        shard.write_bytes(damaged)
    with pytest.raises(CorruptArtefactError):
        list(OwnStepSource(run.path, Share(0, 1, 1))(Dealing(0, 40, EVEN)))
    assert feed_threads() == []
