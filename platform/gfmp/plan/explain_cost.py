"""What a job costs: operations, time, CPU or GPU time, and where the rates come from."""

from __future__ import annotations

from collections.abc import Iterator

from gfmp.plan.estimate import H200, Rate, calibrated_rate, expected_rate, in_words
from gfmp.plan.sizes import Sizes
from gfmp.plan.values import Derived

_DAY_SECONDS = 86_400


def cost_numbers(sizes: Sizes) -> Iterator[Derived]:
    """Yield the operations of a job and what they take."""
    spec, step = sizes.spec, sizes.step_flops
    total = step * spec.steps
    per_token = step / sizes.batch.num_tokens
    yield Derived(
        "flops_per_step",
        step,
        "FLOP",
        f"{per_token / 1e6:,.1f} MFLOP a token, forward and backward, head at the targets only",
    )
    yield Derived("total_flops", total, "FLOP", f"{spec.steps:,} steps")
    yield from _times(sizes, total, _rate(sizes))


def _rate(sizes: Sizes) -> Rate:
    if sizes.calibration is not None:
        return calibrated_rate(sizes.calibration)
    compute = sizes.batch.workers, sizes.threads, sizes.use_gpu
    return expected_rate(sizes.known.machine, *compute, sizes.spec.precision)


def _times(sizes: Sizes, total: int, rate: Rate) -> Iterator[Derived]:
    seconds = total / rate.flops_per_second
    yield Derived(
        "estimated_time",
        round(seconds, 1),
        "seconds",
        f"{in_words(seconds)} on {rate.reason}; start-up and evaluation come on top",
    )
    if sizes.use_gpu:
        spent = seconds * sizes.batch.workers
        yield Derived("estimated_gpu_time", round(spent, 1), "GPU seconds", "time x GPUs")
        return
    spent = total / rate.flops_per_cpu_second
    yield Derived(
        "estimated_cpu_time",
        round(spent, 1),
        "CPU seconds",
        f"of all ranks, at {rate.flops_per_cpu_second / 1e9:.1f} GFLOP a CPU second",
    )
    if seconds > _DAY_SECONDS:
        fast = total / (sizes.batch.workers * H200.reached(sizes.spec.precision))
        yield Derived(
            "estimated_time_on_gpus",
            round(fast, 1),
            "seconds",
            f"{in_words(fast)} on {sizes.batch.workers:,} x {H200.name}, which this machine lacks",
        )


def measured_memory(sizes: Sizes) -> Iterator[Derived]:
    """Yield the memory that a rank was measured to take; nothing without a measurement."""
    found = sizes.calibration
    if found is not None:
        place = "GPU" if sizes.use_gpu else "main"
        yield Derived(
            "measured_memory_per_rank",
            found.peak_bytes,
            "bytes",
            f"of {place} memory, at most in {found.steps:,} steps on {found.date}; libraries and"
            " what the allocator keeps are in it",
        )
