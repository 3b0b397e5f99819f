"""Rule `splice_sites`: donors, acceptors, and decoys that only look like them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from gfmp.genome.annotation import Feature, Span, Strand, merged, spliced
from gfmp.spec.derive import SpliceSites
from gfmp.tasks.derivation.genomes import Genome, cut
from gfmp.tasks.derivation.loci import Gene, Likeness, loci
from gfmp.tasks.derivation.windows import Window, rank

DONOR, ACCEPTOR, DECOY = 0, 1, 2
_DINUCLEOTIDES = {DONOR: re.compile(b"(?=GT)"), ACCEPTOR: re.compile(b"(?=AG)")}


@dataclass(frozen=True)
class Site:
    """A border of an intron: a place between two bases.

    Attributes:
        contig: Record name.
        strand: Strand of the gene.
        border: Number of bases to its left on the forward strand.
        kind: DONOR or ACCEPTOR.
    """

    contig: str
    strand: Strand
    border: int
    kind: int


def splice_sites(source: SpliceSites, genomes: Sequence[Genome]) -> list[Window]:
    """Return the windows of the rule (see `spec.derive.SpliceSites`)."""
    genes = [gene for n, genome in enumerate(genomes) for gene in _genes(n, genome, source)]
    reach_bp = source.window_bp // 2 if source.join_neighbours else None
    likeness = Likeness(source.ortholog_word_bp, source.ortholog_words, reach_bp)
    groups = loci(genes, genomes, likeness)
    windows: list[Window] = []
    for number, genome in enumerate(genomes):
        here = [(g, group) for g, group in zip(genes, groups, strict=True) if g.genome == number]
        windows += _windows(source, genome, here)
    return windows


def _genes(number: int, genome: Genome, source: SpliceSites) -> Iterator[Gene]:
    """Yield the genes of a genome in order of first appearance, with exons of every transcript."""
    parts: dict[tuple[str, str, Strand], list[Span]] = defaultdict(list)
    for feature in spliced(genome.features, source.introns_of):
        if feature.gene and feature.strand != ".":
            parts[feature.contig, feature.gene, feature.strand] += feature.parts
    for (contig, name, strand), spans in parts.items():
        yield Gene(number, contig, name, strand, merged(spans))


def _windows(
    source: SpliceSites, genome: Genome, genes: Sequence[tuple[Gene, str]]
) -> Iterator[Window]:
    by_gene = _sites(genome, source, source.introns_of)
    avoided = {s for sites in _sites(genome, source, "CDS").values() for s in sites}
    avoided.update(s for sites in _sites(genome, source, "exon").values() for s in sites)
    placed: set[Site] = set()
    for gene, group in genes:
        sites = [s for s in by_gene.get((gene.contig, gene.name), {}) if s not in placed]
        decoys = _decoys(source, genome, gene, _Wanted((len(sites) + 1) // 2, avoided))
        placed.update(sites)
        avoided.update(decoys)
        for site, label in (*((s, s.kind) for s in sites), *((s, DECOY) for s in decoys)):
            half = source.window_bp // 2
            start, end = site.border - half, site.border + half
            if start >= 0 and end <= len(genome.contigs[site.contig]):
                yield Window(gene.genome, site.contig, start, end, site.strand, label, group)


def _sites(
    genome: Genome, source: SpliceSites, feature_type: str
) -> dict[tuple[str, str], dict[Site, None]]:
    """Return the sites of every (contig, gene), each once, in order of appearance."""
    found: dict[tuple[str, str], dict[Site, None]] = defaultdict(dict)
    for feature in spliced(genome.features, feature_type):
        if not feature.gene or feature.strand == ".":
            continue
        if sites := _borders(feature, source.shortest_intron_bp):
            found[feature.contig, feature.gene].update(dict.fromkeys(sites))
    return found


def _borders(feature: Feature, shortest_intron_bp: int) -> list[Site]:
    """Return both ends of every intron that is long enough to be one."""
    kinds = (DONOR, ACCEPTOR) if feature.strand == "+" else (ACCEPTOR, DONOR)
    return [
        Site(feature.contig, feature.strand, border, kind)
        for intron in feature.introns
        if intron[1] - intron[0] >= shortest_intron_bp
        for border, kind in zip(intron, kinds, strict=True)
    ]


@dataclass(frozen=True)
class _Wanted:
    number: int
    avoided: Set[Site]


def _decoys(source: SpliceSites, genome: Genome, gene: Gene, wanted: _Wanted) -> list[Site]:
    """Choose look-alikes inside a gene, half GT and half AG, by their keyed hash."""
    chosen: list[Site] = []
    halves = {DONOR: (wanted.number + 1) // 2, ACCEPTOR: wanted.number // 2}
    for kind, number in halves.items():
        if number:
            found = [s for s in _look_alikes(genome, gene, kind) if s not in wanted.avoided]
            found.sort(key=lambda s: rank(source.seed, s.contig, s.border, s.strand, s.kind))
            chosen += found[:number]
    return chosen


def _look_alikes(genome: Genome, gene: Gene, kind: int) -> Iterator[Site]:
    start, end = gene.span
    letters = cut(genome.contigs[gene.contig], start, end, gene.strand)
    shift = 0 if kind == DONOR else 2
    for match in _DINUCLEOTIDES[kind].finditer(letters):
        along = match.start() + shift
        border = start + along if gene.strand == "+" else end - along
        yield Site(gene.contig, gene.strand, border, kind)
