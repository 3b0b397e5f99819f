"""What the model reads: packed sequences and the targets in them, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Where the sequences stand in a packed axis of T tokens.

    Attributes:
        lengths: Tokens of each of the B sequences, on the host.
        cu_seqlens: The B + 1 offsets of the sequences, int32, on the model's device.
    """

    lengths: tuple[int, ...]
    cu_seqlens: Tensor

    @classmethod
    def of(cls, lengths: tuple[int, ...], device: torch.device) -> Packing:
        """Build the packing of sequences of these lengths."""
        offsets = torch.zeros(len(lengths) + 1, dtype=torch.int32)
        torch.cumsum(torch.tensor(lengths, dtype=torch.int32), 0, out=offsets[1:])
        if device.type == "cuda":
            offsets = offsets.pin_memory()
        return cls(lengths, offsets.to(device, non_blocking=True))

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.lengths)


@dataclass(frozen=True)
class TokenTensors:
    """One micro-batch.

    Attributes:
        ids_T: Ensemble rows of the packed tokens, after masking, int64.
        packing: Where the sequences stand.
        positions_M: Packed positions of the targets, grouped by vocabulary, int64.
        labels_M: True word of each target, as an index into the softmax of its vocabulary, int64.
        counts: Targets of each vocabulary, on the host, in ensemble order; they sum to M.
    """

    ids_T: Tensor
    packing: Packing
    positions_M: Tensor
    labels_M: Tensor
    counts: tuple[int, ...]
