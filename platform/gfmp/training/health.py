"""Steps whose numbers are not sound: what is wrong with one, and what the plan does about it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gfmp.errors import Problem, TrainingError
from gfmp.spec.pretrain import Numbers
from gfmp.training.manifest import Cursor, LeftOut

Cause = Literal["loss", "gradient norm", "spike"]
# The median of this many norms is the usual one; with fewer than the least nothing is a spike.
REMEMBERED_NORMS = 64
LEAST_NORMS = 8
_SHOWN_SAMPLES = 8


@dataclass(frozen=True)
class Share:
    """What one rank had to do with a step.

    Attributes:
        nats: Sum of nats per vocabulary over its own micro-batches.
        samples: The samples it saw.
    """

    nats: tuple[float, ...]
    samples: tuple[int, ...]


@dataclass(frozen=True)
class Incident:
    """A step whose numbers are not sound; no rank has changed a weight.

    Attributes:
        step: The feed's step, counted from 0; its update would have been number `step + 1`.
        cause: What is not sound; a spike is finite, but far above the usual norm.
        gradient_norm: Global L2 norm before clipping; NaN when the loss already told.
        limit: The largest norm that is no spike; infinite without such a rule.
        shares: What each rank had to do with it, by rank.
    """

    step: int
    cause: Cause
    gradient_norm: float
    limit: float
    shares: tuple[Share, ...]

    def error(self, fix: str) -> TrainingError:
        """Return the error that ends the run; it names every rank whose loss is not finite."""
        rule = "no rank updates its weights with numbers that are not finite"
        if self.cause == "spike":
            rule = f"numbers.spike_factor allows norms up to {self.limit:.4g} here"
        return TrainingError.of(  # type: ignore[return-value] # `of` builds its own class
            [Problem(message, f"step {self.step + 1}", rule, fix) for message in self.messages]
        )

    @property
    def messages(self) -> tuple[str, ...]:
        """One sentence per rank to blame; one in all when it is the gradient of all ranks."""
        if self.cause != "loss":
            return (f"{self.cause} {self.gradient_norm:.6g} at step {self.step + 1}",)
        return tuple(
            f"loss {math.fsum(share.nats)} at step {self.step + 1} on rank {rank},"
            f" samples {listed(share.samples)}"
            for rank, share in enumerate(self.shares)
            if not all(map(math.isfinite, share.nats))
        )


def listed(samples: Sequence[int]) -> str:
    """Return the first samples as text, and how many more there are."""
    shown = ", ".join(map(str, samples[:_SHOWN_SAMPLES]))
    more = len(samples) - _SHOWN_SAMPLES
    return f"{shown} and {more} more" if more > 0 else shown


def most_norm(numbers: Numbers, norms: Sequence[float]) -> float:
    """Return the largest gradient norm of the next step that is no spike.

    Args:
        numbers: The rule.
        norms: Norms of the last updates, oldest first.
    """
    if numbers.spike_factor is None or len(norms) < LEAST_NORMS:
        return math.inf
    return numbers.spike_factor * statistics.median(norms)


def remembered(numbers: Numbers, norms: Sequence[float], norm: float) -> tuple[float, ...]:
    """Return the norms that the next step is compared with; none without a rule of spikes."""
    return () if numbers.spike_factor is None else (*norms, norm)[-REMEMBERED_NORMS:]


def remedy(numbers: Numbers, cursor: Cursor, incident: Incident) -> LeftOut | None:
    """Return which batches the plan leaves out because of an incident; None ends the run.

    A rewound run leaves out the batches from `rewind_steps` before the bad one on, so what it
    computes does not depend on where its checkpoints are.
    """
    if numbers.on_nonfinite == "abort" or len(cursor.left_out) >= numbers.most_times:
        return None
    step = incident.step
    if numbers.on_nonfinite == "skip":
        return LeftOut(step, step + 1, step, incident.cause)
    first = max(0, step - numbers.rewind_steps)
    return LeftOut(first, first + numbers.skip_steps, step, incident.cause)
