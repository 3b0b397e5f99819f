"""What pretraining the base preset on the paper's corpus asks of each stage; no run is started.

    python tests/benchmarks/cost_model.py

Sizes are those of `gfmp plan jobs/pretrain_base.yaml`, rates those of platform/BENCHMARKS.md. What
nobody measured is assumed, and printed with its source. What needs a rate that has no row is left
out and named at the end, with the command that measures it; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import math
import sys
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import table
from cost_stages import (
    ASSUMED,
    CORPUS_BP,
    CORPUS_GROUPS,
    NODE_GPUS,
    Place,
    Rates,
    Stage,
    Step,
    compute_seconds,
    computing,
    dealt,
    least_sequences,
    slowest,
    stages,
)
from step_peers import draw
from train_step import CPU, SHAPE

from gfmp.cli.loading import load_job
from gfmp.genome.corpus import RowGroup
from gfmp.genome.manifest import RowGroupEntry
from gfmp.genome.shards import ROW_GROUP_BP
from gfmp.plan.estimate import H200
from gfmp.plan.memory import checkpoint_bytes, model_states
from gfmp.plan.sizes import Sizes, measure
from gfmp.plan.survey import survey
from gfmp.spec.model import Architecture
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.workspace import Workspace

JOB = Path(__file__).resolve().parents[2] / "jobs" / "pretrain_base.yaml"
MOST_GPUS = 512
# What is taken from the table: script and work of the row.
ROWS = {
    "ingest_bp": ("corpus_ingest", "ingest of the corpus demo"),
    "bits": ("data_scale", "bits per base on disk"),
    "decode_bp": ("feed_tokens", "row groups decoded and checked"),
    "feed_tokens": ("feed_tokens", "read, cut, tokenise, mask and pack: mix"),
    "core_tokens": ("train_step", "training step 6 x 256, fp32"),
    "gpu_tokens": ("gpu", "training step, base preset, bf16, one GPU"),
}


@dataclass(frozen=True)
class Column:
    """A step taken somewhere, and its stages by name."""

    step: Step
    place: Place
    stages: Mapping[str, Stage]


def planned(sizes: Sizes) -> Step:
    """Take the step from the numbers of a plan."""
    targets = sum(row.share * sizes.targets(i) for i, row in enumerate(sizes.rows))
    count = sizes.batch.num_sequences
    return Step(
        sequences=count,
        tokens=sizes.batch.num_tokens,
        targets=count * targets,
        bases=count * sizes.batch.mean_bp,
        flops=sizes.step_flops,
        gradient_bytes=model_states(sizes.parameters, "ddp", 1, sizes.spec.precision).gradients,
        commit_bytes=checkpoint_bytes(sizes.parameters),
        commit_steps=sizes.spec.checkpoint.every_steps,
    )


def rates(rows: Sequence[table.Row]) -> Rates:
    """Take the rates from the table of benchmarks, nan for those it lacks."""
    found = {(row.script, row.figure.work): row.figure for row in rows}
    values = {}
    for name, key in ROWS.items():
        scale = 1e6 if key in found and found[key].unit.startswith("M") else 1.0
        values[name] = scale * found[key].our_rate if key in found else math.nan
    return Rates(**values, group_bytes=group_memory())


def commands(found: Rates) -> list[str]:
    """Return the commands that measure what is missing; for a GPU there is an assumption."""
    scripts = {script for name, (script, _) in ROWS.items() if math.isnan(vars(found)[name])}
    return [f"python tests/benchmarks/table.py --only {name}" for name in sorted(scripts - {"gpu"})]


def group_memory() -> float:
    """Return the bytes of a row group in an open corpus: what the manifest says, and itself."""
    count = 10_000
    tracemalloc.start()
    entries = [
        RowGroupEntry(2, ROW_GROUP_BP - i, ROW_GROUP_BP + i, 2**31 + i) for i in range(count)
    ]
    held = [RowGroup("", i, "", 2, entry.bases) for i, entry in enumerate(entries)]
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / len(held)


def token_flops(shape: Architecture) -> float:
    """Return the operations of a token in `train_step.py` and `gpu.py`, as they count them."""
    work = draw(np.random.default_rng(0), 1024, CPU)
    return work.flops(shape) / work.num_tokens


def in_figures(value: float) -> str:
    """Write a number with three figures, a small one with two."""
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"


def line(name: str, cells: Iterable[str]) -> str:
    """Return a row of the printed table."""
    return f"{name:<15}" + "".join(f"{cell:>13}" for cell in cells)


def lines(columns: Sequence[Column]) -> Iterator[str]:
    """Yield the table: the steps, what the stages need and can, and the shares."""
    seconds = [compute_seconds(column.step, column.place) for column in columns]
    passes = [CORPUS_BP / column.step.bases for column in columns]
    hours = [count * each / 3600 for count, each in zip(passes, seconds, strict=True)]
    yield line("", (column.place.name for column in columns))
    yield line("rows of a step", (f"{column.step.sequences:,}" for column in columns))
    yield line("compute, s", map(in_figures, seconds))
    yield line("steps of a pass", map(in_figures, passes))
    yield line("its compute, h", map(in_figures, hours))
    yield line("time computing", (f"{computing(column.stages):.1%}" for column in columns))
    for name in columns[0].stages:
        found = [column.stages[name] for column in columns]
        pairs = [
            (in_figures(one.needs / one.unit), in_figures(one.can / one.unit)) for one in found
        ]
        yield line(name, (f"{needs}/{can}" for needs, can in pairs))
        yield line("", (f"{in_figures(100 * one.share)}%" for one in found))


def findings(columns: Sequence[Column]) -> Iterator[str]:
    """Yield what binds where, and which batch lifts the gradients of the last place."""
    for column in columns:
        name = slowest(column.stages)
        yield (
            f"{column.place.name}, {column.step.sequences:,} rows: bound by {name.split(',')[0]},"
            f" {column.stages[name].share:.1f} x what it can"
        )
    last = columns[-1]
    even, tenth = (least_sequences(last.step, last.place, share) for share in (1.0, 0.1))
    yield f"On {last.place.name} gradients take as long as the compute at {even:,} rows a step,"
    yield f"a tenth of it at {tenth:,}."


def places(sizes: Sizes, found: Rates) -> list[Place]:
    """Return one core, where its rate is known, and 1, 8 and 512 GPUs."""
    measured = found.gpu_tokens * token_flops(sizes.known.architecture)
    flops = H200.reached(sizes.spec.precision) if math.isnan(measured) else measured
    core = Place(1, found.core_tokens * token_flops(SHAPE), False)
    some = [core, *(Place(count, flops, True) for count in (1, NODE_GPUS, MOST_GPUS))]
    return [place for place in some if not math.isnan(place.flops)]


def columns_of(sizes: Sizes, found: Rates) -> list[Column]:
    """Return all places at the batch of the job, and the last at the rows it gives a worker."""
    step, all_places = planned(sizes), places(sizes, found)
    large = step.of(step.sequences // sizes.batch.workers * MOST_GPUS)
    taken = [*((step, place) for place in all_places), (large, all_places[-1])]
    buffer_groups = sizes.spec.sampling.buffer_row_groups
    return [
        Column(one, place, stages(one, place, found, dealt(one, place.ranks, buffer_groups)))
        for one, place in taken
    ]


def main() -> int:
    """Print the model; return 1 when something is left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=table.TABLE, help="where the rates are")
    options = parser.parse_args()
    spec, _ = load_job(JOB, ())
    assert isinstance(spec, PretrainSpec), "the base preset is pretrained"
    sizes = measure(spec, survey(spec, JOB, Workspace.at(None)).known)
    found = rates(table.read(options.table.read_text(encoding="utf-8")))
    columns = columns_of(sizes, found)
    print(f"{spec.name} on {CORPUS_BP / 1e9:g} Gbp in {CORPUS_GROUPS:,.0f} row groups\n{ASSUMED}")
    if math.isnan(found.gpu_tokens):
        print(
            f"No row of gpu.py: {H200.reached(spec.precision) / 1e12:.0f} TFLOP/s a GPU, the plan's"
        )
        print(f"{H200.name} ({H200.source}).")
    print("\nneed/can a second and rank, and need of can; reads and checkpoint of a node,")
    print("manifests in all; ingest against a pass, were it done on the same cores\n")
    print(*lines(columns), "", *findings(columns), sep="\n")
    missing = commands(found)
    for command in missing:
        print(f"left out, not measured: {command}")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
