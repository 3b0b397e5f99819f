"""Sources of labelled rows in the formats in which the authors of benchmarks hand them out."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from gfmp.spec.base import Fraction, NotNegativeInt, PositiveInt
from gfmp.spec.corpus import FileSpec
from gfmp.spec.task_sources import FileSource, Part, SplitFiles, check_files
from gfmp.spec.task_target import Column, TargetSpec

_BY_PLACE = ("given", "contig", "region", "random")


def _classes(target: TargetSpec, source: str) -> TargetSpec:
    names = target.names or (("0", "1") if target.kind == "binary" else ())
    if target.kind not in ("binary", "multiclass") or not names:
        raise ValueError(f"{source} have classes: kind binary or multiclass, with their names")
    return target.model_copy(update={"names": names})


class ClassFilesSource(FileSource):
    """A folder of classes, as Genomic Benchmarks hands out (Gresova et al. 2023).

    `train/` and `test/` (and `valid/`) hold either one folder of `.txt` files per class, one
    sequence each, or one `<class>.csv` (.gz) of intervals per class with the columns
    `id,region,start,end,strand`, 0-based and half-open, that are cut out of a reference.

    Attributes:
        path: The folder. Classes are `target.names`, in the order of their numbers.
        references: FASTA of each class; `all`: of every class not named.
    """

    FILES: ClassVar[frozenset[str]] = frozenset({"path", "references"})
    FOLDER: ClassVar[bool] = True

    format: Literal["class_files"]
    path: Annotated[str, Field(min_length=1)]
    references: dict[str, FileSpec] = Field(default_factory=dict)

    def parts(self) -> tuple[Part, ...]:
        """Return the references."""
        return tuple(
            (f"reference {name}", ("source", "references", name), file)
            for name, file in self.references.items()
        )

    def described(self) -> str:
        """Return the folder."""
        return self.path

    def checked_target(self, target: TargetSpec) -> TargetSpec:
        """Return the target with its classes."""
        found = _classes(target, "class_files")
        unknown = sorted(set(self.references) - {"all", *found.names})
        if unknown:
            raise ValueError(f"references name a class that target.names does not: {unknown[0]}")
        return found

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        if by != "given":
            raise ValueError("the folder has train and test: by must be given")


class IntervalsSource(FileSource):
    """Tables of intervals with a header line, cut out of a reference (BEND; Marin et al. 2024).

    Attributes:
        files: Tab-separated text (comma-separated when the name ends in .csv), .gz or not.
        reference: FASTA of the genome.
        start_column: First base, 0-based.
        contig_column: Name of the contig.
        end_column: One past the last base.
        split_column: Holds train, valid (or dev, val) and test, for `split: {by: given}`.
        group_column: What a split must not tear apart, such as a gene.
        strand_column: `-` reads the other strand; empty when every interval is read forward.
        label_list_column: Positions of a row's positive labels, `0,17`; multilabel with `groups`.
        labels: HDF5 file whose record i has the labels of row i; for labels that no table holds.
        labels_array: Name of its data set.
    """

    FILES: ClassVar[frozenset[str]] = frozenset({"files", "reference", "labels"})

    format: Literal["intervals"]
    files: SplitFiles
    reference: FileSpec
    contig_column: Column = "chromosome"
    start_column: Column = "start"
    end_column: Column = "end"
    strand_column: str = ""
    split_column: str = ""
    group_column: str = ""
    label_list_column: str = ""
    labels: FileSpec | None = None
    labels_array: Column = "labels"

    @model_validator(mode="after")
    def _labels_of_one_file(self) -> IntervalsSource:
        if self.labels and (self.files.all is None or self.label_list_column):
            raise ValueError("labels go with one file for all rows and without label_list_column")
        return self

    def parts(self) -> tuple[Part, ...]:
        """Return the tables, the reference and the labels."""
        more = [("reference", ("source", "reference"), self.reference)]
        if self.labels:
            more.append(("labels", ("source", "labels"), self.labels))
        return (*self.files.parts(), *more)

    def checked_target(self, target: TargetSpec) -> TargetSpec:
        """Return the target: by columns, or labels that are listed or counted."""
        if not (self.label_list_column or self.labels):
            return super().checked_target(target)
        if target.kind != "multilabel" or not target.groups:
            raise ValueError("listed labels are multilabel with target.groups, which counts them")
        return target

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        check_files(self.files, by, bool(self.split_column), {"group": self.group_column})


class PeaksSource(FileSource):
    """Peaks of a genome against stretches without one: the sets of Ye et al., A.5.

    Class 1 are the intervals of BED or narrowPeak files. For each of them a stretch of class 0
    is drawn on the same contig, of the same length and with the same G+C content (their shares
    differ by at most `gc_tolerance`), that touches no peak, no `exclude`, no N and no other one.

    Attributes:
        peaks: BED or narrowPeak files, .gz or not; overlapping peaks of several are all kept.
        reference: FASTA of the genome; contigs go by either naming (chr1 or 1).
        exclude: BED of regions from which nothing is taken, such as ENCODE's list.
        window_bp: Length of a row; without it the whole peak.
        centre: What the window is centred on: the `middle`, or the `summit` of narrowPeak.
        shortest_bp: Shorter peaks are left out, counted.
        longest_bp: Longer peaks are left out, counted.
        gc_tolerance: Largest difference of the shares of G and C.
        attempts: Places tried at random for each negative before all are searched; a peak
            without a match is left out, counted.
        seed: Another number draws other negatives.
    """

    FILES: ClassVar[frozenset[str]] = frozenset({"peaks", "reference", "exclude"})

    format: Literal["peaks"]
    peaks: Annotated[tuple[FileSpec, ...], Field(min_length=1)]
    reference: FileSpec
    exclude: tuple[FileSpec, ...] = ()
    window_bp: PositiveInt | None = None
    centre: Literal["middle", "summit"] = "middle"
    shortest_bp: PositiveInt = 1
    longest_bp: PositiveInt = 100_000
    gc_tolerance: Fraction = 0.01
    attempts: PositiveInt = 2000
    seed: NotNegativeInt = 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the class indices 0, 1."""
        return ("background", "peak")

    def parts(self) -> tuple[Part, ...]:
        """Return the peaks, the reference and the excluded regions."""
        files = tuple(
            (name, ("source", name, i), file)
            for name, group in (("peaks", self.peaks), ("exclude", self.exclude))
            for i, file in enumerate(group)
        )
        return (*files, ("reference", ("source", "reference"), self.reference))

    def checked_target(self, target: TargetSpec) -> TargetSpec:
        """Return the target with its two classes."""
        if target.kind != "binary" or target.names not in ((), self.class_names):
            raise ValueError(f"peaks give binary: {', '.join(self.class_names)}")
        return target.model_copy(update={"names": self.class_names})

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        if by not in _BY_PLACE[1:]:
            raise ValueError("peaks have no split yet: name contigs or regions, or by random")


