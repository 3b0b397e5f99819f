"""Pieces: no base lost, none twice, no halo over a border, whatever the block size."""

from __future__ import annotations

import itertools
import re

from genome_samples import random_dna
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.genome.pieces import ContigCutter, CutPiece, CutRule
from gfmp.genome.splits import Region, SplitMap, split_contig

WHOLE = split_contig("c", (), ())
SEQUENCES = st.lists(
    st.one_of(st.text("ACGT", min_size=1, max_size=40), st.integers(1, 15).map(lambda n: "N" * n)),
    max_size=12,
).map("".join)
RULES = st.builds(
    CutRule,
    piece_bp=st.integers(5, 30),
    halo_bp=st.integers(0, 12),
    shortest_bp=st.integers(1, 5),
    split_n_run_bp=st.integers(1, 9),
)
REGIONS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 60)).map(
        lambda r: Region("c", r[0], r[0] + r[1])
    ),
    max_size=2,
)


def cut(
    letters: str, splits: SplitMap, rule: CutRule, block: int = 7
) -> tuple[list[CutPiece], dict[str, int]]:
    cutter = ContigCutter(splits, rule)
    pieces = []
    for i in range(0, len(letters), block):
        pieces += list(cutter.feed(letters[i : i + block].encode()))
    pieces += list(cutter.finish())
    return pieces, cutter.tally.counts


@given(SEQUENCES, RULES, REGIONS, REGIONS, st.integers(1, 50))
@settings(deadline=None, max_examples=150)
def test_cutting_keeps_its_promises(
    letters: str, rule: CutRule, valid: list[Region], exclude: list[Region], block: int
) -> None:
    splits = split_contig("c", valid, exclude)
    pieces, counts = cut(letters, splits, rule, block)
    assert (pieces, counts) == cut(letters, splits, rule, 10_000), "block size changes nothing"
    assert sum(counts.values()) == len(letters)
    gap = re.compile(f"N{{{rule.split_n_run_bp},}}")
    gaps = {i for run in gap.finditer(letters) for i in range(*run.span())}
    covered: set[int] = set()
    for piece in pieces:
        core = range(piece.start, piece.start + piece.bases)
        reach = range(piece.start, piece.start + len(piece.sequence))
        assert piece.sequence.decode() == letters[reach.start : reach.stop]
        assert rule.shortest_bp <= piece.bases <= rule.piece_bp
        assert piece.halo <= rule.halo_bp
        assert {splits.at(i).split for i in reach} == {piece.split}, "no halo over a border"
        assert splits.at(reach.start) == splits.at(reach.stop - 1)
        assert not gaps & set(reach), "no gap in a piece"
        assert not covered & set(core), "no base in two cores"
        covered |= set(core)
    for split in ("train", "valid"):
        assert counts[split] == sum(p.bases for p in pieces if p.split == split)
    assert counts["excluded"] == sum(splits.at(i).split == "excluded" for i in range(len(letters)))
    assert counts["gap"] == sum(splits.at(i).split != "excluded" for i in gaps)


def test_halo_is_as_long_as_the_segment_allows() -> None:
    letters = random_dna(95, 1)
    pieces, counts = cut(letters, WHOLE, CutRule(30, 20, 10, 50))
    assert [(p.start, p.bases, p.halo) for p in pieces] == [(0, 30, 20), (30, 30, 20), (60, 30, 5)]
    assert counts["short"] == 5


def test_windows_over_any_core_start_are_the_contigs_own() -> None:
    letters = random_dna(500, 2)
    pieces, _ = cut(letters, WHOLE, CutRule(60, 25, 1, 50))
    for piece, offset in itertools.product(pieces, range(0, 60, 7)):
        if offset < piece.bases and piece.start + offset + 25 <= len(letters):
            at = piece.start + offset
            assert piece.sequence[offset : offset + 25].decode() == letters[at : at + 25]


def test_short_runs_of_n_stay_and_long_ones_split() -> None:
    rule = CutRule(1_000, 10, 1, 50)
    letters = "A" * 100 + "N" * 49 + "C" * 100 + "N" * 50 + "G" * 100
    pieces, counts = cut(letters, WHOLE, rule, block=60)
    assert [(p.start, p.bases) for p in pieces] == [(0, 249), (299, 100)]
    assert counts["gap"] == 50


def test_a_huge_gap_holds_no_memory() -> None:
    cutter = ContigCutter(WHOLE, CutRule(100, 10, 10, 50))
    for _ in range(1_000):
        assert not list(cutter.feed(b"N" * 100_000))
    list(cutter.feed(b"A" * 20))
    (last,) = cutter.finish()
    assert (last.start, last.bases) == (10**8, 20)
    assert cutter.tally.counts["gap"] == 10**8
