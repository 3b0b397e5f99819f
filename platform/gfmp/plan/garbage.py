"""What of a workspace nothing needs any more: a decision on a graph of things, nothing is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter


@dataclass(frozen=True)
class Thing:
    """Something in a workspace that stays or goes as a whole.

    Attributes:
        key: Names it, and it alone.
        noun: What it is: run, checkpoint, corpus, task, cell, search, vocabulary, letters or
            leftover.
        path: Where it is.
        num_bytes: What the disk gets back.
        refers_to: Keys of what it needs; those of nothing here are left out of account.
        kept: Why it stays whoever refers to it; empty for what stays only when referred to.
        why: Why it can go when nothing does.
        private: Only its owner ever looks for it, so nobody can begin to use it meanwhile.
    """

    key: str
    noun: str
    path: str
    num_bytes: int
    refers_to: frozenset[str] = frozenset()
    kept: str = ""
    why: str = ""
    private: bool = False


def reachable(things: Collection[Thing]) -> frozenset[str]:
    """Return the keys of what stays: what is kept, and all that this refers to, however far."""
    known = {thing.key: thing for thing in things}
    waiting = [thing.key for thing in things if thing.kept]
    found: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key in known and key not in found:
            found.add(key)
            waiting.extend(known[key].refers_to)
    return frozenset(found)


def garbage(things: Sequence[Thing]) -> tuple[Thing, ...]:
    """Return what can go, in an order in which it can go piece by piece.

    What refers to something goes before it, so that after any of the removals nothing that is
    left refers to something that is gone.

    Raises:
        AssertionError: two things share a key, or things that can go refer to each other in a
            circle.
    """
    known = {thing.key: thing for thing in things}
    assert len(known) == len(things), "every thing has a key of its own"
    stays = reachable(things)
    going = {key: thing for key, thing in known.items() if key not in stays}
    return tuple(going[key] for key in _referrers_first(going))


def _referrers_first(going: Mapping[str, Thing]) -> list[str]:
    order: TopologicalSorter[str] = TopologicalSorter()
    for key in sorted(going):
        order.add(key)
        for other in sorted(going[key].refers_to & going.keys()):
            order.add(other, key)
    try:
        return list(order.static_order())
    except CycleError as fault:
        raise AssertionError(f"things refer to each other in a circle: {fault.args[1]}") from fault
