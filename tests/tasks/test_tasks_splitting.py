"""Splits: exactly what was asked is held out, and nothing is dropped in silence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_samples import BINARY, rows_of

from gfmp.errors import DataError, SpecError
from gfmp.spec.corpus import RegionSpec
from gfmp.spec.task import SplitSpec
from gfmp.tasks.carving import carve
from gfmp.tasks.pool import Pool
from gfmp.tasks.splitting import SplitRows, split_rows
from gfmp.tasks.strands import canonical, other_strand
from gfmp.tasks.task import Rows, Target

quick = settings(max_examples=30, deadline=None)


def _pool(
    num_rows: int,
    groups: tuple[str, ...] = (),
    contigs: tuple[str, ...] = (),
    given: tuple[str, ...] = (),
) -> Pool:
    rows = rows_of([i % 2 for i in range(num_rows)], groups)
    empty = ("",) * num_rows
    return Pool(rows, contigs or empty, given or empty)


def _at(*origins: str, groups: tuple[str, ...] = ()) -> Pool:
    pool = _pool(len(origins), groups)
    rows = Rows(pool.rows.sequences, pool.rows.targets, origins, pool.rows.groups)
    return Pool(rows, tuple(origin.split(":")[0] for origin in origins), pool.given)


def _origins(parts: SplitRows) -> tuple[set[str], set[str], set[str]]:
    return set(parts.train.origins), set(parts.valid.origins), set(parts.test.origins)


def test_a_given_split_is_kept() -> None:
    pool = _pool(6, given=("train", "test", "valid", "train", "test", "train"))
    parts = split_rows(pool, BINARY, SplitSpec(by="given"))
    assert _origins(parts) == ({"row0", "row3", "row5"}, {"row2"}, {"row1", "row4"})
    assert (parts.carved, parts.torn, parts.straddling) == (0, 0, 0)


def test_without_valid_some_of_train_is_taken() -> None:
    pool = _pool(220, given=("train",) * 200 + ("test",) * 20)
    parts = split_rows(pool, BINARY, SplitSpec(by="given", valid_fraction=0.1))
    assert (len(parts.train), len(parts.valid), len(parts.test)) == (180, 20, 20)
    assert parts.carved == 20
    assert parts.valid.targets.sum() == 10
    other = split_rows(pool, BINARY, SplitSpec(by="given", valid_fraction=0.1, seed=1))
    assert set(other.valid.origins) != set(parts.valid.origins)
    assert other.test.origins == parts.test.origins


def test_contigs_are_held_out_whole() -> None:
    contigs = tuple("abcd"[i // 10] for i in range(40))
    parts = split_rows(
        _pool(40, contigs=contigs), BINARY, SplitSpec(by="contig", test=("d",), valid=("b",))
    )
    assert parts.test.origins == tuple(f"row{i}" for i in range(30, 40))
    assert parts.valid.origins == tuple(f"row{i}" for i in range(10, 20))
    assert len(parts.train) == 20 and parts.carved == 0


def test_a_group_of_a_held_out_contig_is_dropped_elsewhere() -> None:
    contigs = ("a", "a", "a", "a", "b", "b", "c", "c")
    groups = ("x", "y", "", "", "x", "", "y", "")
    pool = _pool(8, groups, contigs)
    parts = split_rows(pool, BINARY, SplitSpec(by="contig", test=("b",), valid=("c",)))
    assert _origins(parts) == ({"row2", "row3"}, {"row6", "row7"}, {"row4", "row5"})
    assert parts.torn == 2


def test_groups_are_held_out_by_name_or_by_fraction() -> None:
    groups = tuple(f"g{i // 4}" for i in range(80))
    named = split_rows(_pool(80, groups), BINARY, SplitSpec(by="group", test=("g3", "g7")))
    assert set(named.test.groups) == {"g3", "g7"} and len(named.test) == 8
    drawn = split_rows(_pool(80, groups), BINARY, SplitSpec(by="group", test_fraction=0.25))
    assert len(drawn.test) == 20
    for parts in (named, drawn):
        names = [set(rows.groups) for rows in (parts.train, parts.valid, parts.test)]
        assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])


def test_regions_hold_out_what_lies_inside() -> None:
    pool = _at(
        "c:0-10:+", "c:90-100:-", "c:95-105:+", "c:100-110:+", "c:190-200:+", "c:195-205:+",
        "c:200-210:+", "d:120-130:+", "d:0-10:.", "d:300-310:+", "d:990-1000:+",
    )  # fmt: skip
    regions = (RegionSpec(contig="c", start=100, end=200),)
    valid = (RegionSpec(contig="d", start=300),)
    parts = split_rows(pool, BINARY, SplitSpec(by="region", test=regions, valid=valid))
    train = {"c:0-10:+", "c:90-100:-", "c:200-210:+", "d:120-130:+", "d:0-10:."}
    assert _origins(parts) == (
        train,
        {"d:300-310:+", "d:990-1000:+"},
        {"c:100-110:+", "c:190-200:+"},
    )
    assert parts.straddling == 2 and parts.torn == 0


def test_a_group_across_the_border_is_dropped_outside() -> None:
    pool = _at(
        "c:0-10:+", "c:100-110:+", "c:20-30:+", "c:30-40:+", "d:0-10:+", "d:5-15:+",
        groups=("in and out", "in and out", "out", "", "in and out", ""),
    )  # fmt: skip
    regions = (RegionSpec(contig="c", start=100, end=200),)
    parts = split_rows(pool, BINARY, SplitSpec(by="region", test=regions, valid_fraction=0.3))
    assert parts.test.origins == ("c:100-110:+",)
    assert parts.torn == 2
    left = set(parts.train.origins) | set(parts.valid.origins)
    assert left == {"c:20-30:+", "c:30-40:+", "d:5-15:+"}


@quick
@given(
    st.lists(st.tuples(st.integers(0, 190), st.integers(1, 20)), min_size=6, max_size=60),
    st.integers(0, 150),
    st.integers(1, 60),
)
def test_no_base_of_a_region_is_outside_its_split(
    windows: list[tuple[int, int]], start: int, length: int
) -> None:
    pool = _at(*(f"c:{a}-{a + n}:+" for a, n in windows), "c:150-160:+", "z:0-9:+", "z:1-8:+")
    region = RegionSpec(contig="c", start=start, end=start + length)
    spec = SplitSpec(by="region", test=(region,), valid=("z",))
    try:
        parts = split_rows(pool, Target("regression", ("y",)), spec)
    except (DataError, SpecError):
        return  # nothing lies inside, or nothing else is left
    for rows, inside in ((parts.train, False), (parts.test, True)):
        for origin in rows.origins:
            a, b = map(int, origin.split(":")[1].split("-"))
            shared = max(0, min(b, start + length) - max(a, start))
            assert shared == (b - a if inside else 0)
    kept = len(parts.train) + len(parts.valid) + len(parts.test)
    assert kept + parts.straddling + parts.torn == len(pool.rows)


@quick
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 15)), min_size=30, max_size=120),
    st.floats(0.05, 0.5),
    st.integers(0, 5),
)
def test_a_share_keeps_groups_whole_whatever_the_order(
    rows: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    groups = tuple(f"g{group}" if group else "" for _, group in rows)
    whole = rows_of([label for label, _ in rows], groups)
    target = Target("multiclass", ("a", "b", "c"))
    taken = carve(whole, target, fraction, "key")
    assert 0 < taken.sum() < len(rows)
    for group in set(groups) - {""}:
        assert len({bool(t) for t, g in zip(taken, groups, strict=True) if g == group}) == 1
    places = np.random.default_rng(seed).permutation(len(rows)).astype(np.int64)
    assert np.array_equal(carve(whole.take(places), target, fraction, "key"), taken[places])


def test_a_share_is_stratified() -> None:
    rows = rows_of([0] * 900 + [1] * 90 + [2] * 10)
    taken = carve(rows, Target("multiclass", ("a", "b", "c")), 0.1, "key")
    assert np.bincount(rows.targets[taken, 0].astype(int)).tolist() == [90, 9, 1]


def test_repeats_on_either_strand_stay_together() -> None:
    rows = rows_of([0, 1] * 50)
    both = Rows(
        rows.sequences + tuple(other_strand(s) for s in rows.sequences) + rows.sequences,
        np.concatenate([rows.targets] * 3),
        tuple(map(str, range(300))),
        ("",) * 300,
    )
    pool = Pool(both, ("",) * 300, ("",) * 300)
    parts = split_rows(pool, BINARY, SplitSpec(by="random", test_fraction=0.2))
    found = [{canonical(s) for s in p.sequences} for p in (parts.train, parts.valid, parts.test)]
    assert sum(map(len, found)) == 100
    assert abs(len(parts.test) - 60) <= 6


def test_one_group_cannot_be_shared_out() -> None:
    with pytest.raises(SpecError, match="cannot be taken"):
        split_rows(_pool(9, ("g",) * 9, ("a",) * 4 + ("b",) * 5), BINARY, SplitSpec(by="group"))


@pytest.mark.parametrize(
    ("pool", "spec", "message"),
    [
        (
            _pool(4, contigs=("chrI",) * 4),
            SplitSpec(by="contig", test=("chrII",)),
            "contig 'chrII'",
        ),
        (_pool(4, ("a",) * 4), SplitSpec(by="group", test=("b",)), "no row has the group 'b'"),
        (_at("c:0-5:+", "c:1-6:+"), SplitSpec(by="region", test=("d",)), "no row lies inside d:0-"),
    ],
)
def test_a_member_without_rows_is_refused(pool: Pool, spec: SplitSpec, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        split_rows(pool, BINARY, spec)
    assert message in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("pool", "spec", "message"),
    [
        (_pool(3, given=("train",) * 3), SplitSpec(), "the test split has no row"),
        (_pool(3, given=("test",) * 3), SplitSpec(), "the train split has no row"),
        (_pool(2, contigs=("a", "b")), SplitSpec(by="contig", test=("a",)), "cannot be taken"),
        (
            _pool(4, given=("train", "test", "valid", "test")),
            SplitSpec(),
            "no training row has the class 'yes'",
        ),
        (_pool(3), SplitSpec(by="region", test=("c",)), "row 'row0' has no coordinates"),
    ],
)
def test_a_split_that_cannot_be_learned_from_is_refused(
    pool: Pool, spec: SplitSpec, message: str
) -> None:
    with pytest.raises((DataError, SpecError)) as caught:
        split_rows(pool, BINARY, spec)
    assert message in caught.value.problems[0].message
