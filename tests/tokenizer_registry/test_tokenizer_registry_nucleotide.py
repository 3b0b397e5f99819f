"""Nucleotides: one token a base."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.errors import DataError, VocabularyError
from gfmp.vocabulary.family import Recipe
from tokenizer_registry.nucleotide import FAMILIES

FAMILY = FAMILIES[0]


def test_each_base_is_one_token() -> None:
    recipe = FAMILY.recipe("nucleotide")
    assert recipe is not None
    vocabulary = FAMILY.build(recipe, ())
    encoded = FAMILY.tokenizer(vocabulary).encode([b"ACGTn", b"t"])
    assert encoded.ids.tolist() == [5, 6, 7, 8, 1, 8]
    assert encoded.starts.tolist() == [0, 1, 2, 3, 4, 0]
    assert encoded.ends.tolist() == [1, 2, 3, 4, 5, 1]
    assert FAMILY.tokenizer(vocabulary).decode(encoded.ids) == b"ACGTNT"


def test_other_names_and_files_are_not_its_own() -> None:
    assert FAMILY.recipe("nucleotides") is None
    assert FAMILY.import_file(Path("vocab.txt"), "x") is None


def test_unknown_settings_and_empty_sequences_are_refused() -> None:
    with pytest.raises(VocabularyError, match="'k'"):
        FAMILY.build(Recipe("x", "nucleotide", {"k": 1}), ())
    vocabulary = FAMILY.build(Recipe("x", "nucleotide", {}), ())
    with pytest.raises(DataError, match="0 bases"):
        FAMILY.tokenizer(vocabulary).encode([b"A", b""])
