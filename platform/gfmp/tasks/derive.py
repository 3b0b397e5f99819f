"""Labelled rows cut out of annotated genomes: one rule per kind of task, chosen by its name."""

from __future__ import annotations

from collections.abc import Sequence

from gfmp.spec.derive import AnyDerivedSource, CodingVsIntergenic, Promoter, Species, SpliceSites
from gfmp.tasks.derivation.coding import coding_vs_intergenic
from gfmp.tasks.derivation.genomes import Genome, file_digests, load_genomes
from gfmp.tasks.derivation.promoter import promoter
from gfmp.tasks.derivation.species import species
from gfmp.tasks.derivation.splice import splice_sites
from gfmp.tasks.derivation.windows import Window, to_rows
from gfmp.tasks.task import Rows


def derive(source: AnyDerivedSource) -> Rows:
    """Cut the rows of a derived task out of its genomes; the same rows on every machine.

    Returns:
        Rows in the order of genome and coordinate. Targets have shape (N, 1) and hold indices
        into the source's `class_names`; origins are `contig:start-end:strand`, 0-based and
        half-open; groups are what a split must not tear apart (see `spec.derive`).

    Raises:
        MissingInputError: a package or file is not here.
        DataError: a file changed, is damaged, or holds none of what the rule looks for.
    """
    genomes = load_genomes(source)
    return to_rows(_windows(source, genomes), genomes)


def digests(source: AnyDerivedSource) -> tuple[str, ...]:
    """Return the sha256 of every file of the source, in the order of the spec.

    Raises:
        MissingInputError: a package or file is not here.
        DataError: a file differs from its pin.
    """
    return file_digests(source)


def _windows(source: AnyDerivedSource, genomes: Sequence[Genome]) -> list[Window]:
    match source:
        case CodingVsIntergenic():
            return coding_vs_intergenic(source, genomes)
        case SpliceSites():
            return splice_sites(source, genomes)
        case Species():
            return species(source, genomes)
        case Promoter():
            return promoter(source, genomes)
