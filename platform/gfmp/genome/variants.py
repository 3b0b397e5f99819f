"""What is put in the place of a source's letters: the rule, and what became of its records.

`genome.haplotypes` does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gfmp.genome.frozen_json import OPTIONAL
from gfmp.genome.locations import describe
from gfmp.genome.selection import PinnedFile

Unusable = Literal["error", "skip"]
Indels = Literal["refuse", "apply"]
Overlaps = Literal["error", "first"]
Unphased = Literal["refuse", "draw"]
# Everything a record can be, once; the first two are fine, `overlaps` is about the overlapping, a
# spanned one changes nothing, and the others are what `unusable` is about.
KINDS = (
    *("applied", "reference", "filtered", "symbolic", "indels", "unphased", "multi_allelic"),
    *("missing", "overlapping", "spanned"),
)
# Records that lost their place are named one by one, up to this many.
MOST_NAMED = 8


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
        indels: `apply` puts alternates of another length into the letters, so that positions move
            (see `genome.lifts`); `refuse` makes them unusable.
        overlaps: Of two records that change one base, `first` applies the one that comes first in
            the file, counts and names the other; `error` refuses both.
        unphased: `draw` gives each haplotype one allele of a heterozygous genotype whose phase is
            not known, by seed, sample and position alone; `refuse` makes it unusable.
        seed: Of `draw`.
    """

    file: PinnedFile
    sample: str = ""
    haplotype: int = 1
    unusable: Unusable = "error"
    contigs: tuple[tuple[str, str], ...] = ()
    indels: Indels = "refuse"
    overlaps: Overlaps = "error"
    unphased: Unphased = "refuse"
    seed: int = 0

    @property
    def identity(self) -> dict[str, object]:
        """Everything that decides which letters change, as JSON values."""
        rules = {"indels": self.indels, "overlaps": self.overlaps, "unphased": self.unphased}
        # A rule at its default is left out: fingerprints are what they were before it existed.
        chosen = {name: rule for name, rule in rules.items() if rule in ("apply", "first", "draw")}
        seed = {"seed": self.seed} if self.unphased == "draw" else {}
        return {
            **chosen,
            **seed,
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
        drawn: Genotypes whose phase was drawn, whatever became of the record.
        named: The first records that lost their place to another, in words.
        sha256: Digest of the file.
    """

    def __init__(self) -> None:
        self.by_kind = dict.fromkeys(KINDS, 0)
        self.drawn = 0
        self.named: list[str] = []
        self.sha256 = ""

    def entry(self, variants: Variants) -> VariantsEntry:
        """Return the counts as they stand in the manifest of a corpus."""
        where = describe(variants.file.location)
        return VariantsEntry(
            rule=str(variants),
            file=where,
            sha256=self.sha256,
            drawn=self.drawn,
            named=tuple(self.named),
            **self.by_kind,
        )


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
        unphased: Genotypes that do not say which haplotype carries what.
        multi_allelic: Several alternates, and no sample that chooses.
        missing: Genotypes that are missing, at least one allele of them.
        overlapping: Records that change a base which an earlier one changes.
        spanned: Overlapping deletions (`*`) whose deletion is in the letters.
        drawn: Genotypes whose phase was drawn; their records are in the other counts.
        named: The first of the overlapping, in words.
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
    missing: int = field(default=0, metadata=OPTIONAL)
    overlapping: int = field(default=0, metadata=OPTIONAL)
    spanned: int = field(default=0, metadata=OPTIONAL)
    drawn: int = field(default=0, metadata=OPTIONAL)
    named: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
