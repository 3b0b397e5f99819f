"""The learning rate of every step, as a pure function; nothing to save, nothing to restore."""

from __future__ import annotations

import math

from gfmp.spec.pretrain import Optimiser


def learning_rate(optimiser: Optimiser, steps: int, step: int) -> float:
    """Return the rate that the optimiser update of a step uses.

    The rate rises linearly over the warm-up: update w of W uses w / W of the peak, so update 1 is
    not wasted at rate 0 and update W uses the peak itself. Then it decays over the remaining
    steps - W updates and reaches `final_fraction` of the peak exactly at the last one. Without a
    warm-up update 1 is one decay step below the peak.

    Args:
        optimiser: Peak, shape, warm-up and end of the schedule.
        steps: Updates of the whole run.
        step: The update, counted from 1 to `steps`.
    """
    assert 1 <= step <= steps, f"update {step} is not in 1..{steps}"
    peak, warmup = optimiser.learning_rate, optimiser.warmup_steps
    if step <= warmup:
        return peak * step / warmup
    if optimiser.schedule == "constant":
        return peak
    done = (step - warmup) / (steps - warmup)
    left = 1.0 - done if optimiser.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return peak * (optimiser.final_fraction + (1.0 - optimiser.final_fraction) * left)
