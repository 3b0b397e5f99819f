"""Curves of a run: each step counts once, however often it was computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gfmp.ledger.events import Event

_PREFIXES = {"step": "", "evaluation": "evaluation/", "checkpoint": "checkpoint/"}


@dataclass(frozen=True)
class Point:
    """One value of a curve.

    Attributes:
        step: Optimiser step, counted from 1.
        value: May be NaN or infinite.
        time: Unix time in seconds.
    """

    step: int
    value: float
    time: float


def numbers_of(event: Event) -> dict[str, float]:
    """Return the numbers of a step, evaluation or checkpoint under names that cannot collide.

    Names of a step stay as they are; names of the other kinds get a prefix unless they are
    paths themselves (`heldout/kmer6/loss` stays, `seconds` becomes `evaluation/seconds`).
    """
    if event.kind not in _PREFIXES:
        return {}
    prefix = _PREFIXES[event.kind]
    return {
        name if "/" in name else prefix + name: float(value)
        for name, value in event.fields.items()
        if name != "step" and isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def keep_every_step(step: int) -> bool:
    """Keep every step."""
    return step >= 0


class SeriesBook:
    """Collects curves from events in the order they were written.

    A segment that starts at step s (the step after the checkpoint it loaded) makes everything
    earlier segments said about steps >= s obsolete, also what has not been computed again yet.
    A run that goes back to step s does the same to what it said itself about steps > s.
    """

    def __init__(self, keep: Callable[[int], bool] = keep_every_step) -> None:
        """Start empty; `keep` says which training steps are collected (others always are)."""
        self._keep = keep
        self._points: dict[str, dict[int, Point]] = {}
        self._segment_of: dict[int, int] = {}
        self._starts: list[tuple[int, int]] = []
        self._recomputed: set[int] = set()

    def add(self, events: Iterable[Event]) -> None:
        """Take in more events; a later segment replaces earlier ones."""
        for event in events:
            if event.kind == "resumed":
                self._begin(event.segment, event.step + 1)
            elif event.kind == "rewound":
                self._forget({s for s in self._segment_of if s > event.step})
            elif event.kind in _PREFIXES:
                self._add(event)

    def _add(self, event: Event) -> None:
        if event.kind == "step" and event.segment not in dict(self._starts):
            self._begin(event.segment, event.step)
        if any(s > event.segment and start <= event.step for s, start in self._starts):
            return
        if event.kind == "step" and not self._keep(event.step):
            return
        for name, value in numbers_of(event).items():
            point = Point(event.step, value, event.time)
            self._points.setdefault(name, {})[event.step] = point
        self._segment_of[event.step] = event.segment

    def _begin(self, segment: int, start: int) -> None:
        self._starts.append((segment, start))
        self._forget({s for s, own in self._segment_of.items() if s >= start and own < segment})

    def _forget(self, stale: set[int]) -> None:
        self._recomputed |= stale
        for step in stale:
            del self._segment_of[step]
        for points in self._points.values():
            for step in stale & points.keys():
                del points[step]

    @property
    def recomputed(self) -> tuple[int, ...]:
        """Steps that an earlier segment had computed and a later one computes again."""
        return tuple(sorted(self._recomputed))

    @property
    def restarts(self) -> tuple[int, ...]:
        """First step of each later segment, in the order they began."""
        return tuple(start for _, start in self._starts[1:])

    def names(self) -> tuple[str, ...]:
        """Return the names of all curves, sorted."""
        return tuple(sorted(name for name, points in self._points.items() if points))

    def series(self, name: str) -> tuple[Point, ...]:
        """Return one curve by ascending step; empty when nothing is known under `name`."""
        points = self._points.get(name, {})
        return tuple(points[step] for step in sorted(points))

    def curves(self) -> dict[str, tuple[Point, ...]]:
        """Return every curve."""
        return {name: self.series(name) for name in self.names()}


def running_mean(points: Sequence[Point], window: int) -> tuple[Point, ...]:
    """Return at each point the mean of the `window` points around it; fewer near the ends.

    Every value must be finite. A centred window does not shift a curve to later steps.
    """
    assert window > 0, "a window holds at least one point"
    sums = [0.0, *itertools.accumulate(point.value for point in points)]
    means: list[Point] = []
    for i, point in enumerate(points):
        low, high = max(0, i - window // 2), min(len(points), i + (window + 1) // 2)
        means.append(Point(point.step, (sums[high] - sums[low]) / (high - low), point.time))
    return tuple(means)
