"""What is read from the head's scores; training reads sums, never means.

Sums of nats over all micro-batches and ranks, divided once by the global number of targets, make
the loss independent of how the batch was cut.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Readout = Callable[[Tensor, Tensor], Tensor]


def summed(logits_MW: Tensor, labels_M: Tensor) -> Tensor:
    """Return (sum of nats, correct predictions) of the targets, shape (2,), fp32.

    Only the first carries a gradient. No targets give (0, 0), still connected to the graph.
    """
    nats = functional.cross_entropy(logits_MW, labels_M, reduction="sum")
    with torch.no_grad():
        correct = (logits_MW.argmax(dim=1) == labels_M).sum().to(nats.dtype)
    return torch.stack((nats, correct))
