"""The same model, batches, ranks and threads in a bare PyTorch loop, started by torchrun.

It keeps every batch of the measured steps in memory and does nothing but train: no feed, no
ledger, no checks, no checkpoints. Rank 0 prints one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from gfmp.cluster.inputs import RunInputs
from gfmp.model.initialise import spell
from gfmp.model.masked import build
from gfmp.training.batches import SoftmaxRows, to_tensors
from gfmp.training.engine import make_adamw
from gfmp.training.hardware import flushed_denormals


def main(run_folder: Path, first: int, last: int) -> None:
    """Time steps `first` to `last - 1` of the run in `run_folder`."""
    distributed.init_process_group("gloo")
    rank, world = distributed.get_rank(), distributed.get_world_size()
    inputs = RunInputs.open(run_folder)
    what, where = inputs.plan.what, inputs.plan.where
    torch.set_num_threads(where.threads_per_worker)
    feed = inputs.feed()
    batches = [feed.step(step, rank, world, where.accumulation) for step in range(first, last)]
    rows = SoftmaxRows.of(inputs.ensemble, what.feed.masking)
    size = inputs.ensemble.size
    model = build(what.architecture, size, rows.tensors(), what.precision, what.feed.seed)
    spell(model.encoder.embedding.weight, inputs.ensemble.tokens, what.feed.seed)
    parallel = DistributedDataParallel(model)
    optimiser = make_adamw(model, what.optimiser)
    num_warm = 2
    began, spent, num_tokens = 0.0, 0.0, 0
    for turn, own in enumerate([*batches[:num_warm], *batches]):
        if turn == num_warm:
            began, spent, num_tokens = time.perf_counter(), time.process_time(), 0
        targets = sum(batch.num_targets for batch in own)
        for batch in own:
            sums = parallel(to_tensors(batch, rows, torch.device("cpu")))
            (sum(part[0] for part in sums) / targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), what.optimiser.clip_norm)
        optimiser.step()
        optimiser.zero_grad()
        tokens = torch.tensor(sum(batch.num_tokens for batch in own))
        distributed.all_reduce(tokens)
        num_tokens += int(tokens)
    seconds = time.perf_counter() - began
    cpu = torch.tensor(time.process_time() - spent)
    distributed.all_reduce(cpu)
    if rank == 0:
        found = {
            "tokens_per_second": num_tokens / seconds,
            "tokens_per_cpu_second": num_tokens / float(cpu),
        }
        sys.stdout.write(json.dumps(found) + "\n")
    distributed.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with flushed_denormals():
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
