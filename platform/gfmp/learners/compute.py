"""Where and with how many threads a learner computes; derived here and nowhere else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from threadpoolctl import threadpool_limits

from gfmp.training.hardware import flushed_denormals

AUTOMATIC = "auto"
# Tokens per micro-batch. A CPU is fastest while a micro-batch stays near its caches; a GPU wants
# enough rows to be busy and little enough for attention over padded rows to fit.
_CPU_TOKENS, _GPU_TOKENS = 4_096, 32_768


@dataclass(frozen=True)
class Compute:
    """A device and its settings.

    Attributes:
        device: `cpu` or `cuda`.
        threads: Threads of torch and of the linear algebra of NumPy and SciPy on a CPU.
    """

    device: torch.device
    threads: int

    @classmethod
    def of(cls, device: str, threads: int) -> Compute:
        """Choose: `auto` is the GPU where there is one, else the CPU."""
        if device == AUTOMATIC:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(torch.device(device), threads)

    @property
    def on_gpu(self) -> bool:
        """True on CUDA; matrix products then run in bf16, as in pretraining."""
        return self.device.type == "cuda"

    @property
    def micro_tokens(self) -> int:
        """Tokens of a micro-batch; one longer row is a micro-batch of its own."""
        return _GPU_TOKENS if self.on_gpu else _CPU_TOKENS

    @contextlib.contextmanager
    def engaged(self) -> Iterator[None]:
        """Compute with these threads and without denormal numbers inside the block."""
        before = torch.get_num_threads()
        with flushed_denormals(), threadpool_limits(limits=self.threads):
            torch.set_num_threads(self.threads)
            try:
                yield
            finally:
                torch.set_num_threads(before)

    def autocast(self) -> torch.autocast:
        """Return the precision of the encoder: fp32 on a CPU, bf16 products on a GPU."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.on_gpu)
