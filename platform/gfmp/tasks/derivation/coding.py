"""Rule `coding_vs_intergenic`: windows inside coding exons against windows far from genes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gfmp.genome.annotation import Span, gaps, merged
from gfmp.spec.derive import CodingVsIntergenic
from gfmp.tasks.derivation.genomes import Genome
from gfmp.tasks.derivation.windows import Window, apart, balanced, hashed_strand, rank, tiles

INTERGENIC, CODING = 0, 1

# Features that make a stretch part of a gene, whatever the file calls them.
_NOT_GENES = ("region", "source", "misc_feature", "rep_origin", "centromere", "telomere")


def coding_vs_intergenic(source: CodingVsIntergenic, genomes: Sequence[Genome]) -> list[Window]:
    """Return the windows of the rule (see `spec.derive.CodingVsIntergenic`)."""
    found: list[Window] = []
    for number, genome in enumerate(genomes):
        for contig in genome.contigs:
            left_out = merged(
                span for f in genome.features_of(contig, source.leave_out) for span in f.parts
            )
            here = (*_coding(source, number, genome, contig), *_far(source, number, genome, contig))
            found += [w for w in here if not _touches((w.start, w.end), left_out)]
    return balanced(found, lambda w: w.contig, len(source.class_names), source.seed)


def _coding(source: CodingVsIntergenic, number: int, genome: Genome, contig: str) -> list[Window]:
    windows = [
        Window(number, contig, start, end, feature.strand, CODING, contig)
        for feature in genome.features_of(contig, ("CDS",))
        if feature.strand != "."
        for part in feature.parts
        for start, end in tiles(part, source.window_bp, rank(source.seed, contig, *part))
    ]
    return apart(windows)


def _far(source: CodingVsIntergenic, number: int, genome: Genome, contig: str) -> Iterator[Window]:
    margin = source.margin_bp
    genes = [
        (feature.start - margin, feature.end + margin)
        for feature in genome.features
        if feature.contig == contig and feature.type not in _NOT_GENES
    ]
    for gap in gaps(genes, len(genome.contigs[contig])):
        for start, end in tiles(gap, source.window_bp, rank(source.seed, contig, *gap)):
            strand = hashed_strand(source.seed, contig, start)
            yield Window(number, contig, start, end, strand, INTERGENIC, contig)


def _touches(window: Span, spans: Sequence[Span]) -> bool:
    return any(start < window[1] and window[0] < end for start, end in spans)
