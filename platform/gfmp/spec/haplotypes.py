"""What a person asks of the haplotypes that stand for a source of a corpus (decision 0040)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gfmp.spec.base import Closed, NotNegativeInt


class VariantsSpec(Closed):
    """Haplotypes in the place of a source's letters: the alleles of a VCF.

    Attributes:
        path: The VCF (.gz too), relative to the YAML file.
        sha256: Pins its content.
        sample: Whose genotypes decide; without one every record is applied.
        haplotype: Which allele of a phased genotype is taken, 1 or 2; the only one of a haploid.
        samples: Instead of `sample`: each gives its haplotypes, every one an assembly
            `ASSEMBLY-SAMPLE-HAPLOTYPE` of its own.
        haplotypes: Which of them; one where the contigs have ploidy 1.
        indels: `apply` puts alternates of another length into the letters; regions, annotation and
            splits keep coordinates of the reference. `refuse` makes them unusable.
        overlaps: Of two records that change one base, `first` applies the earlier and counts the
            other; `error` refuses both.
        unphased: `draw` draws the phase of heterozygous genotypes such as 0/1, by `seed`, sample
            and position; `refuse` makes them unusable.
        seed: Of `draw`.
        unusable: Indels and unphased genotypes that are refused, symbols, failed filters, missing
            genotypes, several alternates: `error` refuses them, `skip` keeps the reference there
            and counts them.
        contigs: Name in the VCF to name in the sequence file, where they differ.
    """

    path: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    sample: str = ""
    haplotype: Annotated[int, Field(ge=1, le=2)] = 1
    samples: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    haplotypes: tuple[Annotated[int, Field(ge=1, le=2)], ...] = (1, 2)
    indels: Literal["refuse", "apply"] = "refuse"
    overlaps: Literal["error", "first"] = "error"
    unphased: Literal["refuse", "draw"] = "refuse"
    seed: NotNegativeInt = 0
    unusable: Literal["error", "skip"] = "error"
    contigs: Annotated[dict[str, str], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _whole(self) -> VariantsSpec:
        if self.haplotype == 2 and not self.sample:
            raise ValueError("haplotype takes an allele of a sample's genotype: name the sample")
        if self.sample and self.samples:
            raise ValueError("sample and samples exclude each other")
        for name, values in (("samples", self.samples), ("haplotypes", self.haplotypes)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name} names one of them twice")
        if not self.haplotypes or (self.haplotypes != (1, 2) and not self.samples):
            raise ValueError("haplotypes says which of each of the samples: name the samples")
        if self.unphased == "draw" and not (self.sample or self.samples):
            raise ValueError("unphased draws the phase of a sample's genotypes: name the sample")
        if self.seed and self.unphased != "draw":
            raise ValueError("seed is that of unphased: draw")
        if len(set(self.contigs.values())) < len(self.contigs):
            raise ValueError("contigs gives two contigs of the VCF one name")
        return self
