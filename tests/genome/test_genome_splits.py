"""Regions become intervals that cover a contig exactly once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import SpecError
from gfmp.genome.splits import Region, split_contig

REGIONS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 99), st.integers(1, 30)).map(
        lambda r: Region(r[0], r[1], r[1] + r[2])
    ),
    max_size=5,
)


@given(REGIONS, REGIONS)
@settings(deadline=None, max_examples=80)
def test_every_base_has_the_split_its_regions_say(
    valid: list[Region], exclude: list[Region]
) -> None:
    splits = split_contig("a", valid, exclude)
    assert splits.intervals[0].start == 0
    for left, right in itertools.pairwise(splits.intervals):
        assert left.end == right.start
        assert left.split != right.split
    for position in range(140):
        held = {
            kind
            for kind, regions in (("valid", valid), ("excluded", exclude))
            if any(r.contig == "a" and r.start <= position < r.stop for r in regions)
        }
        expected = "excluded" if "excluded" in held else "valid" if held else "train"
        interval = splits.at(position)
        assert interval.split == expected
        assert interval.start <= position < interval.end


def test_a_region_without_end_reaches_any_end() -> None:
    splits = split_contig("a", (), (Region("a", 10),))
    assert splits.at(9).split == "train"
    assert splits.at(10**12).split == "excluded"


@pytest.mark.parametrize(("start", "end"), [(5, 5), (5, 4), (-1, 4)])
def test_a_region_without_bases_is_refused(start: int, end: int) -> None:
    with pytest.raises(SpecError, match=f"region c1:{start}-{end} holds no base"):
        Region("c1", start, end)


def test_regions_are_shown_as_coordinates() -> None:
    assert [str(Region("c", 1, 2)), str(Region("c"))] == ["c:1-2", "c:0-end"]
