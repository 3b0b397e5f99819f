"""Where the time from the command to the first step went, in lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gfmp.ledger.events import Event
from gfmp.ledger.startup import Phase, startup_phases


def startup_lines(events: Sequence[Event]) -> Iterator[str]:
    """Yield one line per phase of the newest start and their sum; nothing before its first step.

    CPU seconds are those of the process named in the line; others work beside it.
    """
    phases = startup_phases(events)
    if not phases:
        return
    whole = Phase(
        "from the command to the first step",
        sum(phase.seconds for phase in phases),
        sum(phase.cpu_seconds for phase in phases),
    )
    width = max(len(phase.name) for phase in (*phases, whole))
    for phase in (*phases, whole):
        yield f"{phase.name:<{width}} {phase.seconds:7.1f} s {phase.cpu_seconds:7.1f} CPU s"
