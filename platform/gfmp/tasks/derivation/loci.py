"""Which genes a split must keep together: neighbours whose windows overlap, and orthologs.

Gene names cannot tell orthologs here: FlyBase symbols name the genes of D. melanogaster, NCBI
numbers (LOC...) those of its relatives, and product names differ between the annotations. The
exons themselves can: orthologs share many words that stand in no other gene.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.annotation import Span, Strand
from gfmp.tasks.derivation.genomes import Genome, cut

Words = NDArray[np.uint64]
_NOT_A_BASE = 4


@dataclass(frozen=True)
class Gene:
    """A gene on one strand of one genome.

    Attributes:
        genome: Position of the genome in the source.
        contig: Record name.
        name: Unique on its genome.
        strand: The strand it is read from.
        exons: Union of its exons, ascending, 0-based and half-open.
    """

    genome: int
    contig: str
    name: str
    strand: Strand
    exons: tuple[Span, ...]

    @property
    def span(self) -> Span:
        """First base and one past the last."""
        return self.exons[0][0], self.exons[-1][1]


@dataclass(frozen=True)
class Likeness:
    """When genes belong to one locus.

    Attributes:
        word_bp: Genes of two genomes are orthologs when they share words of this length ...
        num_words: ... at least this many.
        reach_bp: Genes of one genome are neighbours when that many bases around them overlap;
            None when neighbours need not stay together.
    """

    word_bp: int
    num_words: int
    reach_bp: int | None


def loci(genes: Sequence[Gene], genomes: Sequence[Genome], likeness: Likeness) -> tuple[str, ...]:
    """Return the locus of every gene: the name of the first gene that belongs to it.

    Args:
        genes: In a fixed order; the first of a locus names it.
        genomes: What the genes lie on.
        likeness: When genes belong together.
    """
    joined = _Joined(len(genes))
    pairs = _orthologs(genes, genomes, likeness)
    if likeness.reach_bp is not None:
        pairs += _neighbours(genes, likeness.reach_bp)
    for a, b in pairs:
        joined.join(a, b)
    return tuple(genes[joined.first(i)].name for i in range(len(genes)))


class _Joined:
    """Disjoint sets of positions, each named by its smallest member."""

    def __init__(self, number: int) -> None:
        self._first = list(range(number))

    def first(self, member: int) -> int:
        """Return the smallest member of the set of `member`."""
        while self._first[member] != member:
            self._first[member] = member = self._first[self._first[member]]
        return member

    def join(self, a: int, b: int) -> None:
        """Make one set of the sets of `a` and `b`."""
        low, high = sorted((self.first(a), self.first(b)))
        self._first[high] = low


def _neighbours(genes: Sequence[Gene], reach_bp: int) -> list[tuple[int, int]]:
    order = sorted((gene.genome, gene.contig, gene.span, i) for i, gene in enumerate(genes))
    pairs: list[tuple[int, int]] = []
    place, farthest, holder = (-1, ""), 0, 0
    for genome, contig, (start, end), i in order:
        here = (genome, contig)
        if here == place and start - reach_bp < farthest + reach_bp:
            pairs.append((holder, i))
        if here != place or end > farthest:
            place, farthest, holder = here, end, i
    return pairs


def _orthologs(
    genes: Sequence[Gene], genomes: Sequence[Genome], likeness: Likeness
) -> list[tuple[int, int]]:
    owners = [
        _own_words(
            [(i, gene) for i, gene in enumerate(genes) if gene.genome == number],
            genome,
            likeness.word_bp,
        )
        for number, genome in enumerate(genomes)
    ]
    pairs: list[tuple[int, int]] = []
    for (words_a, owner_a), (words_b, owner_b) in itertools.combinations(owners, 2):
        _, at_a, at_b = np.intersect1d(words_a, words_b, assume_unique=True, return_indices=True)
        shared = Counter(zip(owner_a[at_a].tolist(), owner_b[at_b].tolist(), strict=True))
        pairs += [pair for pair, number in shared.items() if number >= likeness.num_words]
    return sorted(pairs)


def _own_words(
    members: Sequence[tuple[int, Gene]], genome: Genome, word_bp: int
) -> tuple[Words, NDArray[np.int64]]:
    """Return the words that stand in one gene only, and the position of that gene."""
    found = [np.unique(_exon_words(gene, genome, word_bp)) for _, gene in members]
    words = np.concatenate([np.zeros(0, np.uint64), *found])
    owners = np.repeat(
        np.array([i for i, _ in members], np.int64), np.array([len(w) for w in found], np.int64)
    )
    unique, first, number = np.unique(words, return_index=True, return_counts=True)
    own = number == 1
    return unique[own], owners[first[own]]


def _exon_words(gene: Gene, genome: Genome, word_bp: int) -> Words:
    letters = genome.contigs[gene.contig]
    exons = [cut(letters, start, end, gene.strand) for start, end in gene.exons]
    return np.concatenate([np.zeros(0, np.uint64), *(packed_words(e, word_bp) for e in exons)])


def packed_words(sequence: bytes, word_bp: int) -> Words:
    """Return every word of `word_bp` without N, two bits a base, in order."""
    bases = _TWO_BITS[np.frombuffer(sequence, np.uint8)]
    number = max(0, len(bases) - word_bp + 1)
    words = np.zeros(number, np.uint64)
    clean = np.ones(number, bool)
    for offset in range(word_bp):
        here = bases[offset : offset + number]
        words = (words << np.uint64(2)) | (here & np.uint64(3))
        clean &= here != _NOT_A_BASE
    return words[clean]


def _two_bits() -> Words:
    table = np.full(256, _NOT_A_BASE, np.uint64)
    table[np.frombuffer(b"ACGT", np.uint8)] = np.arange(4, dtype=np.uint64)
    return table


_TWO_BITS = _two_bits()
