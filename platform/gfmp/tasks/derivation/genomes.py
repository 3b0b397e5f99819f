"""The genomes of a derived task: letters and features, read once and checked together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gfmp.errors import DataError, MissingInputError
from gfmp.genome.alphabet import AlphabetPolicy, reverse_complement, translate
from gfmp.genome.annotation import Feature, Strand, with_genes
from gfmp.genome.annotation_genbank import read_genbank_features
from gfmp.genome.annotation_gff import read_gff
from gfmp.genome.locations import LocalFile, Location, PackageFile, describe, digest, open_location
from gfmp.genome.sources import Source, open_source
from gfmp.spec.corpus import FileSpec
from gfmp.spec.derive import AnyDerivedSource, GenomeSpec


@dataclass(frozen=True)
class Genome:
    """One assembly in memory.

    Attributes:
        name: Species and assembly.
        contigs: Upper-case A, C, G, T, N by record name, in file order.
        features: In file order; each names its gene where it has one.
    """

    name: str
    contigs: Mapping[str, bytes]
    features: tuple[Feature, ...]

    def features_of(self, contig: str, types: tuple[str, ...]) -> Iterator[Feature]:
        """Yield the features of these types on one contig."""
        return (f for f in self.features if f.contig == contig and f.type in types)


def cut(letters: bytes, start: int, end: int, strand: Strand) -> bytes:
    """Return the bases start..end (0-based, half-open) of a contig, read along `strand`."""
    window = letters[start:end]
    if strand == "-":
        return reverse_complement(np.frombuffer(window, np.uint8)).tobytes()
    return window


def load_genomes(source: AnyDerivedSource) -> tuple[Genome, ...]:
    """Read every genome of a source and compare each file with its pin.

    Raises:
        MissingInputError: a package or a file is not here; says which extra brings it.
        DataError: a file changed or is damaged, a record name stands in two genomes, or
            letters and features do not belong together.
    """
    genomes = tuple(_load(spec) for spec in source.genomes)
    owners: dict[str, str] = {}
    for genome in genomes:
        for contig in genome.contigs:
            if contig in owners:
                raise DataError(
                    f"two genomes have a record {contig!r}",
                    where=f"{owners[contig]} and {genome.name}",
                    why="an origin contig:start-end must mean one place",
                    fix="list each genome once",
                )
            owners[contig] = genome.name
    return genomes


def file_digests(source: AnyDerivedSource) -> tuple[str, ...]:
    """Return the sha256 of every file in the order of the spec, each compared with its pin."""
    return tuple(
        _checked_digest(spec, file)
        for spec in source.genomes
        for file in (*spec.files, *spec.annotation)
    )


def _load(spec: GenomeSpec) -> Genome:
    name = f"{spec.species} {spec.assembly}"
    contigs: dict[str, bytes] = {}
    for file in spec.files:
        _checked_digest(spec, file)
        contigs |= _letters(spec, file)
    features = tuple(_features(spec))
    strangers = {feature.contig for feature in features} - contigs.keys()
    here = tuple(feature for feature in features if feature.contig not in strangers)
    if features and not here:
        raise DataError(
            f"no feature lies on a record of {name}",
            where=describe(_location(spec, (spec.annotation or spec.files)[0])),
            why=f"records: {', '.join(contigs)}; features: {', '.join(sorted(strangers))[:200]}",
            fix="name sequence and annotation of the same assembly",
        )
    _check_bounds(spec, here, contigs)
    return Genome(name, contigs, here)


def _letters(spec: GenomeSpec, file: FileSpec) -> dict[str, bytes]:
    source = Source(spec.species, spec.assembly, spec.format, _location(spec, file))
    policy = AlphabetPolicy()
    pieces: dict[str, list[bytes]] = {}
    for block in open_source(source):
        translated = translate(block.bases, policy)
        if translated.refused < len(block.bases):
            raise DataError(
                f"letter {block.bases[translated.refused : translated.refused + 1]!r} is not DNA",
                where=block.locate(translated.refused),
                why="a genome holds A, C, G, T, N and the IUPAC letters, which become N",
                fix="name a DNA file",
            )
        pieces.setdefault(block.contig, []).append(translated.bases)
    return {contig: b"".join(blocks) for contig, blocks in pieces.items()}


def _features(spec: GenomeSpec) -> Iterator[Feature]:
    read = read_genbank_features if spec.format == "genbank" else read_gff
    files = spec.files if spec.format == "genbank" else spec.annotation
    for file in files:
        _checked_digest(spec, file)
        location = _location(spec, file)
        with open_location(location) as stream:
            yield from with_genes(tuple(read(stream, describe(location))))


def _check_bounds(
    spec: GenomeSpec, features: tuple[Feature, ...], contigs: Mapping[str, bytes]
) -> None:
    beyond = next((f for f in features if f.end > len(contigs[f.contig])), None)
    if beyond is not None:
        raise DataError(
            f"{beyond.type} of line {beyond.line} ends at {beyond.end:,}",
            where=describe(_location(spec, (spec.annotation or spec.files)[0])),
            why=f"{beyond.contig} has {len(contigs[beyond.contig]):,} bases",
            fix="name sequence and annotation of the same assembly",
        )


def _location(spec: GenomeSpec, file: FileSpec) -> Location:
    if not spec.package:
        return LocalFile(str(Path(file.path).resolve()))
    distribution, version = spec.package.split("==")
    inside, member = (spec.archive, file.path) if spec.archive else (file.path, "")
    return PackageFile(distribution, version, inside, member)


def _checked_digest(spec: GenomeSpec, file: FileSpec) -> str:
    location = _location(spec, file)
    try:
        found = digest(location)
    except MissingInputError as fault:
        raise _with_extra(spec, fault) from fault
    if file.sha256 and found != file.sha256:
        raise DataError(
            f"the file changed: sha256 is {found}",
            where=describe(location),
            why=f"the task spec pins sha256 {file.sha256}",
            fix="restore the pinned file, or pin the new digest if the change is meant",
        )
    return found


def _with_extra(spec: GenomeSpec, fault: MissingInputError) -> MissingInputError:
    """Tell the extra of gfmp that installs the package, where one is missing."""
    problem = fault.problems[0]
    if not spec.package:
        return fault
    return MissingInputError(
        problem.message,
        where=problem.where,
        why=f"the task is derived from files of {spec.species} that this package carries",
        fix=f"pip install 'gfmp[{spec.extra}]'",
    )
