"""One line of `gfmp doctor`: what was looked at, what was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gfmp.errors import GfmpError


class State(StrEnum):
    """What a finding means: `note` works, but slower or with less than there could be."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """What one look gave.

    Attributes:
        name: What was looked at.
        state: Whether it is as it should be.
        found: What is there, in words.
        fix: What to type or change; empty when it is as it should be.
        status: Exit status that a job would end with because of it; 0 unless it is bad.
    """

    name: str
    state: State
    found: str
    fix: str = ""
    status: int = 0

    def __post_init__(self) -> None:
        assert bool(self.fix) == (self.state is not State.OK), "whatever is amiss has a fix"
        assert bool(self.status) == (self.state is State.BAD), "what is bad would end a job"


def ok(name: str, found: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(name, State.OK, found)


def note(name: str, found: str, fix: str) -> Finding:
    """Return the finding of something that could be better."""
    return Finding(name, State.NOTE, found, fix)


def bad(name: str, found: str, fix: str, kind: type[GfmpError]) -> Finding:
    """Return the finding of something that would end a job with an error of `kind`."""
    return Finding(name, State.BAD, found, fix, kind.exit_status)


def broken(name: str, fault: GfmpError) -> Finding:
    """Return the finding that a check which jobs make as well fails."""
    problem = fault.problems[0]
    words = f"{problem.message} ({problem.where})" if problem.where else problem.message
    return bad(name, words, problem.fix or problem.why, type(fault))


def exit_status(findings: Sequence[Finding]) -> int:
    """Return the status of the first bad finding, as a job would end; 0 when none is bad."""
    return next((found.status for found in findings if found.status), 0)
