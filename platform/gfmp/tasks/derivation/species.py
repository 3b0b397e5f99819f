"""Rule `species`: which organism does a window come from."""

from __future__ import annotations

from collections.abc import Sequence

from gfmp.errors import DataError
from gfmp.spec.derive import GenomeSpec, Species, StretchSpec
from gfmp.tasks.derivation.genomes import Genome
from gfmp.tasks.derivation.windows import Window, balanced, hashed_strand, rank, tiles


def species(source: Species, genomes: Sequence[Genome]) -> list[Window]:
    """Return the windows of the rule (see `spec.derive.Species`).

    Raises:
        DataError: a stretch lies on no record, or beyond the end of its record.
    """
    labels = {name: index for index, name in enumerate(source.class_names)}
    found: list[Window] = []
    for number, (spec, genome) in enumerate(zip(source.genomes, genomes, strict=True)):
        for stretch in spec.stretches:
            span = _span(stretch, spec, genome)
            shift = rank(source.seed, stretch.contig, *span)
            found += [
                Window(
                    number,
                    stretch.contig,
                    start,
                    end,
                    hashed_strand(source.seed, stretch.contig, start),
                    labels[spec.label],
                    stretch.name,
                )
                for start, end in tiles(span, source.window_bp, shift)
                if b"N" not in genome.contigs[stretch.contig][start:end]
            ]
    return balanced(found, lambda w: w.group, len(labels), source.seed)


def _span(stretch: StretchSpec, spec: GenomeSpec, genome: Genome) -> tuple[int, int]:
    letters = genome.contigs.get(stretch.contig, b"")
    end = len(letters) if stretch.end is None else stretch.end
    if not stretch.start < end <= len(letters):
        raise DataError(
            f"stretch {stretch.name!r}: {stretch.contig}:{stretch.start}-{end} is not there",
            where=genome.name,
            why=f"{stretch.contig} has {len(letters):,} bases"
            if letters
            else f"records: {', '.join(genome.contigs)}",
            fix=f"correct the stretches of {spec.species} {spec.assembly}",
        )
    return stretch.start, end
