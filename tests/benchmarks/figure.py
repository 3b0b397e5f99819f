"""What a benchmark found, for people and as one JSON line for the common table."""

from __future__ import annotations

import json
import operator
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

_SIGNS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        item: Number of the goal it belongs to.
        work: What was done.
        peer: Who else did it; empty where the peer is not installed.
        peer_rate: Median rate of the peer, 0 where there is none.
        our_rate: Median rate of gfmp.
        unit: Unit of both rates.
        ratio: How many times better gfmp is; its share of the peer's cost where the goal is an
            upper bound.
        goal: What to reach, such as "ratio >= 12, of limit >= 0.25"; "rate" is gfmp's own. Empty
            where a rate is told for its own sake.
        limit: What bounds the rate on this machine; empty where nothing was measured.
        share_of_limit: Rate over the limit's rate, 0 where nothing was measured.
    """

    item: str
    work: str
    peer: str
    peer_rate: float
    our_rate: float
    unit: str
    ratio: float
    goal: str
    limit: str = ""
    share_of_limit: float = 0.0

    @property
    def met(self) -> bool:
        """Whether every goal is reached."""
        found = {"ratio": self.ratio, "rate": self.our_rate, "of limit": self.share_of_limit}
        for goal in filter(None, self.goal.split(", ")):
            name, sign, bound = goal.rsplit(" ", 2)
            if not _SIGNS[sign](found[name], float(bound)):
                return False
        return True

    def print(self) -> None:
        """Print a readable line, and the row as JSON."""
        print(
            f"{self.work}: {self.our_rate:,.4g} {self.unit}, {self.peer or 'no peer'} "
            f"{self.peer_rate:,.4g}; ratio {self.ratio:.2f}"
            + (f"; {self.share_of_limit:.0%} of {self.limit}" if self.limit else "")
            + (f" (goal {self.goal}: {'met' if self.met else 'short'})" if self.goal else "")
        )
        rounded = {
            key: float(f"{value:.4g}") if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }
        print("FIGURE", json.dumps(rounded), flush=True)


def rate_over(peer_rate: float, our_rate: float) -> float:
    """Return our rate over the peer's, 0 where there is no peer."""
    return our_rate / peer_rate if peer_rate else 0.0


def cpu_seconds() -> float:
    """Return CPU-seconds of this process, all its threads and its ended children."""
    own = time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own + children.ru_utime + children.ru_stime


def timed(work: Callable[[], object]) -> float:
    """Return the CPU-seconds of one call."""
    begin = cpu_seconds()
    work()
    return cpu_seconds() - begin


def interleaved(variants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Run all variants in turn and return the median of what each returns.

    One round more warms up and is left out.
    """
    found: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, variant in variants.items():
            value = variant()
            if turn:
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}
