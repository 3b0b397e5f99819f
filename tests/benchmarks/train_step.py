"""Training steps on one CPU core: ours against BertForMaskedLM on the same sequences.

A step is forward, backward, clipping and AdamW of 6 layers of width 256. Every round draws fresh
sequences and every variant takes one step on them; rates are real tokens per CPU-second (all
threads), medians over rounds. The matrix products that bound a step (1024 x 1024 x 1024) are
timed in the same rounds. First our loss is held against a padded reference with equal weights.
BERT's feed-forward block is widened so that both do the same number of multiply-adds a token. We
and the peer each have a process, set up as it is in use; only one of them computes at a time.

    python tests/benchmarks/train_step.py
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from figure import Figure
from step_peers import NUM_ROWS, Peer, Work, draw, padded_loss, word_rows

from gfmp.model.masked import build
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import Optimiser, Precision
from gfmp.training.hardware import keep_freed_memory
from gfmp.training.plain import PlainEngine
from gfmp.training.processes import Group

SHAPE = Architecture(layers=6, width=256, heads=4, intermediate=1024)
CPU = torch.device("cpu")
SIDE = 1024
TOLERANCE = 1e-5
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
PEERS = {
    "BERT as shipped": (0.1, torch.float32),
    "BERT no dropout": (0.0, torch.float32),
    "BERT no dropout bf16": (0.0, torch.bfloat16),
}
# Peer, and the ratio to reach.
GOALS = {"BERT as shipped": 3.0, "BERT no dropout bf16": 1.3, "BERT no dropout": 1.3}
# Of the matmul rate of the same type in the same run.
SHARES = {"fp32": 0.7, "bf16": 0.45}


@dataclass(frozen=True)
class Timed:
    """One step: CPU-seconds, real tokens, and operations without padding."""

    seconds: float
    tokens: int
    flops: int


class Runner:
    """Lives in a process of its own and builds what it is asked to step when it is first asked."""

    steps: dict[str, Callable[[Work], object]]


def prepare(ours: bool) -> None:
    """Set this process up: one thread; ours as `gfmp.training.loop.train` does it."""
    torch.set_num_threads(1)
    Runner.steps = {}
    if ours:
        keep_freed_memory()
        torch.set_flush_denormal(True)


def run(name: str, seed: int, num_sequences: int) -> Timed:
    """Take one step of a variant on the sequences of a seed."""
    if name not in Runner.steps:
        Runner.steps[name] = build_step(name)
    step, work = Runner.steps[name], draw(np.random.default_rng(seed), num_sequences, CPU)
    seconds = cpu_seconds(lambda: step(work))
    return Timed(seconds, work.num_tokens, work.flops(SHAPE))


def build_step(name: str) -> Callable[[Work], object]:
    """Build a variant by name."""
    if name in PEERS:
        return Peer(SHAPE, *PEERS[name], CPU).step
    precision: Precision = "bf16" if name.endswith("bf16") else "fp32"
    model = build(SHAPE, NUM_ROWS, word_rows(), precision, 0)
    engine = PlainEngine(model, Optimiser(learning_rate=1e-4), Group(0, 1, CPU))

    def _step(work: Work) -> object:
        engine.backward(work.tokens, 1.0 / work.tokens.counts[0])
        return engine.step(1e-4)

    return _step


def matmul_rate(precision: Precision) -> float:
    """Return the FLOP per CPU second of one large matrix product."""
    left = torch.randn(SIDE, SIDE).to(torch.bfloat16 if precision == "bf16" else torch.float32)
    return 2.0 * SIDE**3 / cpu_seconds(lambda: left @ left)


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call, all threads."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def check(seed: int) -> str:
    """Hold our loss against the padded reference."""
    work = draw(np.random.default_rng(seed), 4, CPU)
    model = build(SHAPE, NUM_ROWS, word_rows(), "fp32", 0)
    with torch.no_grad():
        sums = model(work.tokens)[0]
    ours, reference = float(sums[0]) / work.tokens.counts[0], padded_loss(model, work)
    assert abs(ours - reference) <= TOLERANCE * reference, (ours, reference)
    return f"loss: packed {ours:.7f}, padded reference {reference:.7f}, equal weights"


def main() -> None:
    """Print the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sequences", type=int, default=8)
    options = parser.parse_args()
    process = partial(ProcessPoolExecutor, 1, multiprocessing.get_context("spawn"), prepare)
    with process((True,)) as ours, process((False,)) as theirs:
        seed = time.time_ns()
        print(ours.submit(check, seed).result(), flush=True)
        places = {f"gfmp {precision}": ours for precision in PRECISIONS} | available(theirs)
        found: dict[str, list[Timed]] = {name: [] for name in places}
        peaks: dict[Precision, list[float]] = {precision: [] for precision in PRECISIONS}
        for turn in range(options.rounds + 1):
            for name, place in places.items():
                timed = place.submit(run, name, seed + turn, options.sequences).result()
                found[name] += [timed] if turn else []
            for precision, rates in peaks.items():
                rates.append(ours.submit(matmul_rate, precision).result())
    show(found, {precision: statistics.median(rates) for precision, rates in peaks.items()})


def available(theirs: ProcessPoolExecutor) -> dict[str, ProcessPoolExecutor]:
    """Return the peers that can be measured."""
    try:
        theirs.submit(build_step, "BERT no dropout").result()
    except ImportError:
        print("transformers is not installed: no peer is measured")
        return {}
    return dict.fromkeys(PEERS, theirs)


def show(found: dict[str, list[Timed]], peaks: dict[Precision, float]) -> None:
    """Print what was measured."""
    rates = {n: statistics.median(t.tokens / t.seconds for t in ts) for n, ts in found.items()}
    flops = {n: statistics.median(t.flops / t.seconds for t in ts) for n, ts in found.items()}
    print(f"{cpu_name()}, torch {torch.__version__}, 1 thread")
    print(f"matmul: fp32 {peaks['fp32'] / 1e9:.0f}, bf16 {peaks['bf16'] / 1e9:.0f} GFLOP/CPU s")
    for name, rate in rates.items():
        shares = "  ".join(f"{flops[name] / peak:6.1%} of {p} matmul" for p, peak in peaks.items())
        print(f"{name:22} {rate:8,.0f} real tokens/CPU s  {shares}")
    best: Precision = max(PRECISIONS, key=lambda precision: rates[f"gfmp {precision}"])
    for peer in (peer for peer in GOALS if peer in rates):
        Figure(
            item="5",
            work=f"training step 6 x 256, {best}",
            peer=f"{peer} (transformers BertForMaskedLM)",
            peer_rate=rates[peer],
            our_rate=rates[f"gfmp {best}"],
            unit="real tokens per CPU s",
            ratio=rates[f"gfmp {best}"] / rates[peer],
            goal=f"ratio >= {GOALS[peer]}",
        ).print()
    for precision, peak in peaks.items():
        Figure(
            item="5",
            work=f"operations of a {precision} step",
            peer=f"one large {precision} matmul, {cpu_name()}",
            peer_rate=peak / 1e9,
            our_rate=flops[f"gfmp {precision}"] / 1e9,
            unit="GFLOP per CPU s",
            ratio=flops[f"gfmp {precision}"] / peak,
            goal=f"ratio >= {SHARES[precision]}",
        ).print()


def cpu_name() -> str:
    """Return the model of the CPU, and whether it multiplies bf16."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    units = [unit for unit in ("avx512_bf16", "amx_bf16") if unit in flags]
    return f"{names[0] if names else 'unknown CPU'} ({', '.join(units) or 'no bf16 units'})"


if __name__ == "__main__":
    main()
