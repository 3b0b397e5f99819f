"""Words, sites and counts in rows that lie end to end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.genome.motifs import Motif
from gfmp.inference.motif_bases import Bases, Sites, best_sites, counted, reverse_words, spelled

ROWS = st.lists(st.text("ACGTN", min_size=1, max_size=14), min_size=1, max_size=5)
COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")


def joined(rows: list[str]) -> Bases:
    return Bases.of([row.encode() for row in rows])


def motif_of(word: str) -> Motif:
    return Motif(word, np.eye(4)[["ACGT".index(letter) for letter in word]] * 10)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, width=st.integers(1, 5))
def test_words_are_those_of_each_row(rows: list[str], width: int) -> None:
    bases = joined(rows)
    codes, known = bases.words(width)
    found = [
        (int(bases.rows[at]), int(at - bases.offsets[bases.rows[at]]), spelled(codes[at], width))
        for at in np.flatnonzero(known)
    ]
    wanted = [
        (number, at, row[at : at + width])
        for number, row in enumerate(rows)
        for at in range(len(row) - width + 1)
        if "N" not in row[at : at + width]
    ]
    assert found == wanted


@settings(max_examples=30, deadline=None)
@given(word=st.text("ACGT", min_size=1, max_size=9))
def test_the_other_reading_of_a_word(word: str) -> None:
    codes, _ = joined([word]).words(len(word))
    turned = word.encode().translate(COMPLEMENT)[::-1].decode()
    assert spelled(int(reverse_words(codes[:1], len(word))[0]), len(word)) == turned


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 20), width=st.integers(1, 4), both=st.booleans())
def test_the_best_site_of_a_row_is_the_best_of_all_its_windows(
    rows: list[str], seed: int, width: int, both: bool
) -> None:
    bases = joined(rows)
    table = np.random.default_rng(seed).normal(size=(width, 4))
    sites, best = best_sites(bases, table, both, None)
    for number, row in enumerate(rows):
        scores = {}
        for at in range(len(row) - width + 1):
            window = row[at : at + width]
            if "N" in window:
                continue
            codes = ["ACGT".index(letter) for letter in window]
            scores[at, True] = sum(table[i, c] for i, c in enumerate(codes))
            if both:
                scores[at, False] = sum(table[width - 1 - i, 3 - c] for i, c in enumerate(codes))
        if not scores:
            assert best[number] == -np.inf
            continue
        assert best[number] == pytest.approx(max(scores.values()))
        place = (int(sites.starts[number]), bool(sites.forward[number]))
        assert scores[place] == pytest.approx(best[number])


def test_a_site_may_be_forbidden() -> None:
    bases = joined(["ACGTACGT", "ACGTTTTT"])
    log_odds = motif_of("ACGT").log_odds(np.full(4, 0.25))
    allowed = np.arange(16) == 4
    sites, best = best_sites(bases, log_odds, False, allowed)
    assert sites.starts[0] == 4 and best[0] > 0 and best[1] == -np.inf


def test_counts_follow_the_strand_and_stop_at_the_row() -> None:
    bases = joined(["TTACCGGN", "CGGTAATT"])
    sites = Sites(np.array([0, 1]), np.array([2, 1]), np.array([True, False]))
    counts = counted(bases, sites, 4, 2)
    assert counts.shape == (8, 4)
    first, second = "TTACCGGN", "ATTACCG"  # the other strand ends a base earlier
    for place in range(8):
        letters = [
            text[place] for text in (first, second) if place < len(text) and text[place] in "ACGT"
        ]
        assert {"ACGT"[i]: int(n) for i, n in enumerate(counts[place]) if n} == {
            letter: letters.count(letter) for letter in set(letters)
        }


def test_erased_bases_are_in_no_word_and_no_site() -> None:
    bases = joined(["ACGTACGTAC"])
    sites = Sites(np.array([0]), np.array([4]), np.array([True]))
    covered = sites.covered(bases, 4)
    assert np.flatnonzero(covered).tolist() == [4, 5, 6, 7]
    left = bases.without(covered)
    _, known = left.words(4)
    assert np.flatnonzero(known).tolist() == [0]
    assert bases.codes.max() == 3, "the rows themselves stay"


def test_backgrounds() -> None:
    bases = joined(["AAAAAAAAAAAAAAAAAN"])
    one, both = bases.background(False), bases.background(True)
    assert one.sum() == pytest.approx(1.0) and one[0] > 0.8 and one.min() > 0
    assert both[0] == pytest.approx(both[3])
