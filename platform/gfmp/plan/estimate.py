"""How long it takes: operations divided by a stated peak and a stated share of it."""

from __future__ import annotations

from dataclasses import dataclass

from gfmp.plan.calibration import Calibration
from gfmp.plan.facts import Machine
from gfmp.spec.pretrain import Precision

_GIB = 1 << 30


@dataclass(frozen=True)
class Device:
    """What one device reaches.

    Attributes:
        name: As a person calls it.
        fp32_flops: Operations per second of an fp32 matrix product.
        bf16_flops: The same in bf16.
        fp32_share: Share of the fp32 peak that a training step reaches.
        bf16_share: The same in bf16.
        source: Where the numbers come from.
    """

    name: str
    fp32_flops: float
    bf16_flops: float
    fp32_share: float
    bf16_share: float
    source: str

    def reached(self, precision: Precision) -> float:
        """Operations per second a training step reaches on one device."""
        if precision == "bf16":
            return self.bf16_flops * self.bf16_share
        return self.fp32_flops * self.fp32_share


CPU_CORE = Device(
    "CPU core",
    fp32_flops=70e9,
    # Cores with AVX512_BF16 multiply faster than this, but whole steps under autocast measured
    # 0.6-0.75 of the fp32 speed: conversions and attention in fp32 eat the gain.
    bf16_flops=70e9,
    fp32_share=0.55,
    bf16_share=0.40,
    source="1024^3 matrix products on one core",
)
H200 = Device("H200", 67e12, 790e12, 0.6, 0.45, "bf16 matrix products measured, fp32 data sheet")
A100 = Device("A100", 19.5e12, 312e12, 0.6, 0.45, "data sheet; 43-59 % published for BERT sizes")
SMALL_GPU = Device("GPU of less than 36 GiB", 8e12, 65e12, 0.5, 0.35, "T4 data sheet, a low guess")


@dataclass(frozen=True)
class Rate:
    """Expected speed, and where the number comes from.

    Attributes:
        flops_per_second: Of all ranks together.
        flops_per_cpu_second: Per second of CPU that they use; 0 for GPUs.
        reason: Where the numbers come from.
    """

    flops_per_second: float
    flops_per_cpu_second: float
    reason: str


def gpu_of(memory_bytes: int) -> Device:
    """Guess the GPU from its memory: 120 GiB and more H200; 36 and more, or not known, A100."""
    if memory_bytes >= 120 * _GIB:
        return H200
    return SMALL_GPU if 0 < memory_bytes < 36 * _GIB else A100


def expected_rate(
    machine: Machine, workers: int, threads: int, use_gpu: bool, precision: Precision
) -> Rate:
    """Return operations per second of the job on `machine`.

    Args:
        machine: What there is.
        workers: Ranks.
        threads: CPU threads of a rank; more of them than cores do not add speed.
        use_gpu: One GPU per rank instead of CPU threads.
        precision: What matrix products compute in.
    """
    device = gpu_of(machine.gpu_memory_bytes) if use_gpu else CPU_CORE
    count = workers if use_gpu else min(workers * threads, machine.cpu_cores)
    peak, share = _peak(device, precision)
    return Rate(
        count * device.reached(precision),
        0.0 if use_gpu else device.reached(precision),
        f"{count:,} x {device.name} at {peak / 1e12:g} TFLOP/s {precision} x {share:.0%}"
        f" ({device.source}; `gfmp plan JOB --calibrate` measures this machine)",
    )


def calibrated_rate(found: Calibration) -> Rate:
    """Return the rate that was measured with a job's own steps."""
    return Rate(
        found.flops_per_second,
        found.flops_per_cpu_second,
        f"{found.machine} with torch {found.torch}: {found.flops_per_second / 1e9:,.1f} GFLOP/s,"
        f" measured on {found.date} over {found.steps:,} steps of this job",
    )


def _peak(device: Device, precision: Precision) -> tuple[float, float]:
    if precision == "bf16":
        return device.bf16_flops, device.bf16_share
    return device.fp32_flops, device.fp32_share


def in_words(seconds: float) -> str:
    """Write a duration in the unit a person would use."""
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"
