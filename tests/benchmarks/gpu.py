"""The training step of the base preset on one GPU: matrix rate, tokens, stalls, memory.

Needs neither Ray nor MLflow. Measured in one run: bf16 matrix products, our step with the engine
and the tensors of the product, fed from the host and from memory; BertForMaskedLM in bf16 on the
same sequences; memory of every ZeRO stage against the plan. Where no GPU is, it says so and ends.
`--rehearse` runs all of it small on the CPU, to see that it runs; that measures nothing.

    python tests/benchmarks/gpu.py
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from device_kmers import kmer_rows
from figure import Figure
from step_peers import FIRST_WORD, NUM_ROWS, NUM_WORDS, Peer, Work, draw, word_rows

from gfmp.feed.batch import TokenBatch
from gfmp.model.masked import build
from gfmp.plan.memory import activation_bytes, model_states
from gfmp.plan.parameters import count_parameters
from gfmp.plan.values import Engine as EngineName
from gfmp.plan.values import FeedSettings, Plan, What, Where
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Checkpointing, Evaluation, Masking, Optimiser
from gfmp.training.batches import SoftmaxRows, to_tensors
from gfmp.training.engine import Engine, build_engine
from gfmp.training.processes import Group

RATE = 1e-4
WARM_STEPS = 5
KMER = 6
# Goals: share of the matrix rate, ratio to the peer, share of time without input.
MFU_GOAL, RATIO_GOAL, STALL_GOAL, MEMORY_GOAL = 0.5, 2.0, 0.02, 0.1


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Attributes:
        shape: The encoder.
        sequences: Sequences of a step.
        steps: Steps that are timed.
        side: Rows and columns of the matrix product.
    """

    shape: Architecture
    sequences: int
    steps: int
    side: int


BASE = Size(Architecture(layers=12, width=768, heads=12, intermediate=3072), 192, 20, 8192)
SMALL = Size(Architecture(layers=2, width=32, heads=2, intermediate=64), 4, 2, 256)


class Bench:
    """One device and one size."""

    def __init__(self, size: Size, group: Group) -> None:
        self.size = size
        self.group = group
        self.rng = np.random.default_rng(0)
        rows = np.arange(FIRST_WORD, FIRST_WORD + NUM_WORDS)
        places = np.full((1, NUM_ROWS), -1, dtype=np.int64)
        places[0, rows] = np.arange(NUM_WORDS)
        self.softmax = SoftmaxRows((rows,), places)

    def work(self) -> Work:
        """Draw sequences, on the host."""
        return draw(self.rng, self.size.sequences, torch.device("cpu"))

    def engine(self, name: EngineName) -> Engine:
        """Build our model in bf16 under an engine."""
        model = build(self.size.shape, NUM_ROWS, word_rows(), "bf16", 0)
        return build_engine(plan_of(self.size.shape, name, self.group), model, self.group)

    def seconds(self, step: Callable[[int], object]) -> float:
        """Return the median seconds of steps, each waited for."""
        times = []
        for number in range(WARM_STEPS + self.size.steps):
            self.wait()
            begin = time.perf_counter()
            step(number)
            self.wait()
            times.append(time.perf_counter() - begin)
        return statistics.median(times[WARM_STEPS:])

    def wait(self) -> None:
        """Wait for the device."""
        if self.group.device.type == "cuda":
            torch.cuda.synchronize()


def plan_of(shape: Architecture, engine: EngineName, group: Group) -> Plan:
    """Return a plan of one rank in bf16."""
    what = What(
        corpus="0" * 64,
        ensemble="0" * 64,
        vocabulary_rows=NUM_ROWS,
        architecture=shape,
        feed=FeedSettings(0, (1.0,), 192, 512, 0.5, 16, Masking()),
        steps=1_000,
        optimiser=Optimiser(learning_rate=RATE),
        precision="bf16",
        evaluation=Evaluation(),
    )
    use_gpu = group.device.type == "cuda"
    return Plan("gpu", what, Where(1, use_gpu, engine, 1, 1, 0, Checkpointing()), (), ())


def host_batch(work: Work) -> TokenBatch:
    """Return work as the feed hands it over."""
    tokens = work.tokens
    lengths = np.asarray(tokens.packing.lengths)
    num = len(lengths)
    return TokenBatch(
        step=0,
        micro=0,
        ids=tokens.ids_T.numpy().astype(np.uint16),
        cu_seqlens=tokens.packing.cu_seqlens.numpy(),
        vocabulary=np.zeros(num, dtype=np.int16),
        positions=tokens.positions_M.numpy().astype(np.int32),
        labels=(tokens.labels_M.numpy() + FIRST_WORD).astype(np.uint16),
        samples=np.arange(num),
        digests=np.zeros(num, dtype=np.uint64),
    )


@dataclass(frozen=True)
class Ours:
    """What our step does, per second."""

    tokens: float
    flops: float
    stall: float


