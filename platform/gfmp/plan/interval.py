"""How much work lies between two checkpoints when commits and failures shall cost least."""

from __future__ import annotations

import math


def best_interval(save_seconds: float, between_failures_seconds: float) -> float:
    """Return the seconds of work between commits that lose the least time.

    Young's sqrt(2 M S) with Daly's higher orders (Daly, Future Generation Computer Systems 22,
    2006, equation 37).
    """
    half = save_seconds / (2.0 * between_failures_seconds)
    if half >= 1.0:
        return between_failures_seconds
    young = math.sqrt(2.0 * save_seconds * between_failures_seconds)
    return young * (1.0 + math.sqrt(half) / 3.0 + half / 9.0) - save_seconds
