"""What a corpus is made of: frozen sources and settings, and the one way to open a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal

from gfmp.errors import SpecError
from gfmp.genome.alphabet import AlphabetPolicy
from gfmp.genome.blocks import Block
from gfmp.genome.fasta import read_fasta
from gfmp.genome.genbank import read_genbank
from gfmp.genome.haplotypes import substituted
from gfmp.genome.locations import (
    LocalFile,
    Location,
    PackageFile,
    checked_digest,
    describe,
    open_location,
    resolve,
)
from gfmp.genome.parquet import Columns, read_parquet
from gfmp.genome.selection import PinnedFile, Selection
from gfmp.genome.splits import Region
from gfmp.genome.variants import VariantCounts, Variants
from gfmp.storage.hashes import fingerprint

__all__ = [
    "Format",
    "IngestSettings",
    "LocalFile",
    "Location",
    "PackageFile",
    "PinnedFile",
    "Region",
    "Selection",
    "Source",
    "Variants",
    "checked_digest",
    "open_source",
    "source_digest",
]

Format = Literal["fasta", "genbank", "parquet"]

# A row group closes at the first piece beyond 2 MB, so this keeps row groups near 4 MB.
LONGEST_PIECE_BP = 2_000_000


@dataclass(frozen=True)
class Source:
    """One sequence file (or zip member) and how its contigs are used.

    Attributes:
        species: Scientific name.
        assembly: Assembly or strain name; (species, assembly, contig) names a sequence.
        format: `fasta` and `genbank` may be gzipped; `parquet` may be a folder.
        location: Where the file lies.
        strain_group: Genomes of one group must hold out homologous regions together.
        sha256: Digest the file must have; empty when it is not pinned.
        sequence_column: Parquet only: the column with the sequences.
        contig_column: Parquet only: the column with their names; empty numbers the rows.
        valid: Held out to score pretraining; regions on contigs of any file of the assembly.
        exclude: Left out altogether; wins over `valid`.
        selection: The only parts that are taken; None takes the whole source.
        variants: Puts a haplotype in the place of the letters; None leaves them.

    Raises:
        SpecError: a name is empty, a Parquet data set lies in a zip archive, or the format cannot
            give what the selection asks for.
    """

    species: str
    assembly: str
    format: Format
    location: Location
    strain_group: str = ""
    sha256: str = ""
    sequence_column: str = "sequence"
    contig_column: str = ""
    valid: tuple[Region, ...] = ()
    exclude: tuple[Region, ...] = ()
    selection: Selection | None = None
    variants: Variants | None = None

    def __post_init__(self) -> None:
        if not (self.species and self.assembly):
            raise SpecError(
                "a source has no species or no assembly",
                where=self.origin,
                why="species, assembly and contig together name a sequence",
                fix="fill in both",
            )
        if self.format == "parquet" and self.location.member:
            raise SpecError(
                "a Parquet source lies inside a zip archive",
                where=self.origin,
                why="Parquet is read by seeking, which a zip member cannot do",
                fix="unpack the archive and name the file or folder",
            )
        self._check_selection()

    def _check_selection(self) -> None:
        selection = self.selection
        if selection is None:
            return
        is_genbank = self.format == "genbank"
        if selection.kind == "features" and bool(selection.files) == is_genbank:
            raise SpecError(
                f"{self.species} {self.assembly} has "
                + ("annotation beside its features" if is_genbank else "no annotation"),
                where=self.origin,
                why="regions.features reads GFF3 named as annotation, or GenBank's own features",
                fix="remove annotation" if is_genbank else "add annotation: [{path: FILE.gff.gz}]",
            )
        if selection.kind == "soft_masked" and is_genbank:
            raise SpecError(
                f"{self.species} {self.assembly} is GenBank, where every letter is lower case",
                where=self.origin,
                why="regions.soft_masked takes the lower-case letters of FASTA: its repeats",
                fix="name the FASTA files, or give this source regions: {features: [...]}",
            )

    @property
    def origin(self) -> str:
        """The location as a person would look for it, and the variants put into its letters."""
        place = describe(self.location)
        return f"{place} with {self.variants}" if self.variants else place


@dataclass(frozen=True)
class IngestSettings:
    """Everything that decides what a corpus holds.

    Attributes:
        name: Name of the corpus.
        policy: What letters become.
        sources: At least one; their order numbers the shards, not the content.
        piece_bp: Longest core of a piece.
        halo_bp: Bases a piece carries beyond its core, so that windows may cross its end.
        shortest_bp: Pieces with a shorter core are dropped and counted.

    Raises:
        SpecError: the three lengths do not go together.
    """

    name: str
    policy: AlphabetPolicy = field(default_factory=AlphabetPolicy)
    sources: tuple[Source, ...] = ()
    piece_bp: int = 1_000_000
    halo_bp: int = 2300
    shortest_bp: int = 70

    def __post_init__(self) -> None:
        if not 1 <= self.shortest_bp <= self.piece_bp <= LONGEST_PIECE_BP or self.halo_bp < 0:
            raise SpecError(
                f"piece_bp {self.piece_bp}, halo_bp {self.halo_bp}, shortest_bp {self.shortest_bp}",
                why=f"1 <= shortest_bp <= piece_bp <= {LONGEST_PIECE_BP:,} and 0 <= halo_bp",
                fix="leave them out to get 1000000, 2300 and 70",
            )

    @property
    def fingerprint(self) -> str:
        """Sha256 of the settings; a pinned file counts by its digest, wherever it lies."""
        return fingerprint(
            {
                "name": self.name,
                "policy": self.policy.fingerprint,
                "pieces": [self.piece_bp, self.halo_bp, self.shortest_bp],
                "sources": [_identity(source) for source in self.sources],
            }
        )


def _identity(source: Source) -> dict[str, object]:
    identity = asdict(source)
    del identity["location"], identity["selection"], identity["variants"]
    identity["where"] = "" if source.sha256 else describe(source.location)
    # Sources without them keep the fingerprint they had before there were any.
    if source.selection:
        identity["selection"] = source.selection.identity
    if source.variants:
        identity["variants"] = source.variants.identity
    return identity


def source_digest(source: Source) -> str:
    """Return the sha256 of the source's bytes, compared with the pin.

    Raises:
        DataError: the source is pinned and its bytes differ.
    """
    return checked_digest(source.location, source.sha256)


def open_source(source: Source, counts: VariantCounts | None = None) -> Iterator[Block]:
    """Yield the letters of every contig in file order, in blocks of bounded size.

    Args:
        source: What to read.
        counts: Takes the counts of its variants, for a caller who wants them.

    Raises:
        DataError: the file is not what its format says or is damaged, or its variants do not fit.
        MissingInputError: the file does not exist.
    """
    blocks = _letters(source)
    if source.variants:
        blocks = substituted(blocks, source.variants, counts or VariantCounts())
    yield from blocks


def _letters(source: Source) -> Iterator[Block]:
    if source.format == "parquet":
        columns = Columns(source.sequence_column, source.contig_column)
        yield from read_parquet(resolve(source.location), columns)
        return
    read = read_fasta if source.format == "fasta" else read_genbank
    with open_location(source.location) as stream:
        yield from read(stream, describe(source.location))
