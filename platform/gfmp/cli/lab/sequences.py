"""A genome as `gfmp init` sees it: contigs, letters, and which part is held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import DataError, MissingInputError
from gfmp.genome.alphabet import AlphabetCounts, AlphabetPolicy, translate
from gfmp.genome.blocks import Block
from gfmp.genome.fasta import read_fasta
from gfmp.storage.documents import did_you_mean

# Share of the letters that score pretraining, and how far from it one whole contig may be.
_HELD_OUT = 0.08
_FEWEST, _MOST = 0.03, 0.2
_LEAST_BP = 20_000
# All letters that a genome or a transcriptome may hold; the corpus gets the policy that fits.
_ANYTHING = AlphabetPolicy(uracil="t")


@dataclass(frozen=True)
class HeldOut:
    """The part that scores pretraining: a whole contig, or its end from `start` on (0-based)."""

    contig: str
    start: int
    bases: int


@dataclass(frozen=True)
class Genome:
    """What is in the FASTA files.

    Attributes:
        paths: The files, absolute.
        contigs: Name and length of each record, bases.
        counts: Letters by class.
    """

    paths: tuple[Path, ...]
    contigs: tuple[tuple[str, int], ...]
    counts: AlphabetCounts

    @property
    def bases(self) -> int:
        """Letters of all contigs."""
        return sum(length for _, length in self.contigs)


def existing(path: Path, noun: str) -> Path:
    """Return the absolute path of a file that is there.

    Raises:
        MissingInputError: it is not; says what is near.
    """
    if path.is_file():
        return path.resolve()
    near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    raise MissingInputError(
        f"there is no file {path}",
        where=noun,
        why="the path is read relative to the current folder",
        fix=did_you_mean(path.name, near) or "check the path",
    )


def look_at(paths: Sequence[Path]) -> Genome:
    """Read FASTA files once, in bounded memory.

    Raises:
        MissingInputError: a file is not there.
        DataError: a file is not FASTA of nucleotides, or they hold too little to learn from.
    """
    found = tuple(existing(path, "--fasta") for path in paths)
    lengths: dict[str, int] = {}
    counts = AlphabetCounts()
    for block in (block for path in found for block in _blocks(path)):
        read = translate(block.bases, _ANYTHING)
        if read.refused < len(block.bases):
            raise _no_nucleotide(block.bases[read.refused], block.locate(read.refused))
        lengths[block.contig] = lengths.get(block.contig, 0) + len(block.bases)
        counts += read.counts
    genome = Genome(found, tuple(lengths.items()), counts)
    if genome.bases < _LEAST_BP:
        raise DataError(
            f"{genome.bases:,} bases are too few to pretrain on",
            where=", ".join(map(str, found)),
            why=f"a vocabulary is learnt from them, and a part is held out: {_LEAST_BP:,} at least",
            fix="give the genome the labelled sequences come from, or a related one",
        )
    return genome


def _blocks(path: Path) -> Iterator[Block]:
    with path.open("rb") as stream:
        yield from read_fasta(stream, str(path))


def hold_out(contigs: Sequence[tuple[str, int]]) -> HeldOut:
    """Choose what scores pretraining.

    The whole contig whose share is nearest to 8 %, where one has 3 to 20 %; else the last tenth
    of the longest contig.
    """
    total = sum(length for _, length in contigs)
    fitting = [(n, b) for n, b in contigs if _FEWEST <= b / total <= _MOST and b >= _LEAST_BP]
    if fitting and len(contigs) > 1:
        name, bases = min(fitting, key=lambda contig: abs(contig[1] / total - _HELD_OUT))
        return HeldOut(name, 0, bases)
    name, length = max(contigs, key=lambda contig: contig[1])
    start = length - length // 10
    return HeldOut(name, start, length - start)


def _no_nucleotide(letter: int, where: str) -> DataError:
    return DataError(
        f"{chr(letter)!r} is no nucleotide",
        where=where,
        why="a corpus is DNA: A C G T, N and the other IUPAC letters, U in RNA",
        fix="give the genome's FASTA, not proteins or an alignment with gaps",
    )
