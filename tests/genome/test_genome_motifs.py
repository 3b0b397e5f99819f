"""Motifs: shares, information, consensus, strands, likeness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.genome.motifs import Motif, similarity

UNIFORM = np.full(4, 0.25)


def spelled(word: str, sites: float = 20.0) -> Motif:
    return Motif(word, np.eye(4)[["ACGT".index(letter) for letter in word]] * sites)


def drawn(seed: int, width: int) -> Motif:
    generator = np.random.default_rng(seed)
    return Motif(f"m{seed}", generator.dirichlet([0.4] * 4, width) * 50)


def test_a_sure_place_has_two_bits_and_its_letter() -> None:
    motif = spelled("GATTACA")
    assert motif.consensus == "GATTACA" and motif.width == 7 and motif.num_sites == 20
    np.testing.assert_allclose(motif.information, 2.0)
    assert (motif.bits(UNIFORM) < 2.0).all() and (motif.bits(UNIFORM) > 1.5).all()


@pytest.mark.parametrize(
    ("shares", "letter"),
    [
        ([0.7, 0.1, 0.1, 0.1], "A"),
        ([0.4, 0.1, 0.4, 0.1], "R"),
        ([0.1, 0.45, 0.05, 0.4], "Y"),
        ([0.3, 0.3, 0.3, 0.1], "V"),
        ([0.25, 0.25, 0.25, 0.25], "V"),
        ([0.0, 0.0, 0.35, 0.65], "K"),
    ],
)
def test_consensus_is_the_fewest_bases_that_most_sites_have(
    shares: list[float], letter: str
) -> None:
    assert Motif("m", np.array([shares])).consensus == letter


def test_no_sites_say_nothing() -> None:
    motif = Motif("m", np.zeros((2, 4)))
    np.testing.assert_allclose(motif.information, 0.0)
    np.testing.assert_allclose(motif.bits(UNIFORM), 0.0)
    np.testing.assert_allclose(motif.log_odds(UNIFORM), 0.0)


def test_relative_entropy_is_zero_where_a_place_is_the_background() -> None:
    background = np.array([0.4, 0.1, 0.1, 0.4])
    motif = Motif("m", background[None] * 1000)
    assert motif.bits(background)[0] == pytest.approx(0.0, abs=1e-9)
    assert motif.bits(UNIFORM)[0] > 0.2


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), width=st.integers(1, 12))
def test_the_other_strand_twice_is_the_motif(seed: int, width: int) -> None:
    motif = drawn(seed, width)
    other = motif.reverse_complement()
    np.testing.assert_array_equal(other.reverse_complement().counts, motif.counts)
    np.testing.assert_allclose(other.information, motif.information[::-1])


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 99), first=st.integers(0, 4), width=st.integers(6, 9), turned=st.booleans()
)
def test_a_part_of_a_motif_finds_its_place_and_strand(
    seed: int, first: int, width: int, turned: bool
) -> None:
    motif = drawn(seed, 14)
    part = motif.part(first, first + width)
    part = part.reverse_complement() if turned else part
    alike, shift, reverse = similarity(motif, part, 6)
    assert alike == pytest.approx(1.0) and (shift, reverse) == (first, turned)


def test_motifs_of_other_letters_are_not_alike() -> None:
    assert similarity(spelled("GATTACAGGC"), spelled("CCCTTTGAAC"), 6)[0] < 0.7
    assert similarity(spelled("AC"), spelled("ACGGTT"), 6)[0] == pytest.approx(1.0)
