"""One of two ranks: an adaptive run that is stopped after step 5, in the midst of a dealing.

Run as `python training_adaptive.py FOLDER` with the environment torchrun would set.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from training_world import Events, Shape, World

from gfmp.plan.values import Plan
from gfmp.spec.pretrain import Adaptation
from gfmp.storage.atomic import write_json
from gfmp.training.loop import train
from gfmp.training.processes import Group

STEPS = 8
STOP = 5


def adaptive_plan(world: World, ranks: int = 1) -> Plan:
    """Return a plan whose weights move after steps 2, 4 and 6, at a rate that shows it."""
    shape = Shape(world=ranks, steps=STEPS, commit_every=3)
    feed = replace(world.plan(shape).what.feed, adaptation=Adaptation(rate=20.0))
    return world.plan(replace(shape, changes={"feed": feed}))


def main() -> None:
    """Train as one rank; rank 0 writes what was recorded."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    group = Group.join(use_gpu=False)
    world = World.open(folder / "world")
    events = Events(stop_after=STOP)
    plan = adaptive_plan(world, group.world)
    outcome = train(world.job(plan, folder / "adaptive", events, group.rank))
    if group.rank == 0:
        steps = [dict(fields) for fields in events.of("step")]
        write_json(folder / "adaptive.json", {"outcome": outcome.to_json(), "steps": steps})


if __name__ == "__main__":
    main()
    torch.distributed.destroy_process_group()
