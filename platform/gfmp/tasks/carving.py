"""A seeded share of rows that keeps groups and repeats together and classes in proportion."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import SpecError
from gfmp.tasks.strands import canonical
from gfmp.tasks.strata import strata
from gfmp.tasks.task import Rows, Target


def carve(rows: Rows, target: Target, fraction: float, key: str) -> NDArray[np.bool_]:
    """Return which rows make up about `fraction` of each stratum; shape (N,).

    Rows are taken in units: a group, or, for rows without one, all rows of one sequence on
    either strand. Units are visited in the order of a hash of (`key`, unit), and one is taken
    when that brings the strata closer to their share. So the order of the rows does not matter.

    Raises:
        SpecError: all rows are one unit.
    """
    units = _units(rows)
    members: dict[bytes, list[int]] = {}
    for row, unit in enumerate(units):
        members.setdefault(unit, []).append(row)
    if len(members) < 2:
        raise SpecError(
            f"{fraction:g} of {len(rows):,} rows cannot be taken",
            why="the rows are one group, and groups are never torn apart",
            fix="name the members of split.valid, or group the rows more finely",
        )
    ordered = _visited(tuple(members), key)
    classes = strata(rows, target).tolist()
    chosen = _chosen(ordered, members, classes, fraction)
    taken = np.zeros(len(rows), dtype=bool)
    for unit in chosen or [min(ordered, key=lambda unit: len(members[unit]))]:
        taken[members[unit]] = True
    return taken


def _units(rows: Rows) -> list[bytes]:
    pairs = zip(rows.groups, rows.sequences, strict=True)
    return [b"g" + g.encode() if g else b"s" + canonical(s) for g, s in pairs]


def _visited(units: Sequence[bytes], key: str) -> list[bytes]:
    secret = hashlib.sha256(key.encode()).digest()
    return sorted(units, key=lambda u: hashlib.blake2b(u, digest_size=16, key=secret).digest())


def _chosen(
    ordered: Sequence[bytes],
    members: dict[bytes, list[int]],
    classes: list[int],
    fraction: float,
) -> list[bytes]:
    wanted = {c: fraction * n for c, n in Counter(classes).items()}
    chosen: list[bytes] = []
    for unit in ordered:
        counts = Counter(classes[row] for row in members[unit])
        gain = sum(abs(wanted[c]) - abs(wanted[c] - n) for c, n in counts.items())
        if gain > 0 and len(chosen) < len(ordered) - 1:
            chosen.append(unit)
            for c, n in counts.items():
                wanted[c] -= n
    return chosen
