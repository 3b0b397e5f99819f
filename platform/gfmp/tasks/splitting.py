"""Which row trains, validates or tests: pure decisions on contigs, groups, regions and seeds.

Test is decided first, then validation, the rest is train; nothing that was dropped is silent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError, SpecError
from gfmp.spec.corpus import RegionSpec
from gfmp.spec.task import SplitSpec
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.carving import carve
from gfmp.tasks.pool import Pool
from gfmp.tasks.task import Rows, Target

TRAIN, VALID, TEST, DROPPED = range(4)
_ORIGIN = re.compile(r"(.+):(\d+)-(\d+):[+.-]")
Held = NDArray[np.bool_]


@dataclass(frozen=True)
class SplitRows:
    """The rows of a source in their splits.

    Attributes:
        train: Rows to learn from.
        valid: Rows that choose.
        test: Rows that are scored.
        straddling: Dropped, for they lie across the border of a region.
        torn: Dropped, for rows of their group are in a split that is held out.
        carved: Rows of `valid` that were taken from train by the seed.
    """

    train: Rows
    valid: Rows
    test: Rows
    straddling: int
    torn: int
    carved: int


def split_rows(pool: Pool, target: Target, spec: SplitSpec) -> SplitRows:
    """Split the rows of a source as asked.

    Raises:
        SpecError: a member of the spec holds no row, or a fraction cannot be taken.
        DataError: a split has no row, train lacks a class, or a row has no place it needs.
    """
    held = _HELD[spec.by](pool, target, spec)
    straddling = int(np.sum(held == DROPPED))
    if spec.by in ("contig", "region"):
        held = _without_torn_groups(held, pool.rows.groups)
    torn = int(np.sum(held == DROPPED)) - straddling
    for name, place in (("test", TEST), ("train", TRAIN)):
        _check_not_empty(name, int(np.sum(held == place)))
    carved = 0
    if not np.any(held == VALID):
        free = np.flatnonzero(held == TRAIN)
        taken = carve(pool.rows.take(free), target, spec.valid_fraction, f"valid {spec.seed}")
        held[free[taken]] = VALID
        carved = int(taken.sum())
    train, valid, test = (pool.rows.take(np.flatnonzero(held == i)) for i in (TRAIN, VALID, TEST))
    _check_classes(train, target)
    return SplitRows(train, valid, test, straddling, torn, carved)


def _given(pool: Pool, target: Target, spec: SplitSpec) -> NDArray[np.int8]:
    numbers = {"train": TRAIN, "valid": VALID, "test": TEST}
    return np.array([numbers[split] for split in pool.given], dtype=np.int8)


def _random(pool: Pool, target: Target, spec: SplitSpec) -> NDArray[np.int8]:
    taken = carve(pool.rows, target, spec.test_fraction, f"test {spec.seed}")
    return np.where(taken, TEST, TRAIN).astype(np.int8)


def _by_contig(pool: Pool, target: Target, spec: SplitSpec) -> NDArray[np.int8]:
    return _by_members(pool.contigs, "contig", spec)


def _by_group(pool: Pool, target: Target, spec: SplitSpec) -> NDArray[np.int8]:
    if not spec.test:
        return _random(pool, target, spec)
    return _by_members(pool.rows.groups, "group", spec)


def _by_members(names: Sequence[str], noun: str, spec: SplitSpec) -> NDArray[np.int8]:
    known = set(names)
    valid, test = ({str(m) for m in members} for members in (spec.valid, spec.test))
    for member in (*spec.test, *spec.valid):
        if member not in known:
            raise SpecError(
                f"split.test and split.valid: no row has the {noun} {member!r}",
                why=f"the {noun}s are {', '.join(sorted(known - {''})[:20]) or 'not known'}",
                fix=did_you_mean(str(member), known) or f"name one of these {noun}s",
            )
    places = [TEST if n in test else VALID if n in valid else TRAIN for n in names]
    return np.array(places, dtype=np.int8)


def _by_region(pool: Pool, target: Target, spec: SplitSpec) -> NDArray[np.int8]:
    matches = [_ORIGIN.fullmatch(origin) for origin in pool.rows.origins]
    if not all(matches):
        origin = pool.rows.origins[matches.index(None)]
        raise DataError(
            f"row {origin!r} has no coordinates",
            why="split by region reads contig:start-end:strand, 0-based and half-open",
            fix="give such names in source.id_column, or split by contig or group",
        )
    contigs = np.array([m[1] for m in matches if m])
    starts = np.array([int(m[2]) for m in matches if m])
    ends = np.array([int(m[3]) for m in matches if m])

    def touched(region: RegionSpec) -> tuple[Held, Held]:
        """Return which rows share a base with the region, and which lie inside."""
        stop = region.end if region.end is not None else int(ends.max()) + 1
        here = contigs == region.contig
        return (
            here & (starts < stop) & (ends > region.start),
            here & (starts >= region.start) & (ends <= stop),
        )

    held = np.full(len(contigs), TRAIN, dtype=np.int8)
    for place, members in ((VALID, spec.valid), (TEST, spec.test)):
        _hold_out(held, place, members, touched)
    return held


def _hold_out(
    held: NDArray[np.int8],
    place: int,
    members: Sequence[str | RegionSpec],
    touched: Callable[[RegionSpec], tuple[Held, Held]],
) -> None:
    """Give the rows inside any member to `place` and drop those across a border."""
    regions = [RegionSpec(contig=m) if isinstance(m, str) else m for m in members]
    both = [touched(region) for region in regions]
    for region, (_, inside) in zip(regions, both, strict=True):
        if not inside.any():
            end = "end" if region.end is None else region.end
            raise SpecError(
                f"no row lies inside {region.contig}:{region.start}-{end}",
                why="a region that is held out holds rows; coordinates are 0-based, half-open",
                fix="correct the contig or the coordinates in split.test or split.valid",
            )
    for touching, _ in both:
        held[touching] = DROPPED
    for _, inside in both:
        held[inside] = place


def _without_torn_groups(held: NDArray[np.int8], groups: Sequence[str]) -> NDArray[np.int8]:
    """Drop rows of train and valid whose group has rows in test, and so on down."""
    _, codes = np.unique(np.array(groups), return_inverse=True)
    grouped = np.array([bool(group) for group in groups])
    result = held.copy()
    for place in (TEST, VALID):
        has = np.zeros(int(codes.max()) + 1, dtype=bool)
        has[codes[result == place]] = True
        result[has[codes] & grouped & (result < place)] = DROPPED
    return result


def _check_not_empty(name: str, num_rows: int) -> None:
    if not num_rows:
        raise DataError(
            f"the {name} split has no row",
            why="a task learns from train, chooses by valid and is scored on test",
            fix="correct the split of the task, or its files",
        )


def _check_classes(train: Rows, target: Target) -> None:
    if target.classifies:
        missing = set(range(target.num_outputs)) - set(train.targets[:, 0].astype(int).tolist())
        if missing:
            raise DataError(
                f"no training row has the class {target.names[min(missing)]!r}",
                why="every class is learned from at least one row",
                fix="correct target.names, or the split of the task",
            )


_HELD: dict[str, Callable[[Pool, Target, SplitSpec], NDArray[np.int8]]] = {
    "given": _given,
    "contig": _by_contig,
    "group": _by_group,
    "region": _by_region,
    "random": _random,
}
