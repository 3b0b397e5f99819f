"""What a person asks of a corpus (specs/corpora/*.yaml) and of a job that only builds one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gfmp.errors import MissingInputError, Problem
from gfmp.genome.alphabet import AlphabetPolicy
from gfmp.genome.sources import IngestSettings, LocalFile, Location, PackageFile, Source
from gfmp.genome.splits import Region
from gfmp.spec.base import Closed, Name, PositiveInt
from gfmp.storage.documents import Document, did_you_mean


class Alphabet(Closed):
    """What happens to letters other than A, C, G, T (see `genome.alphabet.AlphabetPolicy`)."""

    soft_mask: Literal["upper", "keep"] = "upper"
    iupac: Literal["n", "error"] = "n"
    uracil: Literal["error", "t"] = "error"
    split_n_run_bp: PositiveInt = 50


class RegionSpec(Closed):
    """Part of a contig: 0-based, half-open; without `end` it reaches the end of the contig."""

    contig: str
    start: Annotated[int, Field(ge=0)] = 0
    end: PositiveInt | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> RegionSpec:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"the region ends at {self.end}, not after its start {self.start}")
        return self


class FileSpec(Closed):
    """One file of a source; `sha256` pins its content."""

    path: str
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class SourceSpec(Closed):
    """Files of one assembly.

    Attributes:
        package: `name==version` of an installed distribution that carries the files; without
            it the paths are files on disk, relative to the YAML file.
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
    valid: tuple[RegionSpec, ...] = ()
    exclude: tuple[RegionSpec, ...] = ()

    @model_validator(mode="after")
    def _archive_needs_package(self) -> SourceSpec:
        if self.archive and not self.package:
            raise ValueError("archive names a zip inside a package, but no package is given")
        return self


class CorpusSpec(Closed):
    """A corpus: sources, alphabet policy, splits."""

    kind: Literal["corpus"]
    name: Name
    alphabet: Alphabet = Alphabet()
    piece_bp: PositiveInt = 1_000_000
    halo_bp: Annotated[int, Field(ge=0)] = 2300
    shortest_bp: PositiveInt = 70
    sources: Annotated[tuple[SourceSpec, ...], Field(min_length=1)]


class CorpusJobSpec(Closed):
    """A job that builds a corpus and nothing else (jobs/corpus.yaml)."""

    kind: Literal["build_corpus"]
    corpus: str


def ingest_settings(spec: CorpusSpec, document: Document) -> IngestSettings:
    """Turn a corpus spec into the values the genome room works with; paths become absolute.

    Raises:
        MissingInputError: files that are not there, all of them, each with `file:line:col`.
    """
    sources: list[Source] = []
    missing: list[Problem] = []
    for i, source in enumerate(spec.sources):
        for j, file in enumerate(source.files):
            location = _location(source, file, document.path.parent)
            if isinstance(location, LocalFile) and not Path(location.path).exists():
                where = document.where(("sources", i, "files", j, "path"))
                missing.append(_missing(Path(location.path), where))
            sources.append(_source(source, file, location))
    if missing:
        raise MissingInputError.of(missing)
    return IngestSettings(
        name=spec.name,
        policy=AlphabetPolicy(**spec.alphabet.model_dump()),
        sources=tuple(sources),
        piece_bp=spec.piece_bp,
        halo_bp=spec.halo_bp,
        shortest_bp=spec.shortest_bp,
    )


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


def _source(source: SourceSpec, file: FileSpec, location: Location) -> Source:
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
    )


def _region(spec: RegionSpec) -> Region:
    return Region(spec.contig, spec.start, spec.end)