class AlignedFastaSource(FileSource):
    """FASTA files, each with a table whose row i belongs to record i (DeepSTARR).

    Attributes:
        files: FASTA files; a record name may come again.
        tables: Tab-separated text (comma-separated when the name ends in .csv) for each of them.
        contig_column: Chromosome or record, for `split: {by: contig}`.
        group_column: What a split must not tear apart, such as a gene.
        split_column: Holds train, valid (or dev, val) and test, for `split: {by: given}`.
    """

    FILES: ClassVar[frozenset[str]] = frozenset({"files", "tables"})

    format: Literal["aligned_fasta"]
    files: SplitFiles
    tables: SplitFiles
    contig_column: str = ""
    group_column: str = ""
    split_column: str = ""

    @model_validator(mode="after")
    def _same_splits(self) -> AlignedFastaSource:
        if [key for key, _ in self.files.given()] != [key for key, _ in self.tables.given()]:
            raise ValueError("files and tables name the same splits")
        return self

    def parts(self) -> tuple[Part, ...]:
        """Return the FASTA files, then their tables."""
        return (*self.files.parts(), *self.tables.parts("tables", "table "))

    def described(self) -> str:
        """Return the FASTA files in a few words."""
        return ", ".join(file.path for _, _, file in self.files.parts())

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        members = {"contig": self.contig_column, "group": self.group_column}
        check_files(self.files, by, bool(self.split_column), members)


class LabelledFastaSource(FileSource):
    """FASTA whose headers end with the class: `>name|0` (Nucleotide Transformer's tasks).

    Attributes:
        files: FASTA files.
        separator: What stands before the class.
    """

    format: Literal["labelled_fasta"]
    files: SplitFiles
    separator: Column = "|"

    def parts(self) -> tuple[Part, ...]:
        """Return the FASTA files."""
        return self.files.parts()

    def checked_target(self, target: TargetSpec) -> TargetSpec:
        """Return the target with its classes."""
        return _classes(target, "headers")

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        check_files(self.files, by, False, {})


