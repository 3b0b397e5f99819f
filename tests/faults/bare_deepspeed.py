"""DeepSpeed's own checkpoints as its documentation shows them; one rank of a small model.

python bare_deepspeed.py save FOLDER | save-and-die FOLDER | load FOLDER
"""

from __future__ import annotations

import json
import os
import signal
import sys

os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed
import torch
import torch.distributed as dist

CONFIG = {
    "train_micro_batch_size_per_gpu": 1,
    "zero_optimization": {"stage": 2},
    "zero_allow_untested_optimizer": True,
    "zero_force_ds_cpu_optimizer": False,
}


def engine() -> deepspeed.DeepSpeedEngine:
    """Return an engine of a linear model, its weights the same every time."""
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return deepspeed.initialize(
        model=model, optimizer=optimizer, config=CONFIG, dist_init_required=False
    )[0]


def take_step(wrapped: deepspeed.DeepSpeedEngine) -> None:
    """Train one step."""
    wrapped.backward(wrapped(torch.ones(1, 8)).pow(2).sum())
    wrapped.step()


def die_while_writing(tag: str) -> None:
    """Let rank 1 be killed when it begins to write its share of a checkpoint."""
    if dist.get_rank() != 1:
        return

    save = torch.save

    def save_or_die(held: object, path: object, *rest: object, **named: object) -> None:
        if tag in str(path) and "zero_pp_rank_1" in str(path):
            os.kill(os.getpid(), signal.SIGKILL)
        save(held, path, *rest, **named)  # type: ignore[arg-type] # handed on as given

    torch.save = save_or_die  # type: ignore[assignment] # only in this process


def main() -> None:
    """Do what the command line says and print what came of it."""
    what, folder = sys.argv[1:]
    dist.init_process_group("gloo")
    # Else it compiles a kernel, whose lock file a killed compilation leaves for ever.
    deepspeed.ops.__compatible_ops__ = {"deepspeed_shm_comm": False}
    deepspeed.init_distributed("gloo", dist_init_required=False)
    wrapped = engine()
    if what == "load":
        path, client = wrapped.load_checkpoint(folder)
        told = {"path": path, "client": client, "step": wrapped.global_steps}
        print("FOUND " + json.dumps(told, default=str), flush=True)
        return
    take_step(wrapped)
    wrapped.save_checkpoint(folder)
    if what == "save-and-die":
        take_step(wrapped)
        die_while_writing("global_step2")
        wrapped.save_checkpoint(folder)


if __name__ == "__main__":
    main()