def measure_ours(bench: Bench) -> Ours:
    """Time our step, from host batches and from tensors that lie on the device."""
    engine, device = bench.engine("ddp"), bench.group.device
    works = [bench.work() for _ in range(4)]
    batches = [host_batch(work) for work in works]
    resident = [to_tensors(batch, bench.softmax, device) for batch in batches]

    def _fed(number: int) -> None:
        tokens = to_tensors(batches[number % 4], bench.softmax, device)
        engine.backward(tokens, 1.0 / tokens.counts[0])
        engine.step(RATE)

    def _resident(number: int) -> None:
        tokens = resident[number % 4]
        engine.backward(tokens, 1.0 / tokens.counts[0])
        engine.step(RATE)

    still, fed = bench.seconds(_resident), bench.seconds(_fed)
    tokens = statistics.mean(work.num_tokens for work in works)
    flops = statistics.mean(work.flops(bench.size.shape) for work in works)
    return Ours(tokens / fed, flops / fed, max(0.0, 1.0 - still / fed))


def measure_peer(bench: Bench) -> float:
    """Return the real tokens a second of BERT in bf16; 0 where it is not installed."""
    try:
        peer = Peer(bench.size.shape, 0.0, torch.bfloat16, bench.group.device)
    except ImportError:
        print("transformers is not installed: no peer is measured")
        return 0.0
    works = [moved(bench.work(), bench.group.device) for _ in range(4)]
    seconds = bench.seconds(lambda number: peer.step(works[number % 4]))
    return statistics.mean(work.num_tokens for work in works) / seconds


def moved(work: Work, device: torch.device) -> Work:
    """Return the peer's part of work on the device."""
    rows = {name: getattr(work, name).to(device) for name in ("ids_BL", "real_BL", "labels_BL")}
    return replace(work, **rows)


def matmul_rate(bench: Bench) -> float:
    """Return the FLOP per second of bf16 matrix products of random numbers."""
    side, device = bench.size.side, bench.group.device
    left = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    return 2.0 * side**3 / bench.seconds(lambda _: left @ left)


def measure_ids(bench: Bench) -> tuple[float, float]:
    """Return bases a second whose ids are made on the device, and as uint16 from the host."""
    device, num = bench.group.device, bench.size.sequences
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    bases = torch.from_numpy(bench.rng.choice(letters, num * 510))
    lengths = torch.full((num,), 510)

    def _made(_: int) -> None:
        kmer_rows(bases.to(device), lengths.to(device), KMER, (FIRST_WORD, 1))

    ids = torch.zeros(num * 505, dtype=torch.int16)
    made, shipped = bench.seconds(_made), bench.seconds(lambda _: ids.to(device).long())
    return len(bases) / made, len(bases) / shipped


def measure_memory(bench: Bench, name: EngineName) -> tuple[int, int]:
    """Return the most bytes an engine of one rank had on the GPU, and what the plan says."""
    size, work = bench.size, bench.work()
    parameters = count_parameters(size.shape, NUM_ROWS)
    targets = len(work.tokens.positions_M)
    states = model_states(parameters, name, 1, "bf16").total
    kept = activation_bytes(size.shape, work.num_tokens, targets, NUM_WORDS, "bf16")
    on_gpu = bench.group.device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    engine = bench.engine(name)
    for _ in range(3):
        tokens = to_tensors(host_batch(work), bench.softmax, bench.group.device)
        engine.backward(tokens, 1.0 / targets)
        engine.step(RATE)
    peak = torch.cuda.max_memory_allocated() if on_gpu else 0
    del engine
    gc.collect()
    return peak, states + kept


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="small, on the CPU")
    options = parser.parse_args()
    if not torch.cuda.is_available() and not options.rehearse:
        print("no GPU here: nothing is measured")
        return
    group = Group.join(use_gpu=not options.rehearse)
    bench = Bench(SMALL if options.rehearse else BASE, group)
    peak = matmul_rate(bench)
    ours, peer = measure_ours(bench), measure_peer(bench)
    made, shipped = measure_ids(bench)
    stages: tuple[EngineName, ...] = ("ddp", "zero1", "zero2", "zero3")
    memory = {name: measure_memory(bench, name) for name in stages}
    if options.rehearse:
        print("rehearsed: every part ran")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, bf16")
    print(f"matrix products {peak / 1e12:.0f} TFLOP/s")
    print(f"6-mer ids: {made / 1e9:.2f} Gbase/s made there, {shipped / 1e9:.2f} shipped as uint16")
    for name, (used, planned) in memory.items():
        print(
            f"{name}: {used / 1e9:.2f} GB, the plan says {planned / 1e9:.2f}:"
            f" {used / planned - 1.0:+.1%} (goal within {MEMORY_GOAL:.0%})"
        )
    show(peak, ours, peer)


def show(peak: float, ours: Ours, peer: float) -> None:
    """Print the figures."""
    figure = Figure(
        item="10",
        work="training step, base preset, bf16, one GPU",
        peer="BertForMaskedLM bf16, no dropout" if peer else "",
        peer_rate=peer,
        our_rate=ours.tokens,
        unit="real tokens/s",
        ratio=ours.tokens / peer if peer else 0.0,
        goal=f"ratio >= {RATIO_GOAL}, of limit >= {MFU_GOAL}",
        limit="bf16 matmul",
        share_of_limit=ours.flops / peak,
    )
    figure.print()
    replace(
        figure,
        work="share of the step without input, base preset",
        peer="",
        peer_rate=0.0,
        our_rate=ours.stall,
        unit="share",
        ratio=0.0,
        goal=f"rate <= {STALL_GOAL}",
        limit="",
        share_of_limit=0.0,
    ).print()


if __name__ == "__main__":
    main()
