"""Haplotypes: the letters a VCF gives, whatever the blocks; everything else is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from genome_samples import Build, contigs, local, random_dna
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.errors import DataError
from gfmp.genome.accounts import account_lines
from gfmp.genome.blocks import Block
from gfmp.genome.contig_names import proposed_names
from gfmp.genome.haplotypes import substituted
from gfmp.genome.locations import LocalFile
from gfmp.genome.selection import PinnedFile
from gfmp.genome.sources import IngestSettings, Source, open_source
from gfmp.genome.variants import VariantCounts, Variants

SEQUENCE = {"c1": "ACGTACGTAC", "c2": "ttttNRAAUU"}
COLUMNS = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT s".replace(" ", "\t")


def blocks(sequence: dict[str, str], length: int) -> Iterator[Block]:
    """Cut contigs into blocks of `length` letters, laid out in lines of three."""
    for name, letters in sequence.items():
        for start in range(0, len(letters), length):
            part = letters[start : start + length]
            raw = "\n".join(part[i : i + 3] for i in range(0, len(part), 3)) + "\n"
            yield Block(name, raw.encode(), b"\n", "x.fa", 1, 1)


def vcf(folder: Path, *rows: str, header: Iterable[str] = ()) -> PinnedFile:
    """Write a VCF from rows `CHROM POS REF ALT [GT] [FILTER]`."""
    lines = ["##fileformat=VCFv4.3", *header, COLUMNS]
    for row in rows:
        contig, position, ref, alt, *more = row.split()
        call, passed = {0: ("1", "PASS"), 1: (*more, "PASS"), 2: more}[len(more)]
        lines.append("\t".join((contig, position, ".", ref, alt, ".", passed, ".", "GT", call)))
    path = folder / "x.vcf"
    path.write_text("\n".join(lines) + "\n")
    return PinnedFile(LocalFile(str(path)))


def changed(variants: Variants, length: int = 4) -> tuple[dict[str, str], dict[str, int]]:
    """Apply the variants to `SEQUENCE`; return letters and the counts that are not zero."""
    counts = VariantCounts()
    letters = contigs(substituted(blocks(SEQUENCE, length), variants, counts))
    return letters, {kind: number for kind, number in counts.by_kind.items() if number}


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 100])
def test_substitutions_of_any_length_cross_blocks(tmp_path: Path, length: int) -> None:
    file = vcf(tmp_path, "c1 1 A C", "c1 3 GTACG TTATT", "c1 10 C A", "c2 2 TT ga", "c2 8 A .")
    letters, counts = changed(Variants(file), length)
    assert letters == {"c1": "CCTTATTTAA", "c2": "tgatNRAAUU"}
    assert counts == {"applied": 4, "reference": 1}


def test_case_and_layout_are_kept_and_letters_can_be_located(tmp_path: Path) -> None:
    file = vcf(tmp_path, "c1 5 A T", "c2 1 T C")
    made = list(substituted(blocks(SEQUENCE, 100), Variants(file), VariantCounts()))
    assert [block.raw for block in made] == [b"ACG\nTTC\nGTA\nC\n", b"ctt\ntNR\nAAU\nU\n"]
    assert made[0].locate(4) == "x.fa:2:2"


def test_a_genotype_chooses_the_allele(tmp_path: Path) -> None:
    rows = ("c1 1 A C 0|1", "c1 2 C G 1|0", "c1 3 G A,T 2|1", "c1 4 T A 0/0", "c1 5 A G 1")
    file = vcf(tmp_path, *rows)
    for haplotype, wanted in ((1, "AGTTGCGTAC"), (2, "CCATGCGTAC")):
        letters, counts = changed(Variants(file, "s", haplotype))
        assert letters["c1"] == wanted
        assert counts == {"applied": 3, "reference": 2}


@pytest.mark.parametrize(
    ("row", "sample", "kind", "words"),
    [
        ("c1 1 A <DEL>", "", "symbolic", "field ALT: '<DEL>' is symbolic"),
        ("c1 1 A *", "", "symbolic", "field ALT: '*' is symbolic"),
        ("c1 1 A A[c2:5[", "", "symbolic", "is symbolic"),
        ("c1 1 A C,G", "", "multi_allelic", "field ALT: 'C,G' are 2 alternates (multi-allelic)"),
        ("c1 1 A AT", "", "indels", "field ALT: 'AT' has another length than REF"),
        ("c1 1 ACG A", "", "indels", "another length"),
        ("c1 1 A C 1 q10", "", "filtered", "field FILTER: the record failed 'q10'"),
        ("c1 1 A C 0/1", "s", "unphased", "field GT: '0/1' does not say"),
        ("c1 1 A C ./.", "s", "missing", "field GT: './.'"),
        ("c1 1 A C .|1", "s", "missing", "field GT: '.|1'"),
    ],
)
def test_what_is_no_plain_substitution_is_refused_or_counted(
    tmp_path: Path, row: str, sample: str, kind: str, words: str
) -> None:
    file = vcf(tmp_path, row)
    with pytest.raises(DataError) as caught:
        changed(Variants(file, sample))
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.where == f"{tmp_path / 'x.vcf'}:3"
    assert "unusable: skip" in problem.fix
    letters, counts = changed(Variants(file, sample, unusable="skip"))
    assert letters == SEQUENCE
    assert counts == {kind: 1}


@pytest.mark.parametrize("unusable", ["error", "skip"])
@pytest.mark.parametrize("length", [3, 100])
@pytest.mark.parametrize(
    ("rows", "words", "fix"),
    [
        (["c1 2 A C"], "field REF: 'A' at position 2, where 'c1' has 'C'", "same assembly"),
        (["c1 2 CGA GCC"], "field REF: 'A' at position 4, where 'c1' has 'T'", "same assembly"),
        (["c1 2 A . 0|0"], "field REF: 'A' at position 2", "same assembly"),
        (["c2 5 A C"], "'A' at position 5, where 'c2' has 'N'", "same assembly"),
        (["c1 11 A C"], "field POS: the record ends at 11, beyond the end of 'c1'", "assembly"),
        (["c1 10 CA GT"], "field POS: the record ends at 11", "same assembly"),
        (["c2 11 A C"], "beyond the end of 'c2'", "same assembly"),
        (["c1 1 AC TT", "c1 2 C G"], "field POS: 2 is already changed by", "keep one"),
        (["c1 1 A C", "c1 1 A G"], "field POS: 1 is already changed by", "keep one"),
        (["c2 1 T C", "c1 1 A C"], "field CHROM: 'c1' comes after", "c1, c2"),
        (["chr1 1 A C"], "field CHROM: 'chr1' is no contig", "same assembly"),
        (["c1 1 A C 3"], "field GT: '3' names alternate 3 of 1", "fetch"),
    ],
)
def test_what_does_not_fit_the_sequence_is_refused_always(
    tmp_path: Path, unusable: str, length: int, rows: list[str], words: str, fix: str
) -> None:
    sample = "s" if rows[0].endswith("3") else ""
    rule = Variants(
        vcf(tmp_path, *rows), sample, unusable="skip" if unusable == "skip" else "error"
    )
    with pytest.raises(DataError) as caught:
        changed(rule, length)
    (problem,) = caught.value.problems
    assert words in problem.message
    assert fix in problem.fix
    assert problem.where.startswith(f"{tmp_path / 'x.vcf'}:")


def test_ambiguity_codes_and_uracil_of_the_sequence_match(tmp_path: Path) -> None:
    letters, _ = changed(Variants(vcf(tmp_path, "c2 5 NG CC", "c2 9 T G")))
    assert letters["c2"] == "ttttCCAAGU"


def test_other_names_are_proposed_and_then_used(tmp_path: Path) -> None:
    header = ("##contig=<ID=chrC1,length=10>", "##contig=<ID=second,length=10>")
    file = vcf(tmp_path, "chrC1 1 A G", header=header)
    with pytest.raises(DataError) as caught:
        changed(Variants(file))
    assert caught.value.problems[0].fix == "set variants.contigs: {chrC1: c1}"
    letters, _ = changed(Variants(file, contigs=(("chrC1", "c1"),)))
    assert letters["c1"] == "GCGTACGTAC"


@pytest.mark.parametrize(
    ("strange", "known", "wanted"),
    [
        ({"1": 0, "2": 0, "MT": 0}, {"chr1": 5, "chr2": 6, "chrM": 7}, "1 chr1 2 chr2 MT chrM"),
        ({"chrI": 0, "chrX": 9}, {"I": 5, "X": 9}, "chrI I chrX X"),
        ({"NC_01": 0}, {"NC_01.2": 5, "NC_02.1": 6}, "NC_01 NC_01.2"),
        ({"foo": 5}, {"bar": 5, "baz": 6}, "foo bar"),
        ({"foo": 5}, {"bar": 5, "baz": 5}, ""),
        ({"1": 4}, {"chr1": 5}, ""),
        ({"1": 0, "chr1": 0}, {"chr1": 5}, ""),
        ({"1": 0}, {"chr1": 5, "Chr1": 6}, ""),
    ],
)
def test_proposals(strange: dict[str, int], known: dict[str, int], wanted: str) -> None:
    words = wanted.split()
    expected = dict(zip(words[::2], words[1::2], strict=True))
    assert proposed_names(strange, known) == expected


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_haplotype_is_what_replacing_letters_gives(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    letters = data.draw(st.text("ACGTacgt", min_size=1, max_size=40))
    wanted, rows, position = list(letters), [], 0
    while position < len(letters):
        length = data.draw(st.integers(0, 5))
        part = letters[position : position + length]
        if part and data.draw(st.booleans()):
            alt = data.draw(st.text("ACGT", min_size=len(part), max_size=len(part)))
            rows.append(f"c {position + 1} {part.upper()} {alt}")
            cased = [a.lower() if p.islower() else a for a, p in zip(alt, part, strict=True)]
            wanted[position : position + len(part)] = cased
        position += max(len(part), 1)
    file = vcf(tmp_path_factory.mktemp("v"), *rows)
    length = data.draw(st.integers(1, 45))
    counts = VariantCounts()
    made = contigs(substituted(blocks({"c": letters}, length), Variants(file), counts))
    assert made == {"c": "".join(wanted)}
    assert counts.by_kind["applied"] == len(rows)


def test_a_corpus_of_a_haplotype(tmp_path: Path, build: Build) -> None:
    letters = random_dna(900, 5)
    (tmp_path / "one.fa").write_text(f">c\n{letters[:450]}\n{letters[450:].lower()}\n")
    other = "A" if letters[99] != "A" else "C"
    file = vcf(tmp_path, f"c 100 {letters[99]} {other}", f"c 500 {letters[499]} <DEL>")
    plain = local(tmp_path / "one.fa")
    source = replace(plain, variants=Variants(file, unusable="skip"))
    corpus = build(IngestSettings("hap", sources=(source,)))
    (row,) = (row for group in corpus.row_groups("train") for row in corpus.read(group))
    assert row.sequence.decode() == letters[:99] + other + letters[100:]
    (entry,) = corpus.manifest.sources[0].variants
    assert (entry.applied, entry.symbolic, entry.indels) == (1, 1, 0)
    assert len(entry.sha256) == 64
    assert account_lines(corpus.manifest) == (
        "            450 A C G T: as they are",
        "            450 a c g t (soft-masked): read as upper case",
        "Testus one t1: 1 records of x.vcf applied, 0 are the reference; passed over: 1 symbolic",
    )
    assert corpus.manifest.sources[0].origin == f"{tmp_path / 'one.fa'} with x.vcf"
    assert contigs(open_source(source))["c"].upper() == row.sequence.decode()


def test_everything_about_the_variants_is_in_the_fingerprint(tmp_path: Path) -> None:
    file = vcf(tmp_path, "c 1 A C")
    (tmp_path / "one.fa").write_text(">c\nACGT\n")

    def made(variants: Variants | None) -> str:
        source = Source("S", "A", "fasta", LocalFile("/x/one.fa"), variants=variants)
        return IngestSettings("n", sources=(source,)).fingerprint

    rules = [
        None,
        Variants(file),
        Variants(PinnedFile(file.location, "ab")),
        Variants(file, "s"),
        Variants(file, "s", 2),
        Variants(file, unusable="skip"),
        Variants(file, contigs=(("1", "c"),)),
    ]
    assert len({made(rule) for rule in rules}) == len(rules)
    pinned = Variants(PinnedFile(LocalFile("/a.vcf"), "ab"))
    assert made(pinned) == made(Variants(PinnedFile(LocalFile("/b.vcf"), "ab")))
