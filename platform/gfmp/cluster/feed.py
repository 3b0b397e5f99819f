"""Who makes each rank's micro-batches; what they hold is decided by the feed.

The feed is a pure function of the step, so a restart only has to say from which step on, and it
does not matter who makes a batch: a thread of the worker, or Ray Data tasks. With tasks, each
worker runs small pipelines of its own: descriptors of consecutive steps go in, encoded
micro-batches come out in order, and a lost task can be run again anywhere.

Tasks make steps in bursts, one burst ahead of the training but never beyond a dealing: where the
weights follow an evaluation, the steps after it wait for it. A single pipeline over all steps would
wait with full buffers most of the time, and Ray Data's scheduler spins while it waits, inside the
training process (ray 2.60, `process_completed_tasks`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import pyarrow as pa

from gfmp.cluster.inputs import RunInputs
from gfmp.cluster.pipeline import rows_in_order
from gfmp.feed.batch import TokenBatch
from gfmp.feed.dealing import Dealing
from gfmp.feed.feed import Feed
from gfmp.plan.values import FeedMaker
from gfmp.training.job import StepSource

# The first burst is short, so that training starts soon; the others cost little beside the
# steps they feed.
FIRST_BURST_STEPS = 8
BURST_STEPS = 64
TASKS_PER_BURST = 4
# A thread of the worker makes a step in milliseconds; row groups that it must read take longer.
STEPS_AHEAD = 4


@dataclass(frozen=True)
class Share:
    """Which part of every global batch a rank gets."""

    rank: int
    world: int
    accumulation: int


def step_source(maker: FeedMaker, run_folder: Path, share: Share) -> StepSource:
    """Return a rank's source of batches, made by whom the plan says."""
    if maker == "tasks":
        return RayStepSource(run_folder, share)
    return OwnStepSource(run_folder, share)


@dataclass(frozen=True)
class OwnStepSource:
    """This rank's micro-batches of each step, made a few steps ahead by a thread of its own.

    The thread opens what it reads for itself, so it shares no tokenizer with an evaluation.

    Attributes:
        run_folder: Folder of the run, seen by every node.
        share: This rank's part.
    """

    run_folder: Path
    share: Share

    def __call__(self, dealing: Dealing) -> Generator[tuple[TokenBatch, ...], None, None]:
        """Yield the micro-batches of each step of a dealing; none beyond it is made ahead."""
        make = partial(_own_step, self.run_folder, self.share, dealing.weights)
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        ahead: deque[Future[tuple[TokenBatch, ...]]] = deque()
        try:
            for step in range(dealing.first_step, dealing.end_step):
                ahead.append(pool.submit(make, step))
                if len(ahead) > STEPS_AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _own_step(
    folder: Path, share: Share, weights: tuple[float, ...], step: int
) -> tuple[TokenBatch, ...]:
    return _feed(folder).under(weights).step(step, share.rank, share.world, share.accumulation)


@dataclass(frozen=True)
class RayStepSource:
    """This rank's micro-batches of each step, made by Ray Data tasks ahead of time.

    Attributes:
        run_folder: Folder of the run, seen by every node.
        share: This rank's part.
    """

    run_folder: Path
    share: Share

    def __call__(self, dealing: Dealing) -> Generator[tuple[TokenBatch, ...], None, None]:
        """Yield the micro-batches of each step of a dealing; none beyond it is made ahead."""
        make = partial(self._burst, dealing.weights)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed") as pool:
            ahead: deque[Future[list[tuple[TokenBatch, ...]]]] = deque()
            for first, last in bursts(dealing.first_step, dealing.end_step):
                ahead.append(pool.submit(make, first, last))
                if len(ahead) > 1:
                    yield from ahead.popleft().result()
            while ahead:
                yield from ahead.popleft().result()

    def _burst(
        self, weights: tuple[float, ...], first: int, last: int
    ) -> list[tuple[TokenBatch, ...]]:
        each = -(-(last - first) // TASKS_PER_BURST)
        rows = [{"first": s, "last": min(s + each, last)} for s in range(first, last, each)]
        task = partial(_encode_steps, folder=self.run_folder, share=self.share, weights=weights)
        made = [
            TokenBatch.from_bytes(row["batch"]) for row in rows_in_order(rows, task, num_cpus=0.25)
        ]
        size = self.share.accumulation
        return [tuple(made[i : i + size]) for i in range(0, len(made), size)]


def bursts(first_step: int, end_step: int) -> Iterator[tuple[int, int]]:
    """Cut the steps [first_step, end_step) into bursts [first, last), the first one short."""
    first, length = first_step, FIRST_BURST_STEPS
    while first < end_step:
        last = min(first + length, end_step)
        yield first, last
        first, length = last, BURST_STEPS


def _encode_steps(
    batch: Mapping[str, Sequence[int]],
    *,
    folder: Path,
    share: Share,
    weights: tuple[float, ...],
) -> Iterator[pa.Table]:
    feed = _feed(folder).under(weights)
    for first, last in zip(batch["first"], batch["last"], strict=True):
        for step in range(int(first), int(last)):
            made = feed.step(step, share.rank, share.world, share.accumulation)
            # An Arrow binary column: NumPy would cut trailing zero bytes off.
            yield pa.table({"batch": pa.array([b.to_bytes() for b in made], pa.binary())})


@lru_cache(maxsize=1)
def _feed(folder: Path) -> Feed:
    """Open the feed once per process; only one thread or task of a process makes steps."""
    return RunInputs.open(folder).feed()
