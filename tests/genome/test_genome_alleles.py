"""Alleles against a reference: trimmed, checked, windowed; what cannot be scored says why."""

from __future__ import annotations

import pytest
from genome_samples import fasta_text, random_dna, stream
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.genome.alleles import TROUBLES, Allele, Alleles, trimmed
from gfmp.genome.letters import Letters, find_letters
from gfmp.genome.locations import LocalFile
from gfmp.genome.selection import PinnedFile
from gfmp.genome.vcf import VcfFile, VcfRecord

DNA = random_dna(400, 7)
HEADER = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Letters:
    folder = tmp_path_factory.mktemp("reference")
    odd = "ACGTRYNNNNACGTACGT"
    (folder / "x.fa").write_bytes(fasta_text([("chr1", DNA), ("odd", odd), ("tiny", "ACGTA")]))
    return find_letters(PinnedFile(LocalFile(str(folder / "x.fa"))), folder / "references")


def record(contig: str, position: int, ref: str, alt: str) -> VcfRecord:
    line = f"{contig}\t{position}\t.\t{ref}\t{alt}\t.\tPASS\t.\n"
    (found,) = VcfFile(stream((HEADER + line).encode()), "x.vcf").records()
    return found


def alleles_of(letters: Letters, *fields: object, **contigs: str) -> list[Allele]:
    return list(Alleles(letters, contigs, 64).of(record(*fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ref", "alt", "expected"),
    [
        (b"A", b"C", (10, b"A", b"C")),
        (b"AT", b"A", (11, b"T", b"")),
        (b"A", b"AT", (11, b"", b"T")),
        (b"CAG", b"CTG", (11, b"A", b"T")),
        (b"AAAA", b"AA", (10, b"AA", b"")),
        (b"AC", b"GTT", (10, b"AC", b"GTT")),
        (b"A", b"A", (10, b"", b"")),
    ],
)
def test_what_both_alleles_share_is_no_change(
    ref: bytes, alt: bytes, expected: tuple[int, bytes, bytes]
) -> None:
    assert trimmed(10, ref, alt) == expected


@settings(deadline=None, max_examples=80)
@given(
    st.integers(1, 380),
    st.integers(1, 12),
    st.text("ACGT", min_size=1, max_size=12),
)
def test_the_alternate_window_is_the_reference_with_the_change(
    letters: Letters, position: int, length: int, alt: str
) -> None:
    start = position - 1
    ref = DNA[start : start + length]
    found = Alleles(letters, {}, 64)
    (allele,) = found.of(record("chr1", position, ref, alt))
    if ref == alt:
        assert allele.trouble == "same"
        return
    window = found.window(allele)
    low = allele.start - len(window.before)
    high = allele.end + len(window.after)
    assert window.reference.decode() == DNA[low:high]
    whole = DNA[:start] + alt + DNA[start + length :]
    assert window.alternate.decode() == whole[low : high + len(alt) - length]
    assert len(window.before) == min(31, allele.start)
    assert len(window.after) == min(32, len(DNA) - allele.end)
    assert len(allele.ref) + len(allele.alt) <= length + len(alt)


def test_a_substitution_in_the_middle_has_a_whole_window(letters: Letters) -> None:
    other = "A" if DNA[199] != "A" else "C"
    (allele,) = alleles_of(letters, "chr1", 200, DNA[199], other)
    window = Alleles(letters, {}, 64).window(allele)
    assert len(window.reference) == len(window.alternate) == 64
    assert (allele.kind, allele.number, allele.trouble) == ("substitution", 1, "")


def test_each_alternate_of_a_record_is_an_allele_of_its_own(letters: Letters) -> None:
    base = DNA[99]
    others = [b for b in "ACGT" if b != base]
    found = alleles_of(letters, "chr1", 100, base, f"{others[0]},<DEL>,{base}T,*,{others[1]}")
    assert [a.number for a in found] == [1, 2, 3, 4, 5]
    assert [a.trouble for a in found] == ["", "symbolic", "", "symbolic", ""]
    assert [a.kind for a in found if not a.trouble] == ["substitution", "insertion", "substitution"]
    (deletion,) = alleles_of(letters, "chr1", 100, DNA[99:102], base)
    assert deletion.kind in ("deletion", "substitution") and deletion.start >= 99
    assert alleles_of(letters, "chr1", 100, base, ".") == []


def _other(base: str) -> str:
    return "A" if base != "A" else "C"


@pytest.mark.parametrize(
    ("fields", "trouble", "name", "words"),
    [
        (("chr1", 5, _other(DNA[4]), DNA[4]), "ref_mismatch", "REF", "where 'chr1' has"),
        (("chr2", 5, "A", "C"), "no_contig", "CHROM", "is no contig of the reference"),
        (("tiny", 5, "AC", "A"), "beyond", "POS", "beyond the end of 'tiny'"),
        (("chr1", 5, DNA[4], "N"), "ambiguous", "ALT", "changes or is an N"),
        (("odd", 7, "N", "A"), "ambiguous", "ALT", "changes or is an N"),
        (("chr1", 5, DNA[4], DNA[4]), "same", "ALT", "is what REF is"),
        (("chr1", 5, DNA[4:40], DNA[4]), "long", "ALT", "is too long"),
        (("chr1", 5, DNA[4], "<DUP>"), "symbolic", "ALT", "is symbolic"),
        (("chr1", 5, DNA[4], "G]chr1:9]"), "symbolic", "ALT", "is symbolic"),
    ],
)
def test_what_cannot_be_scored_says_why_and_where(
    letters: Letters, fields: tuple[object, ...], trouble: str, name: str, words: str
) -> None:
    (allele,) = alleles_of(letters, *fields)
    assert allele.trouble == trouble
    assert trouble in TROUBLES
    problem = Alleles(letters, {}, 64).problem(allele, {})
    assert problem.where == "x.vcf:3"
    assert problem.message.startswith(f"field {name}: ")
    assert words in problem.message
    assert problem.why and problem.fix


def test_ambiguity_codes_of_the_reference_agree_with_what_they_stand_for(letters: Letters) -> None:
    (allele,) = alleles_of(letters, "odd", 5, "A", "C")
    assert (allele.trouble, allele.ref) == ("", b"A")


def test_contig_names_are_mapped_or_a_mapping_is_proposed(letters: Letters) -> None:
    found = Alleles(letters, {}, 64)
    (allele,) = found.of(record("1", 5, DNA[4], _other(DNA[4])))
    assert allele.trouble == "no_contig"
    assert found.problem(allele, {}).fix == "set variants.contigs: {1: chr1}"
    mapped = Alleles(letters, {"1": "chr1"}, 64)
    (allele,) = mapped.of(record("1", 5, DNA[4], _other(DNA[4])))
    assert (allele.trouble, allele.contig) == ("", "chr1")


def test_windows_end_with_their_contig(letters: Letters) -> None:
    found = Alleles(letters, {}, 64)
    (allele,) = found.of(record("tiny", 1, "A", "G"))
    window = found.window(allele)
    assert (window.before, window.reference, window.alternate) == (b"", b"ACGTA", b"GCGTA")
