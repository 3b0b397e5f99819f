"""How much of what it can a stage of training has to do, on any number of ranks: no file is read.

Every decision here is a function of frozen values; `cost_model.py` gathers and prints them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gfmp.cluster.feed import BURST_STEPS, TASKS_PER_BURST
from gfmp.feed.dealer import deal_rank
from gfmp.genome.shards import ROW_GROUP_BP

# Ye et al., Genomics-FM, A.2: many species, and 38 human genomes.
CORPUS_BP = 284e9 + 385e9
CORPUS_GROUPS = CORPUS_BP / ROW_GROUP_BP
NODE_GPUS, GPU_CORES, GPU_MEMORY = 8, 14, 250e9
NODE_LINK, LINK, BUS, STORAGE = 450e9, 50e9, 63e9, 2e9
TASK_STEPS = BURST_STEPS // TASKS_PER_BURST
ASSUMED = f"""\
Assumed, after NVIDIA's H200-SXM-141GBx8 in MLPerf Inference v4.1:
- a GPU has {GPU_CORES} cores, {GPU_MEMORY / 1e9:g} GB of memory, {BUS / 1e9:g} GB/s from the host;
- {NODE_LINK / 1e9:g} GB/s between GPUs of a node, {LINK / 1e9:g} GB/s a GPU between nodes.
Assumed without a source: {STORAGE / 1e9:g} GB/s of storage a node.
As gfmp does it: gradients are summed after the compute, not beside it; {TASKS_PER_BURST} tasks
make a GPU's batches, {TASK_STEPS} steps each, and nothing is kept between them.
Not counted: ranks that wait for slower ones, and what Ray adds."""
# Ids, and places and labels of the targets, cross as int32 (gfmp.training.batches).
ID_BYTES = 4
GRADIENTS, ASIDE = "gradients, GB", ("ingest, Mbp", "manifests, GB")


@dataclass(frozen=True)
class Rates:
    """What was measured, of one CPU core and a second; nan where the table has no row.

    Attributes:
        ingest_bp: Bases that become a corpus.
        bits: Bits of a base on disk; a size, not a rate.
        decode_bp: Bases that are decoded and checked.
        feed_tokens: Tokens of both vocabularies, from the disk to packed batches.
        core_tokens: Tokens that a core trains the model of `train_step.py` on.
        gpu_tokens: Tokens that a GPU trains the base preset on.
        group_bytes: Memory of one row group in an open corpus, found on the spot.
    """

    ingest_bp: float
    bits: float
    decode_bp: float
    feed_tokens: float
    core_tokens: float
    gpu_tokens: float
    group_bytes: float


@dataclass(frozen=True)
class Step:
    """One optimiser step, whoever takes it.

    Attributes:
        sequences: Rows of the global batch.
        tokens: Their tokens.
        targets: Masked ones among them.
        bases: Bases of their windows.
        flops: Operations forward and backward.
        gradient_bytes: Of all parameters.
        commit_bytes: Of one checkpoint.
        commit_steps: Steps from one to the next.
    """

    sequences: int
    tokens: float
    targets: float
    bases: float
    flops: float
    gradient_bytes: float
    commit_bytes: float
    commit_steps: int

    def of(self, sequences: int) -> Step:
        """Return a step of so many rows of the same kind."""
        times = sequences / self.sequences
        names = ("tokens", "targets", "bases", "flops")
        return replace(
            self, sequences=sequences, **{name: times * vars(self)[name] for name in names}
        )


@dataclass(frozen=True)
class Place:
    """Where steps are taken: data-parallel ranks, and the operations a second of each."""

    ranks: int
    flops: float
    on_gpu: bool

    @property
    def name(self) -> str:
        """What a person calls it."""
        noun = "GPU" if self.on_gpu else "core"
        return f"{self.ranks} {noun}{'s' if self.ranks > 1 else ''}"

    @property
    def cores(self) -> int:
        """CPU cores of a rank."""
        return GPU_CORES if self.on_gpu else 1

    @property
    def makers(self) -> int:
        """Processes that make the batches of a rank at one time."""
        return min(self.cores, TASKS_PER_BURST)

    @property
    def memory(self) -> float:
        """Bytes of main memory of a rank."""
        return self.cores * GPU_MEMORY / GPU_CORES

    @property
    def link(self) -> float:
        """Bytes a second from rank to rank."""
        return NODE_LINK if self.ranks <= NODE_GPUS else LINK


@dataclass(frozen=True)
class Stage:
    """What a stage must do so that compute never waits for it, and what it can.

    Attributes:
        needs: In a second; in all for what lies in memory.
        can: The same.
        unit: Divides both for people.
    """

    needs: float
    can: float
    unit: float

    @property
    def share(self) -> float:
        """Needed share of what it can; above 1 a step waits for it."""
        return self.needs / self.can


def dealt(step: Step, ranks: int, buffer_groups: int) -> tuple[float, float]:
    """Return row groups a step that one rank decodes, and that all ranks of a node read.

    Rows are dealt as in a run: those of a buffer lie anywhere in its row groups, and a task, which
    here begins in the middle of a buffer, knows nothing of the one before it.
    """
    rng = np.random.default_rng(0)
    buffer_rows = buffer_groups * ROW_GROUP_BP * step.sequences / step.bases
    met: list[set[int]] = [set() for _ in range(min(ranks, NODE_GPUS))]
    for turn in range(TASK_STEPS):
        samples = turn * step.sequences + np.arange(step.sequences)
        buffers = (samples / buffer_rows + 0.5).astype(np.int64)
        groups = buffers * buffer_groups + rng.integers(0, buffer_groups, step.sequences)
        loads = rng.random(step.sequences)
        for rank, seen in enumerate(met):
            seen.update(groups[deal_rank(loads, groups, rank, ranks, 1)[0]].tolist())
    mean = sum(map(len, met)) / len(met)
    return mean / TASK_STEPS, len(set.union(*met)) / TASK_STEPS


def compute_seconds(step: Step, place: Place) -> float:
    """Return how long a step computes."""
    return step.flops / (place.ranks * place.flops)


def gradient_bytes(step: Step, place: Place) -> float:
    """Return what a rank sends around a ring in a step (Patarasuk and Yuan 2009)."""
    return 2 * step.gradient_bytes * (place.ranks - 1) / place.ranks


def least_sequences(step: Step, place: Place, share: float) -> int:
    """Return from which batch on the gradients take at most this share of the compute."""
    seconds = gradient_bytes(step, place) / place.link
    return math.ceil(step.sequences * seconds / share / compute_seconds(step, place))


def stages(step: Step, place: Place, found: Rates, groups: tuple[float, float]) -> dict[str, Stage]:
    """Return the stages of a step by name, without those whose rate was not measured.

    All are of a rank but `node reads` and `checkpoint`, which are of a node. The share of `ingest`
    is its part of one pass over the corpus, were it built on the same cores.

    Args:
        step: What is taken.
        place: Where.
        found: Rates of a core.
        groups: What `dealt` returns.
    """
    seconds = compute_seconds(step, place)
    of_rank = place.ranks * seconds
    rank_bp, node_bp = (ROW_GROUP_BP * count / seconds for count in groups)
    crossing = ID_BYTES * (step.tokens + 2 * step.targets)
    entries = (place.makers + 1) * CORPUS_GROUPS * found.group_bytes
    sent = gradient_bytes(step, place) / seconds
    known = {
        "ingest, Mbp": Stage(step.bases / of_rank, place.cores * found.ingest_bp, 1e6),
        "node reads, MB": Stage(node_bp * found.bits / 8, STORAGE, 1e6),
        "decode, Mbp": Stage(rank_bp, place.makers * found.decode_bp, 1e6),
        "feed, Mtoken": Stage(step.tokens / of_rank, place.makers * found.feed_tokens, 1e6),
        "to the GPU, MB": Stage(crossing / of_rank if place.on_gpu else 0.0, BUS, 1e6),
        "compute, TFLOP": Stage(place.flops, place.flops, 1e12),
        GRADIENTS: Stage(sent, place.link, 1e9),
        "checkpoint, MB": Stage(step.commit_bytes / step.commit_steps / seconds, STORAGE, 1e6),
        "manifests, GB": Stage(entries, place.memory, 1e9),
    }
    return {name: stage for name, stage in known.items() if not math.isnan(stage.share)}


def slowest(found: Mapping[str, Stage]) -> str:
    """Return the name of the stage that binds: compute itself where the others keep up."""
    return max(found, key=lambda name: found[name].share)


def computing(found: Mapping[str, Stage]) -> float:
    """Return the share of the time that ranks compute: gradients come after, others beside."""
    beside = (found[name].share for name in found.keys() - {GRADIENTS, *ASIDE})
    return 1 / max(1 + found[GRADIENTS].share, *beside)
