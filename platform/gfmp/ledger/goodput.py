"""Where the time of a run went, and how often it should commit.

ETTR is productive time over wall time (Kokolis et al., HPCA 2025, arXiv 2410.21680); goodput is
useful tokens a wall second. The wall clock runs while a driver has the run: from `started` to
`finished`, `failed` or `interrupted`, and through the silence after a driver that was killed or
lost Ray.

| share | what |
|---|---|
| productive | steps that count, evaluations, the report |
| startup | from the start of a worker group to its first step, and from its last word to the end |
| checkpoint | commits |
| recompute | steps that were lost and had to be computed again |
| stall | all other time: waiting for batches, noticing a failure, waiting after one |
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from gfmp.ledger.events import LOST_RAY, Event
from gfmp.plan.interval import best_interval

_SCORING_KINDS = frozenset({"evaluation", "report", "outcome"})
# Without a failure to measure by: one a day, or one in as long as the run has lasted.
_ASSUMED_SECONDS = 86_400.0


@dataclass(frozen=True)
class Goodput:
    """The wall time of a run, split; the five shares sum to it.

    Attributes:
        wall_seconds: Time in which the run was driven.
        productive_seconds: See the table of this module, as for the others.
        startup_seconds: Worker groups coming and going.
        checkpoint_seconds: Commits.
        recompute_seconds: Steps that were lost.
        tokens: Tokens of the steps that count.
        failures: Worker groups and drivers that ended without having been asked to.
    """

    wall_seconds: float
    productive_seconds: float
    startup_seconds: float
    checkpoint_seconds: float
    recompute_seconds: float
    tokens: int
    failures: int

    @property
    def stall_seconds(self) -> float:
        """Time in which nothing of the others happened."""
        around = self.startup_seconds + self.checkpoint_seconds + self.recompute_seconds
        return max(0.0, self.wall_seconds - self.productive_seconds - around)

    @property
    def ettr(self) -> float:
        """Effective training time ratio, 0..1."""
        return self.productive_seconds / self.wall_seconds if self.wall_seconds else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Useful tokens a wall second."""
        return self.tokens / self.wall_seconds if self.wall_seconds else 0.0

    def numbers(self) -> dict[str, float]:
        """Return what is worth a curve or a line, by name."""
        return {
            "goodput/ettr": self.ettr,
            "goodput/tokens_per_second": self.tokens_per_second,
            "goodput/wall_seconds": self.wall_seconds,
            "goodput/productive_seconds": self.productive_seconds,
            "goodput/startup_seconds": self.startup_seconds,
            "goodput/checkpoint_seconds": self.checkpoint_seconds,
            "goodput/recompute_seconds": self.recompute_seconds,
            "goodput/stall_seconds": self.stall_seconds,
            "goodput/failures": float(self.failures),
        }


def goodput(events: Sequence[Event]) -> Goodput:
    """Measure a run by its events in the order of `merged`; zeros before it has started."""
    lost = _lost_keys(events)
    steps = [event for event in events if event.kind == "step"]
    kept = [event for event in steps if _key(event) not in lost]
    return Goodput(
        wall_seconds=_wall(events),
        productive_seconds=sum(map(_busy, kept)) + _scoring(events, lost),
        startup_seconds=_startup(events),
        checkpoint_seconds=sum(_number(e, "seconds") for e in events if e.kind == "checkpoint"),
        recompute_seconds=sum(_busy(event) for event in steps if _key(event) in lost),
        tokens=sum(int(_number(event, "tokens")) for event in kept),
        failures=_failures(events),
    )


def _key(event: Event) -> tuple[int, int]:
    return event.segment, event.sequence


def _lost_keys(events: Iterable[Event]) -> frozenset[tuple[int, int]]:
    """Return the keys of what rank 0 said about steps that were taken back, or taken again."""
    lost: set[tuple[int, int]] = set()
    live: list[Event] = []
    newest = -1

    def _back_to(step: int) -> None:
        while live and live[-1].step > step:
            lost.add(_key(live.pop()))

    for event in events:
        if event.kind == "resumed":
            _back_to(event.step)
            newest = max(newest, event.segment)
        elif event.kind == "rewound":
            _back_to(event.step)
        elif event.kind == "step" or event.kind in _SCORING_KINDS:
            if event.kind == "step" and event.segment > newest:
                _back_to(event.step - 1)
                newest = event.segment
            live.append(event)
            if event.segment < newest:
                lost.add(_key(live.pop()))
    return frozenset(lost)


