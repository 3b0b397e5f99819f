"""Sources whose labels are peaks of many experiments in bins of a genome: chromatin profiles."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from gfmp.spec.base import PositiveInt
from gfmp.spec.corpus import FileSpec
from gfmp.spec.task_sources import FileSource, Part
from gfmp.spec.task_target import Column, TargetSpec

# Key of a file whose fourth column names the profile of each peak.
NAMED_IN_FILE = "all"


class ProfilesSource(FileSource):
    """Bins of a genome and which profiles have a peak there (DeepSEA; Zhou and Troyanskaya 2015).

    A contig is cut into bins from its first base. A bin has the label of a profile when peaks of
    that profile cover more than half of it. Bins that no profile fills are left out, as are those
    with N in their window or whose window reaches over the end of a contig. Labels are
    `target.names`, in their order; where it names none, all profiles with `at_least` bins, by name.

    Attributes:
        peaks: Profile -> BED or narrowPeak file, .gz or not. The file `all` names the profile of
            each peak in its fourth column. A profile may have peaks in both.
        reference: FASTA of the genome; contigs go by either naming (chr1 or 1).
        bin_bp: Length of a bin.
        window_bp: Length of a row: the bin, and as much on either side.
        peak_bp: Peaks of one base, such as summits, are widened to this around that base.
        at_least: Fewest bins of a profile that is learned, over all splits; others are told.
    """

    FILES: ClassVar[frozenset[str]] = frozenset({"peaks", "reference"})

    format: Literal["profiles"]
    peaks: Annotated[dict[Column, FileSpec], Field(min_length=1)]
    reference: FileSpec
    bin_bp: PositiveInt = 200
    window_bp: PositiveInt = 1000
    peak_bp: PositiveInt = 1
    at_least: PositiveInt = 1

    @model_validator(mode="after")
    def _bin_in_its_window(self) -> ProfilesSource:
        if self.window_bp < self.bin_bp:
            raise ValueError(f"window_bp {self.window_bp} is shorter than bin_bp {self.bin_bp}")
        return self

    def parts(self) -> tuple[Part, ...]:
        """Return the peaks and the reference."""
        files = tuple(
            (f"peaks {name}", ("source", "peaks", name), file) for name, file in self.peaks.items()
        )
        return (*files, ("reference", ("source", "reference"), self.reference))

    def checked_target(self, target: TargetSpec) -> TargetSpec:
        """Return the target as it is; without names the peaks name the labels."""
        if target.kind != "multilabel" or target.columns or target.groups:
            raise ValueError("profiles give multilabel; names may list those to be learned")
        return target

    def check_split(self, by: str) -> None:
        """Raise a ValueError when the source cannot be split so."""
        if by not in ("contig", "region", "random"):
            raise ValueError("profiles have no split yet: name contigs or regions, or by random")
