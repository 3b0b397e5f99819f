"""Ray Data carries each rank's micro-batches to it; what they hold is decided by the feed.

Each training worker runs a small pipeline of its own: descriptors of consecutive steps go in,
encoded micro-batches come out in order. The feed is a pure function of the step, so a restart
only has to say from which step on, and a lost task can be run again anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import pyarrow as pa

from gfmp.cluster.inputs import RunInputs
from gfmp.feed.batch import TokenBatch
from gfmp.feed.feed import Feed

# A task makes a few steps, so that its own cost is small beside theirs.
STEPS_PER_TASK = 4


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
        num_steps: Steps of the whole run.
    """

    run_folder: Path
    share: Share
    num_steps: int

    def __call__(self, first_step: int) -> Iterator[tuple[TokenBatch, ...]]:
        """Yield the micro-batches of step `first_step`, the one after it, and so on."""
        import ray.data

        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        starts = range(first_step, self.num_steps, STEPS_PER_TASK)
        rows = [{"first": s, "last": min(s + STEPS_PER_TASK, self.num_steps)} for s in starts]
        if not rows:
            return
        steps = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            partial(_encode_steps, folder=self.run_folder, share=self.share),
            batch_size=1,
            num_cpus=0.25,
        )
        made: list[TokenBatch] = []
        for row in steps.iterator().iter_rows():
            made.append(TokenBatch.from_bytes(row["batch"]))
            if len(made) == self.share.accumulation:
                yield tuple(made)
                made = []


def _encode_steps(
    batch: Mapping[str, Sequence[int]], *, folder: Path, share: Share
) -> Iterator[pa.Table]:
    feed = _feed(folder)
    for first, last in zip(batch["first"], batch["last"], strict=True):
        for step in range(int(first), int(last)):
            made = feed.step(step, share.rank, share.world, share.accumulation)
            # An Arrow binary column: NumPy would cut trailing zero bytes off.
            yield pa.table({"batch": pa.array([b.to_bytes() for b in made], pa.binary())})


@lru_cache(maxsize=1)
def _feed(folder: Path) -> Feed:
    """Open the feed once per task process; tasks of one run follow each other in it."""
    return RunInputs.open(folder).feed()
