"""One optimiser step over all ranks: agree, accumulate, judge, update."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gfmp.feed.batch import TokenBatch
from gfmp.training.batches import SoftmaxRows, count_targets, to_tensors
from gfmp.training.engine import Engine, updates
from gfmp.training.health import Cause, Incident, Share
from gfmp.training.manifest import Cursor
from gfmp.training.processes import Group

ORDER_START = "0" * 64


@dataclass(frozen=True)
class Agreement:
    """What all ranks know about a step before it is computed.

    Attributes:
        stop: Rank 0 was asked to stop.
        written: The commit in flight has ended on every rank.
        digest: Sum of the digests of the global batch's rows modulo 2**64.
        tokens: Tokens of the global batch.
        squared_lengths: Sum of L * L over its sequences.
        targets: Its targets per vocabulary.
    """

    stop: bool
    written: bool
    digest: int
    tokens: int
    squared_lengths: int
    targets: tuple[int, ...]

    @property
    def num_targets(self) -> int:
        """Targets of all vocabularies."""
        return sum(self.targets)


@dataclass(frozen=True)
class StepResult:
    """What a step measured.

    Attributes:
        nats: Sum of nats per vocabulary over the global batch.
        gradient_norm: Global L2 norm before clipping.
    """

    nats: tuple[float, ...]
    gradient_norm: float


def agree(
    batches: Sequence[TokenBatch],
    num_vocabularies: int,
    stop: bool,
    group: Group,
    written: bool = False,
) -> Agreement:
    """Add up over all ranks what the step needs to know before its first forward pass.

    `stop` counts on rank 0 only, `written` on all together.
    """
    # One sum over one array: unlike numpy's scalars, its sums wrap around without a warning.
    digest = np.concatenate([batch.digests for batch in batches]).sum(dtype=np.uint64)
    numbers = np.zeros(5 + num_vocabularies, dtype=np.int64)
    for batch in batches:
        lengths = np.diff(batch.cu_seqlens).astype(np.int64)
        numbers[2:4] += (lengths.sum(), np.square(lengths).sum())
        numbers[5:] += count_targets(batch, num_vocabularies)
    numbers[0] = stop and group.rank == 0
    numbers[4] = written
    # int64 sums wrap around, which is addition modulo 2**64.
    numbers[1] = digest.astype(np.int64)
    total = group.sum(torch.from_numpy(numbers).to(group.device)).tolist()
    return Agreement(
        stop=total[0] > 0,
        written=total[4] == group.world,
        digest=total[1] % 2**64,
        tokens=total[2],
        squared_lengths=total[3],
        targets=tuple(total[5:]),
    )


def advance(cursor: Cursor, digest: int) -> Cursor:
    """Return the cursor after a step: one step further, its digest chained to the order hash."""
    link = cursor.order_hash.encode("ascii") + cursor.step.to_bytes(8, "little")
    chained = hashlib.sha256(link + digest.to_bytes(8, "little")).hexdigest()
    return replace(cursor, step=cursor.step + 1, order_hash=chained)


@dataclass(frozen=True)
class Stepper:
    """Takes steps with one engine.

    Attributes:
        engine: Model, gradients and optimiser.
        softmax: What each vocabulary's prediction is normalised over.
        group: The ranks.
    """

    engine: Engine
    softmax: SoftmaxRows
    group: Group

    def take(
        self,
        batches: Sequence[TokenBatch],
        agreed: Agreement,
        learning_rate: float,
        most_norm: float = math.inf,
    ) -> StepResult | Incident:
        """Compute one step: loss = sum of nats / targets, both over all ranks and micro-batches.

        Args:
            batches: This rank's micro-batches.
            agreed: What the global batch holds.
            learning_rate: Rate of the update.
            most_norm: Largest gradient norm that is no spike.

        Returns:
            What was measured; an incident when the loss of some rank or the gradient norm is not
            finite, or the norm is a spike. Then no rank has changed a weight.
        """
        own = self._accumulate(batches, 1.0 / max(agreed.num_targets, 1))
        nats = self.group.sum(own[:, 0].clone()).tolist()
        sound = all(map(math.isfinite, nats))
        # A loss may be infinite where its gradient is not: such a step must not update either.
        norm = self.engine.step(learning_rate, most_norm if sound else -math.inf)
        if sound and updates(norm, most_norm):
            return StepResult(tuple(nats), norm)
        cause: Cause = "spike" if math.isfinite(norm) else "gradient norm"
        shares = self._shares(batches, own)
        return Incident(batches[0].step, cause if sound else "loss", norm, most_norm, shares)

    def _accumulate(self, batches: Sequence[TokenBatch], scale: float) -> Tensor:
        num = len(self.softmax.rows)
        sums = torch.zeros(num, 2, dtype=torch.float64, device=self.group.device)
        for batch in batches:
            tokens = to_tensors(batch, self.softmax, self.group.device)
            sums += self.engine.backward(tokens, scale)
        return sums

    def _shares(self, batches: Sequence[TokenBatch], own: Tensor) -> tuple[Share, ...]:
        samples = np.concatenate([batch.samples for batch in batches])
        share = Share(tuple(own[:, 0].tolist()), tuple(samples.tolist()))
        return tuple(self.group.gather(share))
