"""The steps of a fine-tuning and their learning rates, known before it begins."""

from __future__ import annotations

from dataclasses import dataclass

from gfmp.spec.learner import Finetuning


@dataclass(frozen=True)
class Steps:
    """The optimiser updates of a fine-tuning.

    Attributes:
        per_epoch: Updates of one pass over the rows.
        total: Updates of all epochs.
        warmup: Updates until the peak rate.
        peak: The highest rate.
    """

    per_epoch: int
    total: int
    warmup: int
    peak: float

    @classmethod
    def of(cls, learner: Finetuning, num_rows: int) -> Steps:
        """Plan the updates over a number of training rows."""
        per_epoch = -(-num_rows // learner.batch_rows)
        total = per_epoch * learner.epochs
        warmup = round(learner.warmup_fraction * total)
        return cls(per_epoch, total, warmup, learner.learning_rate)

    def rate(self, step: int) -> float:
        """Return the rate of update `step`, counted from 1.

        It rises linearly, reaches the peak at the last update of the warm-up, and falls
        linearly so that it would be 0 one update after the last.
        """
        assert 1 <= step <= self.total, f"update {step} is not in 1..{self.total}"
        if step <= self.warmup:
            return self.peak * step / self.warmup
        return self.peak * (self.total + 1 - step) / (self.total + 1 - self.warmup)
