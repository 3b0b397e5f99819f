"""What a person asks of a corpus (specs/corpora/*.yaml) and of a job that only builds one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gfmp.errors import MissingInputError, Problem, SpecError
from gfmp.genome.alphabet import AlphabetPolicy
from gfmp.genome.locations import digest
from gfmp.genome.sources import (
    IngestSettings,
    LocalFile,
    Location,
    PackageFile,
    PinnedFile,
    Selection,
    Source,
    Variants,
)
from gfmp.genome.splits import Region
from gfmp.spec.base import Closed, Name, NotNegativeInt, PositiveInt
from gfmp.spec.haplotypes import VariantsSpec
from gfmp.storage.documents import Document, Key, did_you_mean


class Alphabet(Closed):
    """What happens to letters other than A, C, G, T (see `genome.alphabet.AlphabetPolicy`).

    Attributes:
        soft_mask: Lower-case letters: `upper` makes them upper case, `keep` leaves them; either
            counts them.
        iupac: R Y S W K M B D H V: `n` turns them into N, counted; `error` refuses the file.
        uracil: U in a genome: `error` says that the file is RNA, `t` reads it as T.
        split_n_run_bp: So many N in a row end a piece and are left out; shorter runs stay.
    """

    soft_mask: Literal["upper", "keep"] = "upper"
    iupac: Literal["n", "error"] = "n"
    uracil: Literal["error", "t"] = "error"
    split_n_run_bp: PositiveInt = 50


class RegionSpec(Closed):
    """Part of a contig: 0-based, half-open; without `end` it reaches the end of the contig.

    Attributes:
        contig: Name of the record, its first word in the file.
        start: First base, 0-based.
        end: One past the last base; without it the end of the contig.
    """

    contig: str
    start: NotNegativeInt = 0
    end: PositiveInt | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> RegionSpec:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"the region ends at {self.end}, not after its start {self.start}")
        return self


class FileSpec(Closed):
    """One file of a source; `sha256` pins its content.

    Attributes:
        path: The file (.gz too), relative to the folder of the YAML file, or in its package.
        sha256: Digest the file must have; without it any content is taken.
    """

    path: str
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class RegionsSpec(Closed):
    """The only parts of a source that a corpus takes; exactly one of the first three is given.

    Attributes:
        features: Types of the annotation that comes with the source, such as CDS.
        bed: Intervals of a BED file (.gz too), relative to the YAML file; for all sources whose
            contigs it names.
        soft_masked: True takes the lower-case letters of FASTA, its repeats.
        sha256: Pins the content of `bed`.
        complement: True takes everything else instead.
        flank_bp: Bases added on both sides of every interval.
        min_bp: Shorter intervals are not taken.
    """

    features: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    bed: str = ""
    soft_masked: bool = False
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    complement: bool = False
    flank_bp: NotNegativeInt = 0
    min_bp: PositiveInt = 1

    @model_validator(mode="after")
    def _one_kind(self) -> RegionsSpec:
        if sum(map(bool, (self.features, self.bed, self.soft_masked))) != 1:
            raise ValueError("regions take exactly one of features, bed and soft_masked")
        if self.sha256 and not self.bed:
            raise ValueError("sha256 pins the file of bed, but none is given")
        return self


class SourceSpec(Closed):
    """Files of one assembly.

    Attributes:
        species: Scientific name.
        assembly: Assembly or strain.
        strain_group: Genomes so alike that what is held out of one is held out of all of them
            share this name.
        files: Sequence files of `format`.
        sequence_column: Column with the letters (`parquet` only).
        contig_column: Column with the contig's name (`parquet` only); without it rows are
            numbered.
        valid: Regions that score pretraining and never train.
        exclude: Regions left out altogether, such as those a task tests on; they win over `valid`.
        annotation: GFF3 files with the features of `fasta` and `parquet` files, found as they
            are; read only where `regions` asks for features.
        regions: Restricts this source; without it the corpus' own `regions` hold.
        package: `name==version` of an installed distribution that carries the files; without
            it the paths are files on disk, relative to the YAML file.
        variants: Makes haplotypes of the assembly; the source then has one file.
        archive: A zip inside the package; the paths are its members.
    """

    species: Annotated[str, Field(min_length=1)]
    assembly: Annotated[str, Field(min_length=1)]
    strain_group: str = ""
    format: Literal["fasta", "genbank", "parquet"]
    package: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+==[^=\s]+)?$")] = ""
    archive: str = ""
    files: Annotated[tuple[FileSpec, ...], Field(min_length=1)]
    sequence_column: str = "sequence"
    contig_column: str = ""
    annotation: tuple[FileSpec, ...] = ()
    regions: RegionsSpec | None = None
    variants: VariantsSpec | None = None
    valid: tuple[RegionSpec, ...] = ()
    exclude: tuple[RegionSpec, ...] = ()

    @model_validator(mode="after")
    def _archive_needs_package(self) -> SourceSpec:
        if self.archive and not self.package:
            raise ValueError("archive names a zip inside a package, but no package is given")
        return self

    @model_validator(mode="after")
    def _variants_of_one_file(self) -> SourceSpec:
        if self.variants and len(self.files) != 1:
            raise ValueError(
                f"variants go with one sequence file, and there are {len(self.files)}: give each "
                "file a source of its own, with the VCF of its contigs"
            )
        return self


class CorpusSpec(Closed):
    """A corpus: sources, alphabet policy, splits, and the regions it is restricted to, if any.

    Attributes:
        name: What the workspace calls it.
        alphabet: What happens to letters other than A, C, G, T.
        piece_bp: Bases of the pieces in which contigs travel.
        halo_bp: Bases that a piece has of its right neighbour; the longest window fits in.
        shortest_bp: Shorter pieces are left out, counted.
        regions: The only parts of its sources that are taken.
        sources: Genomes it is made of.
    """

    kind: Literal["corpus"]
    name: Name
    alphabet: Alphabet = Alphabet()
    piece_bp: PositiveInt = 1_000_000
    halo_bp: NotNegativeInt = 2300
    shortest_bp: PositiveInt = 70
    regions: RegionsSpec | None = None
    sources: Annotated[tuple[SourceSpec, ...], Field(min_length=1)]


class CorpusJobSpec(Closed):
    """A job that builds a corpus and nothing else (jobs/corpus.yaml).

    Attributes:
        corpus: Name of a file in specs/corpora/ or a path to one.
        cluster: Name of a file in specs/clusters/, or a path to one; empty runs here, or where
            RAY_ADDRESS says.
    """

    kind: Literal["build_corpus"]
    corpus: str
    cluster: str = ""


def ingest_settings(spec: CorpusSpec, document: Document) -> IngestSettings:
    """Turn a corpus spec into the values the genome room works with; paths become absolute.

    Raises:
        MissingInputError: files that are not there, all of them, each with `file:line:col`.
        SpecError: a source cannot give what its regions ask for.
    """
    places = list(_places(spec, document))
    missing = [_missing(path, where) for path, where in places if not path.exists()]
    if missing:
        raise MissingInputError.of(missing)
    sources = [_sources(spec, i, document) for i in range(len(spec.sources))]
    return IngestSettings(
        name=spec.name,
        policy=AlphabetPolicy(**spec.alphabet.model_dump()),
        sources=tuple(source for group in sources for source in group),
        piece_bp=spec.piece_bp,
        halo_bp=spec.halo_bp,
        shortest_bp=spec.shortest_bp,
    )


def _places(spec: CorpusSpec, document: Document) -> Iterator[tuple[Path, str]]:
    """Yield every file on disk that the spec names, with the place where it does."""
    yield from _bed_place((), spec.regions, document)
    for i, source in enumerate(spec.sources):
        yield from _bed_place(("sources", i), source.regions, document)
        named = [(("files", j), file) for j, file in enumerate(source.files)]
        named += [(("annotation", j), file) for j, file in enumerate(source.annotation)]
        if source.variants:
            path = (document.path.parent / source.variants.path).resolve()
            yield path, document.where(("sources", i, "variants", "path"))
        for key, file in named:
            location = _location(source, file, document.path.parent)
            if isinstance(location, LocalFile):
                yield Path(location.path), document.where(("sources", i, *key, "path"))


def _bed_place(
    key: Key, regions: RegionsSpec | None, document: Document
) -> Iterator[tuple[Path, str]]:
    if regions and regions.bed:
        path = (document.path.parent / regions.bed).resolve()
        yield path, document.where((*key, "regions", "bed"))


def _sources(spec: CorpusSpec, index: int, document: Document) -> list[Source]:
    """Turn one entry of `sources` into one source per file, or per haplotype of its file."""
    source = spec.sources[index]
    folder = document.path.parent
    selection = _selection(source, source.regions or spec.regions, folder)
    haplotypes = _haplotypes(source, folder)
    try:
        return [
            _source(each, file, _location(source, file, folder), selection, variants)
            for each, variants in haplotypes
            for file in source.files
        ]
    except SpecError as fault:
        where = document.where(("sources", index))
        raise SpecError.of([replace(p, where=where) for p in fault.problems]) from fault


def _selection(source: SourceSpec, regions: RegionsSpec | None, folder: Path) -> Selection | None:
    if regions is None:
        return None
    kind: Literal["features", "bed", "soft_masked"] = "soft_masked"
    files: tuple[PinnedFile, ...] = ()
    if regions.features:
        kind = "features"
        files = tuple(_pinned(_location(source, f, folder), f.sha256) for f in source.annotation)
    elif regions.bed:
        kind = "bed"
        files = (_pinned(LocalFile(str((folder / regions.bed).resolve())), regions.sha256),)
    return Selection(
        kind, regions.features, files, regions.complement, regions.flank_bp, regions.min_bp
    )


def _haplotypes(source: SourceSpec, folder: Path) -> list[tuple[SourceSpec, Variants | None]]:
    """Return the source with its rule, once for every haplotype of every sample."""
    spec = source.variants
    if spec is None:
        return [(source, None)]
    file = _pinned(LocalFile(str((folder / spec.path).resolve())), spec.sha256)
    rule = Variants(
        file=file,
        sample=spec.sample,
        haplotype=spec.haplotype,
        unusable=spec.unusable,
        contigs=tuple(spec.contigs.items()),
        indels=spec.indels,
        overlaps=spec.overlaps,
        unphased=spec.unphased,
        seed=spec.seed,
    )
    if not spec.samples:
        return [(source, rule)]
    return [
        (
            source.model_copy(update={"assembly": f"{source.assembly}-{sample}-{haplotype}"}),
            replace(rule, sample=sample, haplotype=haplotype),
        )
        for sample in spec.samples
        for haplotype in spec.haplotypes
    ]


def _pinned(location: Location, sha256: str) -> PinnedFile:
    """Pin a file on disk by what it holds now: another content is another corpus."""
    if isinstance(location, LocalFile) and not sha256:
        return PinnedFile(location, digest(location))
    return PinnedFile(location, sha256)


def _location(source: SourceSpec, file: FileSpec, folder: Path) -> Location:
    if not source.package:
        return LocalFile(str((folder / file.path).resolve()))
    distribution, version = source.package.split("==")
    inside, member = (source.archive, file.path) if source.archive else (file.path, "")
    return PackageFile(distribution, version, inside, member)


def _missing(path: Path, where: str) -> Problem:
    near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return Problem(
        f"there is no file {path}",
        where,
        "paths are relative to the folder of the YAML file",
        did_you_mean(path.name, near) or "correct the path",
    )


def _source(
    source: SourceSpec,
    file: FileSpec,
    location: Location,
    selection: Selection | None,
    variants: Variants | None,
) -> Source:
    return Source(
        species=source.species,
        assembly=source.assembly,
        strain_group=source.strain_group,
        format=source.format,
        location=location,
        sha256=file.sha256,
        sequence_column=source.sequence_column,
        contig_column=source.contig_column,
        valid=tuple(_region(region) for region in source.valid),
        exclude=tuple(_region(region) for region in source.exclude),
        selection=selection,
        variants=variants,
    )


def _region(spec: RegionSpec) -> Region:
    return Region(spec.contig, spec.start, spec.end)
