"""One of two ranks; at the second step the model of rank 1 answers NaN."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from training_ranks import Stand, state_hash
from training_world import World

from gfmp.model.masked import MaskedLanguageModel
from gfmp.training.health import Incident
from gfmp.training.manifest import Cursor
from gfmp.training.processes import Group
from gfmp.training.step import ORDER_START


def main() -> None:
    """Train two steps and write down the error and whether the weights moved."""
    folder = Path(sys.argv[1])
    group = Group.join(use_gpu=False)
    torch.set_num_threads(1)
    stand = Stand.of(World.open(folder / "world"), "zero1", group)
    engine = stand.build()
    cursor, _ = stand.run(engine, Cursor(0, ORDER_START), 1)
    before = state_hash(engine)
    if group.rank == 1:
        torch.nn.modules.module.register_module_forward_hook(_answer_nan)
    found = stand.take(engine, cursor)
    told = "\n".join(found.messages) if isinstance(found, Incident) else "no incident"
    after = "unchanged" if state_hash(engine) == before else "changed"
    (folder / f"fault-{group.rank}.txt").write_text(f"{told}\nweights {after}")


def _answer_nan(module: torch.nn.Module, _inputs: object, output: object) -> object:
    if isinstance(module, MaskedLanguageModel) and isinstance(output, tuple):
        return tuple(value * float("nan") for value in output)
    return output


if __name__ == "__main__":
    main()
    torch.distributed.destroy_process_group()
