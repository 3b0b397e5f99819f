"""Initial weights: a function of seed, names and words; alike words begin near each other."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional

from gfmp.model.initialise import deviation, spell

WORDS = ["".join(letters) for letters in itertools.product("ACGT", repeat=4)]
TOKENS = ["[PAD]", "[PROMPT:kmer4]", *WORDS, "A", "ACGTACGTAC"]


def spelled(seed: int = 3, width: int = 64) -> torch.Tensor:
    table = torch.randn(len(TOKENS), width, generator=torch.Generator().manual_seed(1))
    table *= deviation(width)
    spell(table, TOKENS, seed)
    return table


def test_specials_stay_and_words_have_the_size_of_a_draw() -> None:
    before = torch.randn(len(TOKENS), 64, generator=torch.Generator().manual_seed(1))
    table = spelled()
    assert torch.equal(table[:2], before[:2] * deviation(64))
    assert table[2:].std().item() == pytest.approx(deviation(64), rel=0.1)


def test_the_seed_decides() -> None:
    assert torch.equal(spelled(3), spelled(3))
    assert not torch.allclose(spelled(3)[2:], spelled(4)[2:])


def test_words_that_share_bases_are_near() -> None:
    rows = dict(zip(TOKENS, spelled(), strict=True))

    def alike(one: str, two: str) -> float:
        return functional.cosine_similarity(rows[one], rows[two], dim=0).item()

    for word in ("ACGT", "GGCA", "TTTT"):
        neighbour = word[:3] + ("A" if word[3] != "A" else "C")
        opposite = word.translate(str.maketrans("ACGT", "CATG"))
        assert alike(word, neighbour) > alike(word, opposite) + 0.2


def test_a_table_without_words_is_left_alone() -> None:
    table = torch.ones(2, 8)
    spell(table, ["[PAD]", "[UNK]"], 0)
    assert torch.equal(table, torch.ones(2, 8))


def test_the_deviation_is_that_of_the_paper_at_its_width() -> None:
    assert deviation(768) == 0.02
    assert deviation(128) == pytest.approx(0.049, abs=1e-3)
