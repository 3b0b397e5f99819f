"""Small sequence texts and sources for the tests of this room."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from gfmp.genome.blocks import Block
from gfmp.genome.contigs import ContigEntry, ContigTable
from gfmp.genome.corpus import Corpus
from gfmp.genome.sources import IngestSettings, LocalFile, Source

WriteFasta = Callable[..., Path]
Build = Callable[[IngestSettings], Corpus]


def random_dna(length: int, seed: int) -> str:
    """Draw `length` letters of ACGT."""
    letters = np.frombuffer(b"ACGT", np.uint8)
    drawn = np.random.default_rng(seed).choice(letters, length)
    return drawn.tobytes().decode()


def fasta_text(records: Sequence[tuple[str, str]], width: int = 60, end: str = "\n") -> bytes:
    """Write records as FASTA with lines of `width`."""
    lines = []
    for name, letters in records:
        lines.append(f">{name}")
        lines += [letters[i : i + width] for i in range(0, len(letters), width)]
    return (end.join(lines) + end).encode()


def genbank_text(name: str, letters: str, length: int | None = None, unit: str = "bp") -> bytes:
    """Write one GenBank record; `length` overrides what the LOCUS line promises."""
    promised = len(letters) if length is None else length
    lines = [
        f"LOCUS       {name}   {promised} {unit}    DNA     linear       18-JAN-2017",
        "DEFINITION  made for a test.",
        f"ACCESSION   {name}",
        f"VERSION     {name}.2",
        "FEATURES             Location/Qualifiers",
        f"     source          1..{len(letters)}",
        '                     /organism="Testus one"',
        "ORIGIN      ",
    ]
    for i in range(0, len(letters), 60):
        words = " ".join(letters[i : i + 60][j : j + 10] for j in range(0, 60, 10)).rstrip()
        lines.append(f"{i + 1:>9} {words.lower()}")
    return ("\n".join([*lines, "//"]) + "\n").encode()


def part_of(staging: Path, source: int = 0) -> list[ContigEntry]:
    """Read what one source wrote about its contigs, before the parts are joined."""
    part = ContigTable(staging / "contigs" / f"{source:04d}.parquet")
    return [entry for _, entry in part.entries()]


def local(path: Path, species: str = "Testus one") -> Source:
    """Name a FASTA file on disk as a source."""
    return Source(species, "t1", "fasta", LocalFile(str(path)))


def contigs(blocks: Iterable[Block]) -> dict[str, str]:
    """Join the letters of each contig."""
    joined: dict[str, str] = {}
    for block in blocks:
        joined[block.contig] = joined.get(block.contig, "") + block.bases.decode()
    return joined


def stream(data: bytes) -> io.BytesIO:
    """Return `data` as a binary stream."""
    return io.BytesIO(data)
