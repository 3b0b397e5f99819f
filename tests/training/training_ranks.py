"""One rank of a scenario: all engines of a world size, their curves, and what they restore.

Run as `python training_ranks.py FOLDER ENGINES` with the environment torchrun would set.
"""

from __future__ import annotations

import hashlib
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from training_world import Shape, World

from gfmp.model.masked import build
from gfmp.plan.values import Engine as EngineName
from gfmp.plan.values import Plan
from gfmp.spec.pretrain import Checkpointing
from gfmp.storage.atomic import write_json
from gfmp.training.batches import SoftmaxRows
from gfmp.training.checkpoint import Identity, Store
from gfmp.training.commits import Commits
from gfmp.training.engine import PARTS, Engine, build_engine
from gfmp.training.health import Incident
from gfmp.training.manifest import Cursor
from gfmp.training.processes import Group
from gfmp.training.restore import restore
from gfmp.training.schedule import learning_rate
from gfmp.training.session import weights_hash
from gfmp.training.step import ORDER_START, Stepper, StepResult, advance, agree

STEPS = 20
HALF = STEPS // 2
MICROS = 4


@dataclass(frozen=True)
class Stand:
    """One engine on this rank."""

    world: World
    plan: Plan
    group: Group

    @classmethod
    def of(cls, world: World, engine: EngineName, group: Group, precision: str = "fp32") -> Stand:
        """Plan the scenario: equal global batches, cut into MICROS parts over all ranks."""
        shape = Shape(engine, group.world, MICROS // group.world, STEPS, precision=precision)
        return cls(world, world.plan(shape), group)

    def build(self) -> Engine:
        """Return a fresh engine."""
        what = self.plan.what
        softmax = self.softmax.tensors()
        size = self.world.ensemble.size
        model = build(what.architecture, size, softmax, what.precision, what.feed.seed)
        return build_engine(self.plan, model, self.group)

    @property
    def softmax(self) -> SoftmaxRows:
        """Rows of each vocabulary."""
        return SoftmaxRows.of(self.world.ensemble, self.plan.what.feed.masking)

    def store(self, folder: Path) -> Store:
        """Return the checkpoints in a folder."""
        return Store(folder, Identity(self.plan, self.world.ensemble), self.group)

    def run(self, engine: Engine, start: Cursor, end: int) -> tuple[Cursor, list[list[float]]]:
        """Take steps; return the cursor and (loss, gradient norm) of each."""
        what = self.plan.what
        stepper = Stepper(engine, self.softmax, self.group)
        cursor, curve = start, []
        batches = self.world.source(self.plan, self.group.rank).since(start.step)
        while cursor.step < end:
            own = next(batches)
            agreed = agree(own, 2, stop=False, group=self.group)
            rate = learning_rate(what.optimiser, what.steps, cursor.step + 1)
            result = stepper.take(own, agreed, rate)
            assert isinstance(result, StepResult), result.messages
            curve.append([sum(result.nats) / agreed.num_targets, result.gradient_norm])
            cursor = advance(cursor, agreed.digest)
        return cursor, curve

    def take(
        self, engine: Engine, cursor: Cursor, most_norm: float = math.inf
    ) -> StepResult | Incident:
        """Take the step after `cursor` and return what it measured."""
        own = next(self.world.source(self.plan, self.group.rank).since(cursor.step))
        agreed = agree(own, 2, stop=False, group=self.group)
        rate = learning_rate(self.plan.what.optimiser, STEPS, cursor.step + 1)
        return Stepper(engine, self.softmax, self.group).take(own, agreed, rate, most_norm)


def state_hash(engine: Engine) -> str:
    """Hash weights and moments."""
    digest = hashlib.sha256()
    for name in engine.names:
        for part in PARTS:
            digest.update(engine.read(name, part).numpy().tobytes())
    return digest.hexdigest()


def straight_and_restored(stand: Stand, folder: Path) -> dict[str, object]:
    """Run 20 steps straight, and 10 after a restore into a fresh engine; tell what came out."""
    engine = stand.build()
    middle, first = stand.run(engine, Cursor(0, ORDER_START), HALF)
    commits = Commits(stand.store(folder), Checkpointing())
    commits.begin(engine, middle, None)
    at_half = state_hash(engine)
    end, second = stand.run(engine, middle, STEPS)
    committed = commits.settle()
    assert committed is not None, "one was begun"
    fresh = stand.build()
    loaded, rejected = restore(stand.store(folder), fresh)
    assert loaded is not None and not rejected, "the checkpoint just committed is whole"
    restored = state_hash(fresh)
    again, third = stand.run(fresh, loaded.cursor, STEPS)
    return {
        "curve": first + second,
        "curve_restored": third,
        "order": [end.order_hash, again.order_hash],
        "half": at_half,
        "half_restored": restored,
        "weights": stand.group.gather(weights_hash(engine)),
        "weights_restored": stand.group.gather(weights_hash(fresh)),
        "checkpoint": committed["path"],
    }


def loaded_elsewhere(stand: Stand, folder: Path) -> str:
    """Restore what another engine wrote and hash it."""
    engine = stand.build()
    loaded, _ = restore(stand.store(folder), engine)
    assert loaded is not None, f"{folder} holds a checkpoint"
    return state_hash(engine)


def scenario(folder: Path, engines: list[EngineName], group: Group) -> dict[str, object]:
    """Run every engine of one world size."""
    torch.set_num_threads(1)
    world = World.open(folder / "world")
    found: dict[str, object] = {}
    for engine in engines:
        stand = Stand.of(world, engine, group)
        result = straight_and_restored(stand, folder / f"{engine}-{group.world}")
        if group.world > 1:
            result["loads_ddp_1"] = loaded_elsewhere(stand, folder / "ddp-1")
        found[engine] = result
    return found


def main() -> None:
    """Run as one rank and let rank 0 write what was found."""
    folder, engines = Path(sys.argv[1]), sys.argv[2].split(",")
    group = Group.join(use_gpu=False)
    found = scenario(folder, engines, group)  # type: ignore[arg-type] # names of engines
    if group.rank == 0:
        write_json(folder / f"found-{group.world}.json", found)


if __name__ == "__main__":
    main()
    torch.distributed.destroy_process_group()
