"""What pretraining the base preset on the paper's corpus asks of each stage: no run, no GPU.

    python tests/benchmarks/cost_model.py

Takes the sizes from `gfmp plan jobs/pretrain_base.yaml` and the rates from platform/BENCHMARKS.md,
and prints how much of what it can a stage has to do on one CPU core and on 1, 8 and 512 GPUs.
Above 100 % it holds the GPUs up. What nobody measured is assumed, and printed with its source.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
from table import TABLE, Row, read

from gfmp.feed.dealer import deal_rank
from gfmp.genome.shards import ROW_GROUP_BP, SHARD_BP
from gfmp.plan.memory import checkpoint_bytes
from gfmp.spec.pretrain import Sampling

# Ye et al., A.1.2: 285 and 385 billion bases after augmentation.
CORPUS_BP = 670e9
GPU_FLOPS, LINK_BYTES, NODE_LINK_BYTES = 0.5 * 989e12, 50e9, 450e9
CORES, STORAGE_BYTES, GPUS_A_NODE = 12, 2e9, 8
GRADIENT_BYTES = 4
GROUP_JSON, SHARD_JSON = 90, 250
ASSUMED = f"""\
assumed: half of 989 TFLOP/s, an H200's dense bf16 on its data sheet; {NODE_LINK_BYTES / 1e9:g} GB/s
between GPUs of a node and {LINK_BYTES / 1e9:g} GB/s each between nodes; {CORES} cores a GPU;
{STORAGE_BYTES / 1e9:g} GB/s of storage a node of {GPUS_A_NODE}; fp32 gradients, summed once a step;
{GROUP_JSON} bytes of manifest a row group and {SHARD_JSON} a shard, as in the corpus `demo`."""


@dataclass(frozen=True)
class Rates:
    """What one CPU second was measured to do.

    Attributes:
        ingest_bp: Bases that become a corpus.
        decode_bp: Bases that are decoded and checked.
        feed_tokens: Tokens of a mixture that are read, cut, tokenised, masked and packed.
        step_tokens: Tokens that a core trains on, of the small model of that benchmark.
        bits: Bits of a base on disk; a size, not a rate.
    """

    ingest_bp: float
    decode_bp: float
    feed_tokens: float
    step_tokens: float
    bits: float


@dataclass(frozen=True)
class Step:
    """An optimiser step of the base preset.

    Attributes:
        sequences: Rows of the global batch.
        tokens: Its tokens.
        bases: What its windows read.
        flops: Forward and backward.
        parameters: Of the model.
    """

    sequences: int
    tokens: float
    bases: float
    flops: float
    parameters: int

    def scaled(self, times: float) -> Step:
        """Return a step of a batch so many times as large."""
        sequences, tokens = round(times * self.sequences), times * self.tokens
        bases, flops = times * self.bases, times * self.flops
        return replace(self, sequences=sequences, tokens=tokens, bases=bases, flops=flops)


def rates(rows: list[Row]) -> Rates:
    """Take the rates from the table of benchmarks.

    Raises:
        SystemExit: a benchmark has no row yet; says which.
    """
    found = {(row.script, row.figure.work): row.figure for row in rows}
    try:
        feed = found["feed_tokens", "read, cut, tokenise, mask and pack: mix"]
        return Rates(
            ingest_bp=found["corpus_ingest", "ingest of the corpus demo"].our_rate * 1e6,
            decode_bp=found["feed_tokens", "row groups decoded and checked"].our_rate,
            feed_tokens=feed.our_rate,
            step_tokens=feed.peer_rate,
            bits=found["data_scale", "bits per base on disk"].our_rate,
        )
    except KeyError as fault:
        sys.exit(f"run `python tests/benchmarks/table.py --only {fault.args[0][0]}` first")


def planned() -> Step:
    """Return what `gfmp plan` says of the base preset; it may refuse to run it here."""
    command = [sys.executable, "-m", "gfmp", "plan", "jobs/pretrain_base.yaml", "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    found = {one["name"]: one for one in json.loads(done.stdout)["derived"]}
    value = {name: one["value"] for name, one in found.items()}
    reads = {
        name: float(re.findall(r"a row reads ([\d,]+) bases", one["reason"])[0].replace(",", ""))
        for name, one in found.items()
        if name.startswith("share_of_bases.")
    }
    row_bp = sum(value[name.replace("bases", "rows")] * read_bp for name, read_bp in reads.items())
    sequences = value["global_batch_sequences"]
    return Step(
        sequences=sequences,
        tokens=value["tokens_per_step"],
        bases=sequences * row_bp,
        flops=value["flops_per_step"],
        parameters=value["parameters"],
    )


def groups_met(step: Step, world: int) -> float:
    """Return the share of a buffer's row groups that one rank decodes, by dealing its rows."""
    rng = np.random.default_rng(0)
    num_groups = Sampling.model_fields["buffer_row_groups"].default
    buffer_steps = max(1, round(num_groups * ROW_GROUP_BP / step.bases))
    met: set[int] = set()
    for _ in range(buffer_steps):
        loads = rng.integers(70, 512, step.sequences).astype(np.float64)
        groups = rng.integers(0, num_groups, step.sequences)
        rows, _ = deal_rank(loads, groups, world // 2, world, 1)
        met |= set(groups[rows].tolist())
    return len(met) / num_groups


def stages(step: Step, world: int, found: Rates) -> dict[str, float]:
    """Return the time of a step and what each stage does in it, as shares of what it can."""
    seconds = step.flops / (world * GPU_FLOPS)
    met = groups_met(step, world)
    link = NODE_LINK_BYTES if world <= GPUS_A_NODE else LINK_BYTES
    sent = 2 * GRADIENT_BYTES * step.parameters * (world - 1) / world
    decoded = met * step.bases / seconds
    return {
        "milliseconds of a step": 1e3 * seconds,
        "tokens a second, millions": step.tokens / seconds / 1e6,
        "hours for one pass over the corpus": CORPUS_BP / step.bases * seconds / 3600,
        "gradients on the link": sent / link / seconds,
        "cutting, tokenising, masking, of the cores": step.tokens
        / world
        / seconds
        / found.feed_tokens
        / CORES,
        "decoding, of the cores": decoded / found.decode_bp / CORES,
        "reading, of the storage of a node": min(world, GPUS_A_NODE)
        * decoded
        * found.bits
        / 8
        / STORAGE_BYTES,
        "row groups of a buffer a rank decodes": met,
    }


def main() -> None:
    """Print the model."""
    found, step = rates(read(TABLE.read_text(encoding="utf-8"))), planned()
    print(ASSUMED)
    print(
        f"\nstep: {step.sequences:,} sequences, {step.tokens:,.0f} tokens, {step.bases:,.0f} bases,"
        f" {step.flops / 1e12:,.0f} TFLOP; {step.parameters / 1e6:.0f} M parameters"
    )
    groups, shards = CORPUS_BP / ROW_GROUP_BP, CORPUS_BP / SHARD_BP
    print(
        f"corpus: {CORPUS_BP / 1e9:g} Gbp, {CORPUS_BP * found.bits / 8e9:,.0f} GB, {shards:,.0f}"
        f" shards, {groups:,.0f} row groups, manifest"
        f" {(groups * GROUP_JSON + shards * SHARD_JSON) / 1e6:.0f} MB,"
        f" ingest {CORPUS_BP / found.ingest_bp / 3600:,.1f} core hours"
    )
    print(f"checkpoint: {checkpoint_bytes(step.parameters) / 1e9:.2f} GB")
    print(f"one CPU core trains {found.step_tokens:,.0f} tokens/s of the small model and feeds")
    print(f"{found.feed_tokens:,.0f}: {found.step_tokens / found.feed_tokens:.1%} of its time\n")
    # 16,384 tokens a GPU keep its matrix products large.
    large = step.scaled(512 * 16_384 / step.tokens)
    columns = {
        "1 GPU": stages(step, 1, found),
        "8 GPUs": stages(step, 8, found),
        "512 GPUs": stages(step, 512, found),
        f"512, {large.sequences:,} rows": stages(large, 512, found),
    }
    print(f"{'':<44}" + "".join(f"{name:>18}" for name in columns))
    for name in next(iter(columns.values())):
        shares = not name.startswith(("milli", "tokens", "hours"))
        texts = (
            f"{each[name]:.1%}" if shares else f"{each[name]:,.2f}" for each in columns.values()
        )
        print(f"{name:<44}" + "".join(f"{text:>18}" for text in texts))


if __name__ == "__main__":
    main()
