"""The built-in families and skewed DNA."""

from __future__ import annotations

import numpy as np
import pytest

from gfmp.vocabulary.registry import FamilyRegistry


@pytest.fixture(scope="session")
def families() -> FamilyRegistry:
    return FamilyRegistry.from_packages(("tokenizer_registry",))


@pytest.fixture(scope="session")
def skewed_dna() -> tuple[bytes, ...]:
    rng = np.random.default_rng(7)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    drawn = rng.choice(4, size=(60, 1500), p=[0.4, 0.15, 0.1, 0.35])
    return tuple(row.tobytes() for row in letters[drawn])
