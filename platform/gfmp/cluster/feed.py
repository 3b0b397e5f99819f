"""Ray Data carries each rank's micro-batches to it; what they hold is decided by the feed.

Each training worker runs small pipelines of its own: descriptors of consecutive steps go in,
encoded micro-batches come out in order. The feed is a pure function of the step, so a restart
only has to say from which step on, and a lost task can be run again anywhere.

Steps are made in bursts, one burst ahead of the training but never beyond a dealing: where the
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

# The first burst is short, so that training starts soon; the others cost little beside the
# steps they feed.
FIRST_BURST_STEPS = 8
BURST_STEPS = 64
TASKS_PER_BURST = 4


@dataclass(frozen=True)
class Share:
    """Which part of every global batch a rank gets."""

    rank: int
    world: int
    accumulation: int


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
    """Open the feed once per task process; tasks of one run follow each other in it."""
    return RunInputs.open(folder).feed()
