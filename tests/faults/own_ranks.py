"""One of two ranks that commit gfmp checkpoints; rank 1 is killed inside the second commit.

python own_ranks.py RUN FOLDER, where RUN gives plan and ensemble
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from gfmp.cluster.inputs import RunInputs
from gfmp.training.checkpoint import Identity, Store
from gfmp.training.engine import Part
from gfmp.training.manifest import Cursor
from gfmp.training.processes import Group


class State:
    """Three parameters with their moments."""

    names = ("a", "b", "c")

    def read(self, name: str, part: Part) -> torch.Tensor:
        """Return a value."""
        return torch.ones(64, 64)


def die_while_writing() -> None:
    """Kill this process when it makes its share durable."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and "step-000000002" in str(arguments[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main() -> None:
    """Commit step 1 whole and step 2 never."""
    inputs = RunInputs.open(Path(sys.argv[1]))
    group = Group.join(use_gpu=False)
    store = Store(Path(sys.argv[2]), Identity(inputs.plan, inputs.ensemble), group)
    store.commit(State(), Cursor(1, "ab" * 32), None)
    if group.rank == 1:
        die_while_writing()
    store.commit(State(), Cursor(2, "ab" * 32), None)


if __name__ == "__main__":
    main()
