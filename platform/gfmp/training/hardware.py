"""What the machine can do at best, and how much memory the process took."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import time
from collections.abc import Iterator

import torch

from gfmp.spec.pretrain import Precision

_MEASURE_SECONDS = 0.1
_SIDE = 1024
# malloc.h of glibc: how many blocks are mapped by themselves, and when the heap shrinks (-1: not).
_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1
# Dense tensor-core peaks in TFLOP/s from the vendor's data sheets: (bf16, fp32 without TF32).
_GPU_PEAKS = {
    "H200": (989.0, 67.0),
    "H100": (989.0, 67.0),
    "A100": (312.0, 19.5),
    "L40S": (362.0, 91.6),
    "V100": (125.0, 15.7),
}


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Treat numbers below 1.2e-38 as zero on the CPU inside the block.

    ALiBi gives far-away keys weights of e-100, and a CPU multiplies denormal numbers some hundred
    times slower: a step of 4 layers of width 128 took 1.4 to 2.2 times as long. Threads that
    torch starts inside the block inherit the setting, so enter it before the first computation.
    """
    flushed_before = not bool(torch.full((1,), 1e-30).mul(1e-10).any())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed_before)


def keep_freed_memory() -> bool:
    """Let the C library keep the memory that a step frees for the next one, for good.

    Otherwise glibc gives blocks above 32 MB back at once, and the kernel clears every page again
    in the next step: a tenth of the CPU time of micro-batches of 16,384 tokens. The process then
    stays at its peak, which was 8 % higher with sequences of changing lengths.

    Returns:
        False where the C library is no glibc; nothing is changed there.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))


def peak_flops(device: torch.device, precision: Precision) -> float:
    """Return the floating-point operations per second that `device` reaches at best.

    Known GPUs: the data sheet. Everything else: matrix products of 1024 x 1024, for 0.1 s, the
    fastest of them; on a CPU with the threads torch has now.
    """
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for known, (bf16, fp32) in _GPU_PEAKS.items():
            if known in name:
                return (bf16 if precision == "bf16" else fp32) * 1e12
    return _measured(device, torch.bfloat16 if precision == "bf16" else torch.float32)


def _measured(device: torch.device, dtype: torch.dtype) -> float:
    left = torch.ones(_SIDE, _SIDE, device=device, dtype=dtype)
    best = float("inf")
    end = time.perf_counter() + _MEASURE_SECONDS
    while time.perf_counter() < end or best == float("inf"):
        start = time.perf_counter()
        left @ left
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * _SIDE**3 / best


def peak_memory_bytes(device: torch.device) -> int:
    """Return the most memory this process had so far: on the GPU there, else resident."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
