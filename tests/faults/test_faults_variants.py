"""Row D4: a VCF that does not fit its reference is refused at its line and field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from fault_measured import Measured, Worst, measured
from fault_project import Project
from fault_seen import Seen

SPEC = """\
kind: corpus
name: haplotype
sources:
  - species: Synthetica prima
    assembly: S1-me
    format: fasta
    files: [{path: ref.fa}]
    variants: {path: me.vcf MORE}
"""
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
HEADER = "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=4000>\n##contig=<ID=chr2,length=4000>\n"


@dataclass(frozen=True)
class Reference:
    """Two contigs of random DNA."""

    contigs: dict[str, str]

    @classmethod
    def made(cls, project: Project) -> Reference:
        """Write `ref.fa` and a job that builds its haplotype."""
        letters = np.random.default_rng(3).choice(list("ACGT"), (2, 4000))
        contigs = {f"chr{i + 1}": "".join(row) for i, row in enumerate(letters)}
        text = "".join(f">{name}\n{bases}\n" for name, bases in contigs.items())
        (project.corpora / "ref.fa").write_text(text)
        (project.folder / "jobs" / "hap.yaml").write_text("kind: build_corpus\ncorpus: haplotype\n")
        return cls(contigs)

    def row(self, contig: str, position: int, alt: str = "", ref: str = "") -> str:
        """Return a record; by default a true REF and another letter for it."""
        true = self.contigs.get(contig, self.contigs["chr1"])[position - 1]
        other = "A" if true != "A" else "C"
        return f"{contig}\t{position}\t.\t{ref or true}\t{alt or other}\t.\tPASS\t.\tGT\t1|0\n"


def submitted(project: Project, text: str, more: str = "") -> Measured:
    """Build the corpus `haplotype` from a VCF with this text."""
    (project.corpora / "me.vcf").write_text(text)
    (project.corpora / "haplotype.yaml").write_text(SPEC.replace(" MORE", more))
    return measured(project, "submit", "jobs/hap.yaml")


def published(project: Project) -> int:
    """Count the corpora that a reader would see and the temporaries that were left."""
    visible = list((project.workspace / "corpora").glob("*/[!.]*"))
    return len(visible) + len(project.leftovers())


def _cases(ref: Reference) -> dict[str, tuple[Sequence[str], str, str]]:
    """Return name -> (records, words of the message, words of the remedy); the last is wrong."""
    good = ref.row("chr1", 100)
    wrong = "A" if ref.contigs["chr1"][199] != "A" else "C"
    return {
        "other REF": (
            [good, ref.row("chr1", 200, ref=wrong)],
            f"field REF: '{wrong}' at position 200, where 'chr1' has",
            "the same assembly",
        ),
        "unsorted": (
            [good, ref.row("chr1", 300), ref.row("chr1", 200)],
            "field POS: POS 200 follows POS 300",
            "bcftools sort",
        ),
        "contigs mixed": (
            [good, ref.row("chr2", 5), ref.row("chr1", 200)],
            "field CHROM: 'chr1' comes again",
            "bcftools sort",
        ),
        "symbolic": (
            [good, ref.row("chr1", 200, "<DEL>")],
            "field ALT: '<DEL>' is symbolic",
            "unusable: skip",
        ),
        "multi-allelic": (
            [good, ref.row("chr1", 200, "A,G")],
            "field ALT: 'A,G' are 2 alternates (multi-allelic)",
            "bcftools norm -m -any",
        ),
        "indel": (
            [good, ref.row("chr1", 200, "AAAA")],
            "field ALT: 'AAAA' has another length than REF",
            "unusable: skip",
        ),
        "beyond": (
            [good, ref.row("chr1", 4000).replace("\t4000\t", "\t4001\t")],
            "field POS: the record ends at 4,001, beyond the end of 'chr1'",
            "the same assembly",
        ),
        "columns": (
            [good, "chr1\t200\t.\tA\n"],
            "field columns: there are 4, and #CHROM names 10",
            "correct the line",
        ),
        "no position": (
            [good, ref.row("chr1", 200).replace("\t200\t", "\t0\t")],
            "field POS: '0' is no position",
            "correct the line",
        ),
    }


@pytest.mark.ci
@pytest.mark.fault("D4")
def test_records_that_do_not_fit_are_named_by_line_and_field(empty: Project, seen: Seen) -> None:
    ref = Reference.made(empty)
    worst = Worst()
    for name, (rows, message, fix) in _cases(ref).items():
        done = submitted(empty, HEADER + COLUMNS + "".join(rows))
        assert done.status == 65, (name, done.output)
        assert f"me.vcf:{4 + len(rows)}" in done.output, (name, done.output)
        assert message in done.output, (name, done.output)
        assert fix in done.output, (name, done.output)
        worst.add(done)
        seen.exit(done.status)
    assert published(empty) == 0
    seen.outcome(f"{len(_cases(ref))} refused with line, field and remedy; {worst}")
    seen.lost(files=published(empty))


@pytest.mark.ci
@pytest.mark.fault("D4")
def test_a_vcf_without_a_header_or_of_other_names(empty: Project, seen: Seen) -> None:
    ref = Reference.made(empty)
    for text in (ref.row("chr1", 100), HEADER + ref.row("chr1", 100), ">chr1\nACGT\n", ""):
        done = submitted(empty, text)
        assert done.status == 65, done.output
        assert "this is not VCF: the header is missing or broken --> " in done.output
        assert "me.vcf:1" in done.output
        seen.exit(done.status)
    strange = (HEADER + COLUMNS + ref.row("chr1", 100) + ref.row("chr2", 100)).replace("chr", "")
    done = submitted(empty, strange)
    assert done.status == 65
    assert "field CHROM: '1' is no contig of the sequence file" in done.output
    mapping = "{1: chr1, 2: chr2}"
    assert f"set variants.contigs: {mapping}" in done.output
    assert published(empty) == 0
    done = submitted(empty, strange, f", contigs: {mapping}")
    assert done.status == 0, done.output
    assert "2 records of me.vcf applied" in done.output
    seen.exit(done.status)
    seen.outcome("no header: said so; 1 against chr1: the mapping proposed works")
    seen.lost(files=0)


@pytest.mark.ci
@pytest.mark.fault("D4")
def test_what_is_passed_over_is_asked_for_and_counted(empty: Project, seen: Seen) -> None:
    ref = Reference.made(empty)
    rows = [
        ref.row("chr1", 100),
        ref.row("chr1", 101, "<DEL>"),
        ref.row("chr1", 102, "AAAA"),
        ref.row("chr1", 103).replace("PASS", "q10"),
        ref.row("chr1", 104).replace("1|0", "0/1"),
        ref.row("chr1", 105).replace("1|0", "0|1"),
        ref.row("chr2", 4000),
    ]
    done = submitted(empty, HEADER + COLUMNS + "".join(rows), ", sample: me, unusable: skip")
    assert done.status == 0, done.output
    counted = (
        "2 records of me.vcf (me, haplotype 1) applied, 1 are the reference; "
        "passed over: 1 filtered, 1 symbolic, 1 indels, 1 unphased"
    )
    assert counted in done.output, done.output
    (path,) = (empty.workspace / "corpora").glob("haplotype/*/manifest.json")
    (entry,) = json.loads(path.read_text())["sources"][0]["variants"]
    assert (entry["applied"], entry["reference"], entry["symbolic"]) == (2, 1, 1)
    kinds = ("applied", "reference", "filtered", "symbolic", "indels", "unphased", "multi_allelic")
    lost = len(rows) - sum(entry[kind] for kind in kinds)
    seen.exit(done.status)
    seen.outcome("each kind counted by name, on the console and in the manifest")
    seen.lost(records=lost)
    assert lost == 0