class ArraysSource(FileSource):
    """One-hot sequences and targets as arrays: MATLAB files (DeepSEA) and HDF5 (Xpresso).

    MATLAB 5 is read by scipy; HDF5, which MATLAB 7.3 is as well, by h5py. The axes are told by
    their lengths: four letters, as many targets as the target names, as many rows in both. The
    arrays of MATLAB 7.3 stand there reversed, rows last.

    Attributes:
        files: One for each split, or one for all.
        sequence_array: Name of the one-hot array; `{split}` stands for train, valid or test.
        target_array: Name of the targets, in the same way.
        id_array: Names of the rows, such as genes; empty when there are none.
        channels: Which letter each of the four channels is; all zeros is N.
        crop_start: First base that is read, 0-based.
        crop_end: One past the last; without it to the end.
        forward_half: The second half of the rows are the reverse complements of the first, in
            their order, which is checked, and only the first half is read.
    """

    format: Literal["arrays"]
    files: SplitFiles
    sequence_array: Column
    target_array: Column
    id_array: str = ""
    channels: Annotated[str, Field(pattern=r"^[ACGT]{4}$")] = "ACGT"
    crop_start: NotNegativeInt = 0
    crop_end: PositiveInt | None = None
    forward_half: bool = False

    @model_validator(mode="after")
    def _makes_sense(self) -> ArraysSource:
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("channels name each of A, C, G, T once")
        if self.crop_end is not None and self.crop_end <= self.crop_start:
            raise ValueError("crop_end is not after crop_start")
        return self

    def parts(self) -> tuple[Part, ...]:
        """Return the files."""
        return self.files.parts()

    def checked_target(self, target: TargetSpec) -> TargetSpec:
        """Return the target; its names say how many outputs the arrays have."""
        if target.kind in ("binary", "multiclass"):
            return _classes(target, "arrays of one number")
        if target.by_context is not None:
            raise ValueError("by_context reads the columns of a table, and arrays have none")
        if not target.names:
            raise ValueError(f"{target.kind} lists its names or groups")
        return target

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        check_files(self.files, by, False, {})


class MeasuredVariantsSource(FileSource):
    """Variants whose effect was measured: VCF of saturation mutagenesis, or CAGI5's workbook.

    A row is a window of the reference with the alternate allele in its middle; the value is the
    measured effect. Its group is its element; its origin `element:position:REF>ALT`, 0-based.

    Attributes:
        variants: VCF files by element; or one workbook (.xlsx) for all of them.
        reference: FASTA with the contigs of the variants; every REF is compared.
        value: Key of INFO, or column of the workbook, with the effect.
        sheet: Name of a sheet of the workbook; `{element}` stands for the element.
        skip_rows: Rows of a sheet above its header.
        elements: Those of a workbook; VCF files have theirs as keys, where `all` takes contigs.
        keep_filters: Only records whose FILTER is one of these; without it all are kept.
        window_bp: Window around the alternate's first base, shorter at the ends of a contig;
            without it the whole contig, which suits elements.
    """

    FILES: ClassVar[frozenset[str]] = frozenset({"variants", "reference"})

    format: Literal["measured_variants"]
    variants: Annotated[dict[Column, FileSpec], Field(min_length=1)]
    reference: FileSpec
    value: Column = "EF"
    sheet: Column = "challenge_{element}"
    skip_rows: NotNegativeInt = 6
    elements: tuple[Column, ...] = ()
    keep_filters: tuple[Column, ...] = ()
    window_bp: PositiveInt | None = None

    def parts(self) -> tuple[Part, ...]:
        """Return the files of variants and the reference."""
        files = tuple(
            (f"variants {name}", ("source", "variants", name), file)
            for name, file in self.variants.items()
        )
        return (*files, ("reference", ("source", "reference"), self.reference))

    def checked_target(self, target: TargetSpec) -> TargetSpec:
        """Return the target, one value."""
        if target.kind != "regression" or len(target.names) != 1:
            raise ValueError("a measured effect is a regression of one value: columns: [effect]")
        return target

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        if by not in ("group", "random", "contig"):
            raise ValueError("variants are split by group (their element), contig or random")


class GenesSource(FileSource):
    """Windows around transcription starts with values of their genes (ExPecto's tables).

    Attributes:
        genes: Table with contig, start of transcription and strand of each gene.
        values: Table with their values, row i for gene i; without it the values stand in `genes`.
        reference: FASTA of the genome.
        id_column: Name of the gene.
        contig_column: Name of the contig.
        position_column: Start of transcription.
        strand_column: `+` or `-`.
        upstream_bp: Bases before the start of transcription.
        downstream_bp: Bases from the start of transcription on.
        position_base: 1 when positions count from 1, 0 when from 0.
        keep_contigs: Only genes of these contigs, named as in the table; without it all.
    """

    FILES: ClassVar[frozenset[str]] = frozenset({"genes", "values", "reference"})

    format: Literal["genes"]
    genes: FileSpec
    values: FileSpec | None = None
    reference: FileSpec
    id_column: Column = "id"
    contig_column: Column = "seqnames"
    position_column: Column = "TSS"
    strand_column: Column = "strand"
    position_base: Literal[0, 1] = 1
    upstream_bp: NotNegativeInt
    downstream_bp: PositiveInt
    keep_contigs: tuple[Column, ...] = ()

    def parts(self) -> tuple[Part, ...]:
        """Return the tables and the reference."""
        files: list[Part] = [("genes", ("source", "genes"), self.genes)]
        if self.values:
            files.append(("values", ("source", "values"), self.values))
        return (*files, ("reference", ("source", "reference"), self.reference))

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        if by not in ("contig", "group", "region", "random"):
            raise ValueError("genes have no split yet: name contigs, or by random")
