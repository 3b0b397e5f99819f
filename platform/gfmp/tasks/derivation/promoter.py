"""Rule `promoter`: windows around transcription starts against windows far from any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gfmp.genome.annotation import Feature, gaps
from gfmp.spec.derive import Promoter
from gfmp.tasks.derivation.genomes import Genome
from gfmp.tasks.derivation.windows import Window, balanced, hashed_strand, rank, tiles

OTHER, PROMOTER = 0, 1


def promoter(source: Promoter, genomes: Sequence[Genome]) -> list[Window]:
    """Return the windows of the rule (see `spec.derive.Promoter`)."""
    found: list[Window] = []
    for number, genome in enumerate(genomes):
        for contig, letters in genome.contigs.items():
            mrnas = [f for f in genome.features_of(contig, ("mRNA",)) if f.strand != "."]
            starts = [_start(mrna) for mrna in mrnas]
            around = (_around(source, number, mrna) for mrna in _one_per_gene(mrnas))
            found += [w for w in around if w.start >= 0 and w.end <= len(letters)]
            found += _far(source, number, (contig, len(letters)), starts)
    return balanced(found, lambda w: w.contig, len(source.class_names), source.seed)


def _start(mrna: Feature) -> int:
    """Return the first transcribed base, 0-based."""
    return mrna.start if mrna.strand == "+" else mrna.end - 1


def _one_per_gene(mrnas: Sequence[Feature]) -> Iterator[Feature]:
    by_gene: dict[str, list[Feature]] = {}
    for mrna in mrnas:
        by_gene.setdefault(mrna.gene or mrna.id or f"line {mrna.line}", []).append(mrna)
    for members in by_gene.values():
        yield min(members, key=lambda m: _start(m) if m.strand == "+" else -_start(m))


def _around(source: Promoter, number: int, mrna: Feature) -> Window:
    first = _start(mrna)
    if mrna.strand == "+":
        start, end = first - source.upstream_bp, first + source.downstream_bp
    else:
        start, end = first - source.downstream_bp + 1, first + source.upstream_bp + 1
    return Window(number, mrna.contig, start, end, mrna.strand, PROMOTER, mrna.gene)


def _far(
    source: Promoter, number: int, contig: tuple[str, int], starts: Sequence[int]
) -> Iterator[Window]:
    name, length_bp = contig
    window_bp = source.upstream_bp + source.downstream_bp
    near = [(tss - source.margin_bp, tss + source.margin_bp + 1) for tss in starts]
    for gap in gaps(near, length_bp):
        for start, end in tiles(gap, window_bp, rank(source.seed, name, *gap)):
            strand = hashed_strand(source.seed, name, start)
            yield Window(number, name, start, end, strand, OTHER, "")
