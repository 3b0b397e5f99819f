"""A VCF of random variants of one contig: nine substitutions to one insertion or deletion.

    python tests/benchmarks/random_variants.py CONTIG.fa.gz OUT.vcf.gz [--count 1000000]

Every REF is what the contig has there; insertions and deletions are of one to six bases. The same
contig and count give the same variants.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np

BASES = "ACGT"
SEED = 7


def contig(path: Path) -> tuple[str, str]:
    """Return name and letters, upper case, of the only record of a FASTA file."""
    head, _, body = gzip.decompress(path.read_bytes()).partition(b"\n")
    letters = body.replace(b"\n", b"").upper()
    assert head.startswith(b">") and b">" not in letters, "one record"
    return head[1:].split()[0].decode(), letters.decode()


def variants(letters: str, count: int) -> Iterator[tuple[int, str, str]]:
    """Yield 0-based position, REF and ALT of so many variants, by position."""
    rng = np.random.default_rng(SEED)
    known = np.isin(np.frombuffer(letters.encode(), np.uint8), np.frombuffer(b"ACGT", np.uint8))
    places = np.sort(rng.choice(np.flatnonzero(known), count, replace=False))
    for place, draw in zip(places.tolist(), rng.random(count).tolist(), strict=True):
        yield place, *alleles(letters, place, draw)


def alleles(letters: str, place: int, draw: float) -> tuple[str, str]:
    """Return REF and ALT; `draw`, 0..1, says what is done to the base."""
    base, length = letters[place], 1 + int(draw * 1e7) % 6
    other = BASES[(BASES.index(base) + 1 + int(draw * 1e6) % 3) % 4]
    if draw < 0.9:
        return base, other
    if draw < 0.95:
        return base, base + BASES[int(draw * 1e6) % 4] * length
    gone = letters[place : place + 1 + length]
    return (base, other) if "N" in gone or len(gone) <= length else (gone, base)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fasta", type=Path)
    parser.add_argument("vcf", type=Path)
    parser.add_argument("--count", type=int, default=1_000_000)
    options = parser.parse_args()
    name, letters = contig(options.fasta)
    with gzip.open(options.vcf, "wt", compresslevel=4) as out:
        out.write(f"##fileformat=VCFv4.3\n##contig=<ID={name},length={len(letters)}>\n")
        out.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for place, ref, alt in variants(letters, options.count):
            out.write(f"{name}\t{place + 1}\t.\t{ref}\t{alt}\t.\tPASS\t.\n")


if __name__ == "__main__":
    main()
