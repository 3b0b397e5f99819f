"""Motifs are found as they were planted, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from motif_samples import random_rows, texts

from gfmp.genome.motifs import Motif
from gfmp.inference.motif_search import FoundMotif, find_motifs, folds
from gfmp.inference.motif_words import Side, Split, enriched_words
from gfmp.spec.motifs import SearchLaw

ROW_BP = 100
WORD = "GATTACAGGC"
OTHER = "CCGATATTTG"
# Shares of a soft motif: sure, half sure and open places.
SOFT = np.array(
    [
        [0.9, 0.03, 0.04, 0.03],
        [0.02, 0.94, 0.02, 0.02],
        [0.02, 0.02, 0.94, 0.02],
        [0.25, 0.25, 0.25, 0.25],
        [0.02, 0.02, 0.02, 0.94],
        [0.48, 0.02, 0.48, 0.02],
        [0.02, 0.94, 0.02, 0.02],
        [0.94, 0.02, 0.02, 0.02],
    ]
)


def sure(word: str) -> np.ndarray:
    return np.eye(4)[["ACGT".index(letter) for letter in word]]


def planted(num_rows: int, seed: int, *motifs: tuple[np.ndarray, float, bool]) -> list[bytes]:
    """Return rows into which each motif was put with its chance, on both strands or on one."""
    generator = np.random.default_rng(seed)
    letters = random_rows(num_rows, ROW_BP, seed + 1)
    for shares, chance, both in motifs:
        for row in letters:
            drawn = [int(generator.choice(4, p=place)) for place in shares]
            if both and generator.random() < 0.5:
                drawn = [3 - base for base in drawn][::-1]
            start = int(generator.integers(0, ROW_BP - len(drawn) + 1))
            if generator.random() < chance:
                row[start : start + len(drawn)] = [b"ACGT"[base] for base in drawn]
    return texts(letters)


def search(positives: list[bytes], negatives: list[bytes], law: SearchLaw) -> list[FoundMotif]:
    parts = []
    halves = [folds(len(rows), 0.3, 0) for rows in (positives, negatives)]
    for here, there in zip(*halves, strict=True):
        sides = ([positives[i] for i in here], [negatives[i] for i in there])
        parts.append(Split(*map(Side.of, sides)))
    return list(find_motifs(parts[0], parts[1], law))


@pytest.mark.parametrize("chance", [0.8, 0.3])
def test_a_planted_word_is_found_with_its_width_and_strand(chance: float) -> None:
    positives = planted(400, 1, (sure(WORD), chance, False))
    first, *rest = search(positives, planted(400, 5), SearchLaw())
    assert first.motif.consensus == WORD and first.motif.name == "motif-1"
    assert first.sites.forward.mean() > 0.9
    assert first.tested.positives == pytest.approx(120 * chance, abs=15)
    assert first.tested.negatives <= 2 and first.q < 1e-6
    assert not [one for one in rest if one.q < 1e-3]


def test_on_both_strands_it_is_one_motif() -> None:
    positives = planted(400, 2, (sure(WORD), 0.8, True))
    (first,) = search(positives, planted(400, 6), SearchLaw())
    assert first.motif.consensus in (WORD, "GCCTGTAATC")
    assert 0.5 <= first.sites.forward.mean() < 0.65
    assert first.tested.positives > 80


def test_the_reading_of_most_sites_is_shown() -> None:
    positives = planted(300, 3, (sure("GCCTGTAATC"), 0.8, False))
    (first,) = search(positives, planted(300, 7), SearchLaw())
    assert first.motif.consensus == "GCCTGTAATC" and first.sites.forward.mean() > 0.95


def test_on_one_strand_the_other_is_not_read() -> None:
    positives = planted(300, 4, (sure(WORD), 0.8, True))
    law = SearchLaw(both_strands=False)
    found = search(positives, planted(300, 8), law)
    strong = [one for one in found if one.q < 1e-3]
    assert {one.motif.consensus for one in strong} == {WORD, "GCCTGTAATC"}
    assert all(one.sites.forward.all() for one in found)


def test_a_soft_motif_keeps_its_open_place() -> None:
    positives = planted(600, 9, (SOFT, 0.7, True))
    first = search(positives, planted(600, 10), SearchLaw())[0]
    shares = first.motif.frequencies
    turned = Motif("soft", SOFT).reverse_complement().frequencies
    assert first.motif.width == len(SOFT)
    assert min(np.abs(shares - SOFT).max(), np.abs(shares - turned).max()) < 0.17


def test_two_motifs_are_ranked_by_how_often_they_are() -> None:
    positives = planted(500, 11, (sure(WORD), 0.3, True), (sure(OTHER), 0.7, True))
    found = search(positives, planted(500, 12), SearchLaw())
    readings = [{one.motif.consensus, one.motif.reverse_complement().consensus} for one in found]
    assert OTHER in readings[0] and WORD in readings[1]
    assert [one.motif.name for one in found] == [f"motif-{n}" for n in range(1, len(found) + 1)]
    assert found[0].tested.log10_p < found[1].tested.log10_p


def test_merging_leaves_one_motif_of_words_that_overlap() -> None:
    positives = planted(400, 13, (sure(WORD), 0.8, False))
    (first, *rest) = search(positives, planted(400, 14), SearchLaw())
    assert {"ATTACA", "CCTGTA"} & set(first.words)
    assert len(first.words) >= 5, "the words of the motif are told with it"
    assert not [one for one in rest if set(one.words) & set(first.words)]


def test_nothing_is_found_in_random_rows() -> None:
    assert search(planted(400, 15), planted(400, 16), SearchLaw()) == []


def test_what_negatives_have_as_well_is_no_motif() -> None:
    both = [planted(400, seed, (sure(WORD), 0.8, True)) for seed in (17, 18)]
    assert search(both[0], both[1], SearchLaw()) == []


def test_held_out_rows_are_fair() -> None:
    """On rows without a motif a lenient search finds words by chance; held-out rows do not."""
    law = SearchLaw(fdr=1.0, max_motifs=3)
    found = search(planted(300, 19), planted(300, 20), law)
    assert found, "a lenient search calls anything"
    assert min(one.searched.log10_p for one in found) < -2.5
    assert min(one.tested.log10_p for one in found) > -2.5


def test_words_outside_candidate_regions_begin_no_motif() -> None:
    positives = planted(300, 21, (sure(WORD), 0.9, False))
    nowhere = [np.zeros(ROW_BP, dtype=np.bool_) for _ in positives]
    split = Split(Side.of(positives, nowhere), Side.of(planted(300, 22)))
    assert enriched_words(split, SearchLaw()).codes == ()
    at = [row.find(WORD.encode()) for row in positives]
    there = [np.zeros(ROW_BP, dtype=np.bool_) for _ in positives]
    for flags, start in zip(there, at, strict=True):
        flags[max(start, 0) : max(start, 0) + len(WORD)] = start >= 0
    split = Split(Side.of(positives, there), Side.of(planted(300, 22)))
    (first,) = find_motifs(split, split, SearchLaw())
    assert first.motif.consensus == WORD


def test_folds_divide_rows_by_seed() -> None:
    searched, tested = folds(50, 0.3, 1)
    assert len(tested) == 15 and sorted([*searched, *tested]) == list(range(50))
    assert [one.tolist() for one in folds(50, 0.3, 1)] == [searched.tolist(), tested.tolist()]
    other, _ = folds(50, 0.3, 2)
    assert other.tolist() != searched.tolist()
    same, again = folds(9, 0.0, 1)
    assert same.tolist() == again.tolist() == list(range(9))


def test_searching_twice_gives_the_same() -> None:
    positives, negatives = planted(200, 23, (SOFT, 0.8, True)), planted(200, 24)
    one, other = (search(positives, negatives, SearchLaw()) for _ in range(2))
    assert [m.motif.counts.tolist() for m in one] == [m.motif.counts.tolist() for m in other]
