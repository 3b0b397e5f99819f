"""One of two ranks: a run stopped after step 3 on rank 0's wish, and resumed, with ZeRO 1."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from training_world import Events, Shape, World

from gfmp.storage.atomic import write_json
from gfmp.training.loop import train
from gfmp.training.processes import Group


def main() -> None:
    """Train as one rank; rank 0 writes what was recorded."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    group = Group.join(use_gpu=False)
    world = World.open(folder / "world")
    plan = world.plan(Shape("zero1", group.world))
    # Only rank 0 sees the wish to stop.
    before = Events(stop_after=3)
    first = train(world.job(plan, folder / "launched", before, group.rank))
    after = Events()
    second = train(world.job(plan, folder / "launched", after, group.rank))
    if group.rank > 0:
        assert not before.seen, "only rank 0 records"
        return
    write_json(
        folder / "launched.json",
        {
            "interrupted": first.to_json(),
            "order_hash": second.order_hash,
            "losses": [f["loss"] for f in (*before.of("step"), *after.of("step"))],
            "resumed_from": after.of("resumed")[0]["step"],
            "report": after.of("report")[0],
        },
    )


if __name__ == "__main__":
    main()
    torch.distributed.destroy_process_group()
