"""Families, small real vocabularies and skewed DNA for the tests of the vocabulary room."""

from __future__ import annotations

import numpy as np
import pytest

from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def families() -> FamilyRegistry:
    return FamilyRegistry.from_packages(("tokenizer_registry",))


@pytest.fixture(scope="session")
def skewed_dna() -> tuple[bytes, ...]:
    rng = np.random.default_rng(7)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    drawn = rng.choice(4, size=(60, 500), p=[0.4, 0.15, 0.1, 0.35])
    return tuple(row.tobytes() for row in letters[drawn])


@pytest.fixture(scope="session")
def built(families: FamilyRegistry, skewed_dna: tuple[bytes, ...]) -> dict[str, Vocabulary]:
    result = {}
    for name in ("kmer6", "kmer3", "kmer3s3", "nucleotide", "bpe64"):
        recipe = next(r for f in families.families.values() if (r := f.recipe(name)))
        result[name] = families.get(recipe.family).build(recipe, skewed_dna)
    return result
