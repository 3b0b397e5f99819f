"""What a person asks of a task that is cut out of an annotated genome by a rule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gfmp.spec.base import Closed, NotNegativeInt, PositiveInt
from gfmp.spec.corpus import FileSpec, RegionSpec

EvenInt = Annotated[int, Field(ge=2, multiple_of=2)]
Text = Annotated[str, Field(min_length=1)]
FeatureTypes = tuple[Text, ...]


class StretchSpec(RegionSpec):
    """A region whose windows a split must keep together with those of the same `name`.

    Attributes:
        name: What a split calls it.
    """

    name: Text


class GenomeSpec(Closed):
    """One genome assembly: its letters and, where a rule needs them, its features.

    Attributes:
        species: Scientific name.
        assembly: Assembly or strain.
        format: `genbank` files carry letters and features, `fasta` files letters only.
        package: `name==version` of an installed distribution; without it the paths are files on
            disk, absolute or relative to the working folder.
        archive: A zip inside the package; the paths are its members.
        extra: The extra of gfmp that installs the package, told when the package is missing.
        files: Sequence files.
        annotation: GFF3 files with the features of `fasta` files.
        label: The class of this genome's windows (rule `species`).
        stretches: The only parts that windows come from (rule `species`).
    """

    species: Text
    assembly: Text
    format: Literal["fasta", "genbank"]
    package: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+==[^=\s]+)?$")] = ""
    archive: str = ""
    extra: str = "demo"
    files: Annotated[tuple[FileSpec, ...], Field(min_length=1)]
    annotation: tuple[FileSpec, ...] = ()
    label: str = ""
    stretches: tuple[StretchSpec, ...] = ()

    @model_validator(mode="after")
    def _places_go_together(self) -> GenomeSpec:
        if self.archive and not self.package:
            raise ValueError("archive names a zip inside a package, but no package is given")
        if self.annotation and self.format == "genbank":
            raise ValueError("genbank files carry their features; annotation goes with fasta")
        return self


class _Derived(Closed):
    """Rows that are cut out of genomes.

    Attributes:
        genomes: Assemblies that windows come from.
        seed: Another number draws other windows.
    """

    format: Literal["derived"]
    genomes: Annotated[tuple[GenomeSpec, ...], Field(min_length=1)]
    seed: NotNegativeInt = 0


class _Annotated(_Derived):
    @model_validator(mode="after")
    def _has_features(self) -> _Annotated:
        for genome in self.genomes:
            if genome.format == "fasta" and not genome.annotation:
                raise ValueError(f"{genome.species} has no annotation, which this rule reads")
        return self


class CodingVsIntergenic(_Annotated):
    """Windows wholly inside coding exons (class 1) against windows far from genes (class 0).

    Classes are balanced on every contig; windows of a class never overlap. Groups are contigs.

    Attributes:
        window_bp: Length of a window.
        margin_bp: Least distance of an intergenic window from any gene feature.
        leave_out: Feature types that no window of either class may touch: repeats that stand
            nearly unchanged on several chromosomes would leak from training to test.
        seed: Another number draws other windows and other strands.
    """

    rule: Literal["coding_vs_intergenic"]
    window_bp: PositiveInt = 200
    margin_bp: NotNegativeInt = 0
    leave_out: FeatureTypes = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the class indices 0, 1."""
        return ("intergenic", "coding")


class SpliceSites(_Annotated):
    """Windows centred on donors (0), acceptors (1) and decoys (2): GT or AG that are no site.

    Sites are the borders of introns. The middle of a window is the border: a donor's right half
    begins with the intron (GT), an acceptor's left half ends with it (AG). Decoys lie inside
    the same gene, on its strand, half at GT and half at AG. Groups are loci: genes whose windows
    can overlap, joined with their orthologs in the other genomes.

    Attributes:
        window_bp: Length of a window; even.
        introns_of: `exon` takes the introns of transcripts, `CDS` those between coding exons.
        shortest_intron_bp: Shorter gaps are frameshifts that annotators bridged, not introns.
        ortholog_word_bp: Genes of two genomes are orthologs when their exons share words of
            this length ...
        ortholog_words: ... at least this many that occur in one gene of either genome.
        join_neighbours: Genes whose windows can overlap share a group. Where genes stand close
            that chains a whole chromosome into one; a split of one genome by region does without,
            because windows across its borders are dropped in any case.
        seed: Another number draws other decoys.
    """

    rule: Literal["splice_sites"]
    window_bp: EvenInt = 400
    introns_of: Literal["exon", "CDS"] = "exon"
    shortest_intron_bp: PositiveInt = 30
    ortholog_word_bp: Annotated[int, Field(ge=12, le=31)] = 20
    ortholog_words: PositiveInt = 40
    join_neighbours: bool = True

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the class indices 0, 1, 2."""
        return ("donor", "acceptor", "decoy")


class Species(_Derived):
    """Windows of several genomes; the class is the genome's label, in order of appearance.

    Classes are balanced within every stretch name. Groups are stretch names.

    Attributes:
        window_bp: Length of a window.
        seed: Another number draws other windows and other strands.
    """

    rule: Literal["species"]
    window_bp: PositiveInt = 500

    @property
    def class_names(self) -> tuple[str, ...]:
        """Labels of the genomes in order of appearance: names of the class indices."""
        return tuple(dict.fromkeys(genome.label for genome in self.genomes))

    @model_validator(mode="after")
    def _stretches_and_labels(self) -> Species:
        for genome in self.genomes:
            if not (genome.label and genome.stretches):
                raise ValueError(f"{genome.species} {genome.assembly} needs label and stretches")
        return self


class Promoter(_Annotated):
    """Windows around transcription starts of mRNAs (class 1) against windows far from any (0).

    One start per gene, the most upstream one. Groups are gene names; rows of class 0 stand alone.

    Attributes:
        upstream_bp: Bases before the start.
        downstream_bp: Bases from the start on, with it.
        margin_bp: Least distance of a class 0 window from any start.
        seed: Another number draws other class 0 windows and strands.
    """

    rule: Literal["promoter"]
    upstream_bp: NotNegativeInt = 249
    downstream_bp: PositiveInt = 51
    margin_bp: NotNegativeInt = 1000

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the class indices 0, 1."""
        return ("other", "promoter")


DerivedSource = Annotated[
    CodingVsIntergenic | SpliceSites | Species | Promoter, Field(discriminator="rule")
]
AnyDerivedSource = CodingVsIntergenic | SpliceSites | Species | Promoter
