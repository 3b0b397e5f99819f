"""Features of a genome: where genes, exons and repeats lie, on which strand, under which name."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Strand = Literal["+", "-", "."]
Span = tuple[int, int]


@dataclass(frozen=True)
class Feature:
    """One feature of an annotation, in one or several parts.

    Attributes:
        contig: Record name, as in the sequence file.
        type: Word of the file, such as `gene`, `CDS` or `tRNA`.
        strand: `.` when the file gives none, or parts on both strands (trans-splicing).
        parts: (start, end) of each part, 0-based and half-open, ascending.
        id: Identifier in the file; empty when it has none.
        parents: Identifiers of the features this one belongs to.
        gene: Name of the gene; empty when the feature belongs to none.
        name: What it is called or makes; may be empty.
        line: 1-based line of the file.
    """

    contig: str
    type: str
    strand: Strand
    parts: tuple[Span, ...]
    id: str = ""
    parents: tuple[str, ...] = ()
    gene: str = ""
    name: str = ""
    line: int = 0

    @property
    def start(self) -> int:
        """First base, 0-based."""
        return self.parts[0][0]

    @property
    def end(self) -> int:
        """One past the last base."""
        return max(end for _, end in self.parts)

    @property
    def introns(self) -> tuple[Span, ...]:
        """The gaps between neighbouring parts, ascending; parts that touch leave none."""
        return tuple((a[1], b[0]) for a, b in itertools.pairwise(self.parts) if a[1] < b[0])


def with_genes(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Name the gene of every feature that only its parents tell; order is kept.

    The topmost parent names the gene, by its gene name, its name or its identifier.
    """
    known = {feature.id: feature for feature in features if feature.id}
    return tuple(f if f.gene else replace(f, gene=_top_gene(f, known)) for f in features)


def _top_gene(feature: Feature, known: dict[str, Feature]) -> str:
    visited: set[str] = set()
    top = feature
    while not top.gene and top.parents and top.parents[0] in known:
        if top.id in visited:
            break
        visited.add(top.id)
        top = known[top.parents[0]]
    if top.gene or (top is feature and feature.type != "gene"):
        return top.gene
    return top.name or top.id


def spliced(features: Iterable[Feature], feature_type: str) -> tuple[Feature, ...]:
    """Return the features of one type with their parts joined, in order of first appearance.

    Lines with one ID are one feature (GFF3); exons are joined by their parent, the transcript.
    An exon of several transcripts is part of each. Parts on both strands give strand `.`.
    """
    members: dict[tuple[str, str], list[Feature]] = defaultdict(list)
    for number, feature in enumerate(features):
        if feature.type == feature_type:
            for key in _keys(feature, number):
                members[feature.contig, key].append(feature)
    return tuple(_joined(group) for group in members.values())


def _keys(feature: Feature, number: int) -> tuple[str, ...]:
    if feature.type == "exon" and feature.parents:
        return feature.parents
    return (feature.id or "+".join(feature.parents) or f"{number}",)


def _joined(features: Sequence[Feature]) -> Feature:
    first = features[0]
    strands = {feature.strand for feature in features}
    parts = tuple(sorted({part for feature in features for part in feature.parts}))
    return replace(first, parts=parts, strand=first.strand if len(strands) == 1 else ".")


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the union of spans as ascending spans that neither overlap nor touch."""
    union: list[Span] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return tuple(union)


def gaps(spans: Iterable[Span], length_bp: int) -> tuple[Span, ...]:
    """Return what `spans` leave free of a contig of `length_bp`, ascending."""
    covered = merged(spans)
    starts = [0, *(end for _, end in covered)]
    ends = [*(start for start, _ in covered), length_bp]
    pairs = zip(starts, ends, strict=True)
    inside = ((max(a, 0), min(b, length_bp)) for a, b in pairs)
    return tuple((a, b) for a, b in inside if a < b)
