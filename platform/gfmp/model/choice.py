"""Choosing a kernel by measurement: the fastest of those that agree with a slow, sure one."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gfmp.model.tokens import Packing

log = logging.getLogger(__name__)
Kernel = Callable[[Tensor, Packing], Tensor]
Measure = Callable[[Kernel, Tensor, Packing], float]
_ROUNDS = 5
# Later candidates must win by this much, so that noise does not choose another kernel, with
# other last digits, at the next start.
_CLEARLY = 0.9
# Largest difference to the sure kernel, relative to its largest value: rounding of 16 bits.
_TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 5e-3, torch.float32: 1e-4}


def kernel_seconds(kernel: Kernel, qkv_T3HK: Tensor, packing: Packing) -> float:
    """Return the median seconds of a forward and a backward pass; the first one is not counted."""
    _both(kernel, qkv_T3HK, packing)
    times = []
    for _ in range(_ROUNDS):
        _wait(qkv_T3HK.device)
        begin = time.perf_counter()
        _both(kernel, qkv_T3HK, packing)
        _wait(qkv_T3HK.device)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def fastest(
    candidates: Mapping[str, Kernel],
    sure: Kernel,
    qkv_T3HK: Tensor,
    packing: Packing,
    measure: Measure = kernel_seconds,
) -> Kernel:
    """Return the kernel that takes least time for forward and backward of this input.

    Args:
        candidates: By name, the preferred first: a later one must be faster by a tenth.
        sure: What the others must agree with, and what is left when none does.
        qkv_T3HK: A real input, shape (T, 3, H, K).
        packing: Its sequences.
        measure: Takes the time.
    """
    best, best_seconds = sure, measure(sure, qkv_T3HK, packing)
    said = [f"{type(sure).__name__} {best_seconds * 1e3:.2f} ms"]
    for name, kernel in candidates.items():
        try:
            agrees = _agrees(kernel, sure, qkv_T3HK, packing)
            seconds = measure(kernel, qkv_T3HK, packing)
        except (RuntimeError, NotImplementedError) as fault:
            said.append(f"{name} fails ({str(fault).splitlines()[0]})")
            continue
        said.append(f"{name} {seconds * 1e3:.2f} ms{'' if agrees else ', but it disagrees'}")
        if agrees and seconds < best_seconds * (1.0 if best is sure else _CLEARLY):
            best, best_seconds = kernel, seconds
    log.info("attention by measurement: %s; taken: %s", ", ".join(said), type(best).__name__)
    return best


def _agrees(kernel: Kernel, sure: Kernel, qkv_T3HK: Tensor, packing: Packing) -> bool:
    ours, theirs = _both(kernel, qkv_T3HK, packing), _both(sure, qkv_T3HK.float(), packing)
    within = _TOLERANCE[qkv_T3HK.dtype]
    return all(
        bool((a - b).abs().max() <= within * b.abs().max())
        for a, b in zip(ours, theirs, strict=True)
    )


def _both(kernel: Kernel, qkv_T3HK: Tensor, packing: Packing) -> tuple[Tensor, Tensor]:
    """Return the output and the gradient of the input."""
    kind = qkv_T3HK.device.type
    with torch.enable_grad(), torch.autocast(kind, enabled=False):
        leaf = qkv_T3HK.detach().clone().requires_grad_()
        mixed = kernel(leaf, packing)
        mixed.square().sum().backward()
    assert leaf.grad is not None, "it was asked for"
    return mixed.detach().float(), leaf.grad.float()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
