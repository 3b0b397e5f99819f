"""What is put in the place of a source's letters: the rule, and what became of its records.

`genome.haplotypes` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gfmp.genome.locations import describe
from gfmp.genome.selection import PinnedFile

Unusable = Literal["error", "skip"]
# Everything a record can be; the first two are fine, the others are what `unusable` is about.
KINDS = ("applied", "reference", "filtered", "symbolic", "indels", "unphased", "multi_allelic")


@dataclass(frozen=True)
class Variants:
    """A rule that turns the letters of a source into those of a haplotype.

    Attributes:
        file: The VCF.
        sample: Whose genotypes decide; empty applies every record.
        haplotype: 1 or 2: which allele of a genotype; a haploid one has only one.
        unusable: What happens to a record that is to be applied and cannot be: `error` refuses
            it, `skip` keeps the reference there and counts it.
        contigs: (name in the VCF, name in the sequence) where they differ.
    """

    file: PinnedFile
    sample: str = ""
    haplotype: int = 1
    unusable: Unusable = "error"
    contigs: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> dict[str, object]:
        """Everything that decides which letters change, as JSON values."""
        return {
            "file": self.file.identity,
            "sample": self.sample,
            "haplotype": self.haplotype,
            "unusable": self.unusable,
            "contigs": sorted(self.contigs),
        }

    def __str__(self) -> str:
        who = f" ({self.sample}, haplotype {self.haplotype})" if self.sample else ""
        return describe(self.file.location).rsplit("/", 1)[-1] + who


class VariantCounts:
    """What became of the records of one VCF.

    Attributes:
        by_kind: One count for each of `KINDS`.
        sha256: Digest of the file.
    """

    def __init__(self) -> None:
        self.by_kind = dict.fromkeys(KINDS, 0)
        self.sha256 = ""

    def entry(self, variants: Variants) -> VariantsEntry:
        """Return the counts as they stand in the manifest of a corpus."""
        where = describe(variants.file.location)
        return VariantsEntry(str(variants), where, self.sha256, **self.by_kind)


@dataclass(frozen=True)
class VariantsEntry:
    """What was put into the letters of one source.

    Attributes:
        rule: The haplotype as a person would say it.
        file: The VCF.
        sha256: Its digest.
        applied: Records whose alternate stands in the letters now.
        reference: Records where the haplotype is the reference.
        filtered: Records passed over because they failed a filter; the others below likewise.
        symbolic: Symbols, breakends and overlapping deletions.
        indels: Alternates of another length than the reference.
        unphased: Genotypes that are missing, or do not say which haplotype carries what.
        multi_allelic: Several alternates, and no sample that chooses.
    """

    rule: str
    file: str
    sha256: str
    applied: int
    reference: int
    filtered: int
    symbolic: int
    indels: int
    unphased: int
    multi_allelic: int