def _over(event: Event) -> bool:
    """Return True for the word of a driver after which nobody wants the run to go on at once."""
    lost_ray = event.fields.get("signal") == LOST_RAY
    return event.kind in ("finished", "failed") or (event.kind == "interrupted" and not lost_ray)


def _number(event: Event, name: str) -> float:
    value = event.fields.get(name, 0.0)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _busy(step: Event) -> float:
    """Return the seconds of a step without those in which it waited for its batch."""
    return max(0.0, _number(step, "seconds") - _number(step, "feed_seconds"))


def _wall(events: Iterable[Event]) -> float:
    wall, began, last = 0.0, math.nan, 0.0
    for event in events:
        if event.kind == "started" and math.isnan(began):
            began = event.time
        elif _over(event) and not math.isnan(began):
            wall, began = wall + event.time - began, math.nan
        last = max(last, event.time)
    return wall if math.isnan(began) else wall + last - began


def _startup(events: Iterable[Event]) -> float:
    """Sum the ways up to each first step, and those down from each last word."""
    total, since, said = 0.0, math.nan, math.nan
    for event in events:
        if event.kind in ("started", "restarted"):
            since = event.time + _number(event, "delay_seconds")
        elif event.kind in ("step", "evaluation") and not math.isnan(since):
            total += max(0.0, event.time - _busy(event) - since)
            since = math.nan
        elif event.kind == "outcome":
            said = event.time
        elif _over(event) and not math.isnan(said):
            total, said = total + event.time - said, math.nan
    return total


def _scoring(events: Iterable[Event], lost: Collection[tuple[int, int]]) -> float:
    """Sum the time up to each evaluation, report and outcome from what rank 0 said before it."""
    total = 0.0
    before: dict[int, float] = {}
    for event in events:
        if event.writer != "rank0":
            continue
        previous = before.get(event.segment)
        if event.kind in _SCORING_KINDS and previous is not None and _key(event) not in lost:
            total += max(0.0, event.time - previous)
        if event.kind != "resumed":
            before[event.segment] = event.time
    return total


def _failures(events: Iterable[Event]) -> int:
    count, driven = 0, False
    for event in events:
        if event.kind == "started":
            count, driven = count + driven, True
        elif event.kind == "restarted":
            count += event.fields.get("cause") != "preempted"
        elif _over(event):
            count, driven = count + (event.kind == "failed"), False
    return count


@dataclass(frozen=True)
class IntervalAdvice:
    """How often a run should commit by what its commits and its failures cost.

    Attributes:
        save_seconds: Mean time of a commit.
        step_seconds: Median time of a step.
        between_failures_seconds: Mean time between failures.
        measured: That time was measured; else it is an assumption.
        present_steps: The usual interval of its commits so far.
        every_steps: The best interval.
    """

    save_seconds: float
    step_seconds: float
    between_failures_seconds: float
    measured: bool
    present_steps: int
    every_steps: int

    def cost_fraction(self, every_steps: int) -> float:
        """Return the share of time that commits and lost steps take at an interval, 0..1.

        A commit an interval, and half an interval lost with each failure (Young 1974).
        """
        interval = every_steps * self.step_seconds
        lost = interval / (2.0 * self.between_failures_seconds)
        return min(1.0, self.save_seconds / (interval + self.save_seconds) + lost)


def interval_advice(events: Sequence[Event]) -> IntervalAdvice | None:
    """Return the advice that follows from a run; None before its first commit."""
    commits = [event for event in events if event.kind == "checkpoint"]
    saves = [_number(event, "seconds") for event in commits]
    steps = [_busy(event) for event in events if event.kind == "step"]
    if not saves or not steps or not median(steps):
        return None
    measured = goodput(events)
    between = max(_ASSUMED_SECONDS, measured.wall_seconds)
    if measured.failures:
        between = measured.wall_seconds / measured.failures
    save, step = fmean(saves), median(steps)
    # Commits are written beside the steps; the next one waits for the end of the one before.
    written = max(_number(event, "write_seconds") for event in commits)
    every = max(1, round(best_interval(save, between) / step), math.ceil(written / step))
    present = _usual_interval([event.step for event in commits])
    return IntervalAdvice(save, step, between, bool(measured.failures), present, every)


def _usual_interval(steps: Sequence[int]) -> int:
    gaps = [b - a for a, b in itertools.pairwise((0, *steps)) if b > a]
    return Counter(gaps).most_common(1)[0][0]
