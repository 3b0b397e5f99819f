"""From the command to the first step: which phase took how long, read from a run's ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from gfmp.ledger.events import Event

KIND = "startup"


@dataclass(frozen=True)
class Mark:
    """The end of a phase in one process.

    Attributes:
        name: What ended, as a person reads it.
        ended: Unix time in seconds.
        cpu_seconds: CPU time of all threads of the process since it began.
    """

    name: str
    ended: float
    cpu_seconds: float


@dataclass(frozen=True)
class Phase:
    """A phase of a start.

    Attributes:
        name: What was done.
        seconds: How long it took.
        cpu_seconds: CPU time of the process that did it, which may be less than the machine's.
    """

    name: str
    seconds: float
    cpu_seconds: float


def startup_fields(began: float, marks: Sequence[Mark]) -> dict[str, object]:
    """Return the fields of the event in which a process tells how it started.

    Args:
        began: Unix time at which its first phase began.
        marks: Ends of its phases, in their order.
    """
    return {"began": began, "marks": [asdict(mark) for mark in marks]}


def startup_phases(events: Iterable[Event]) -> tuple[Phase, ...]:
    """Return the phases of the newest start from the command to the first step; none before it.

    The phases of the driver come first, then the wait for rank 0, then those of rank 0.
    """
    told: dict[str, Mapping[str, object]] = {}
    for event in events:
        if event.kind == "started":
            told = {}
        elif event.kind == KIND and event.writer not in told:
            told[event.writer] = event.fields
    if {"driver", "rank0"} - told.keys():
        return ()
    driver = list(_phases(told["driver"]))
    waited = _began(told["rank0"]) - _marks(told["driver"])[-1].ended
    between = Phase("Ray Train schedules the ranks and starts rank 0", max(0.0, waited), 0.0)
    return (*driver, between, *_phases(told["rank0"]))


def _began(fields: Mapping[str, object]) -> float:
    began = fields["began"]
    assert isinstance(began, (int, float)), "`startup_fields` writes a number"
    return float(began)


def _marks(fields: Mapping[str, object]) -> list[Mark]:
    stored = fields["marks"]
    assert isinstance(stored, list), "`startup_fields` writes a list"
    return [Mark(**mark) for mark in stored]


def _phases(fields: Mapping[str, object]) -> Iterator[Phase]:
    before, used = _began(fields), 0.0
    for mark in _marks(fields):
        yield Phase(mark.name, mark.ended - before, mark.cpu_seconds - used)
        before, used = mark.ended, mark.cpu_seconds
