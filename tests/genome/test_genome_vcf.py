"""VCF: what a record is, what a header must say, what is refused at which line and field."""

from __future__ import annotations

import gzip

import pytest
from genome_samples import stream

from gfmp.errors import DataError
from gfmp.genome.vcf import VcfFile, VcfRecord, is_bases

HEADER = (
    "##fileformat=VCFv4.3\n"
    '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth, total">\n'
    "##contig=<ID=chr1,length=100>\n"
    '##contig=<assembly=x,length=50,ID=chr2,species="Testus, one">\n'
    "##contig=<ID=chr3>\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone\ttwo\n"
)
RECORDS = (
    "chr1\t1\trs1\tA\tC\t9\tPASS\tDP=3\tGT:DP\t0|1:3\t1|1:4\n"
    "chr1\t1\t.\ta\tG,<DEL>\t.\t.\t.\tGT\t1/2\t./.\n"
    "chr1\t7\t.\tAC\t.\t.\tq10;s50\t.\tGT\t0\t0|0\n"
    "chr2\t3\t.\tN\tN[chr1:5[\t.\tPASS\t.\tGT\t1\t.\n"
)


def read(text: str, sample: str = "") -> list[VcfRecord]:
    return list(VcfFile(stream(text.encode()), "x.vcf", sample).records())


def refused(text: str, sample: str = "") -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        read(text, sample)
    (problem,) = caught.value.problems
    assert problem.why
    assert problem.fix
    return problem.where, problem.message


def test_records_come_as_they_stand_and_positions_from_zero() -> None:
    one, two, three, four = read(HEADER + RECORDS, "two")
    assert one == VcfRecord("chr1", 0, b"A", ("C",), "", "1|1", "x.vcf:7", "DP=3")
    assert (two.ref, two.alts, two.call) == (b"A", ("G", "<DEL>"), "./.")
    assert (three.start, three.end, three.alts, three.failed) == (6, 8, (), "q10;s50")
    assert (four.contig, four.alts, four.call) == ("chr2", ("N[chr1:5[",), ".")
    assert [r.call for r in read(HEADER + RECORDS, "one")] == ["0|1", "1/2", "0", "1"]
    assert [r.call for r in read(HEADER + RECORDS)] == [""] * 4


def test_the_header_names_contigs_and_lengths() -> None:
    header = VcfFile(stream(HEADER.encode()), "x.vcf", "two").header
    assert dict(header.contigs) == {"chr1": 100, "chr2": 50, "chr3": 0}
    assert (header.num_columns, header.sample) == (11, 10)


@pytest.mark.parametrize("change", ["gzip", "bgzip", "crlf", "mark"])
def test_layout_changes_nothing(change: str) -> None:
    data = (HEADER + RECORDS).encode()
    half = len(data) // 2
    changed = {
        "gzip": gzip.compress(data),
        "bgzip": gzip.compress(data[:half]) + gzip.compress(data[half:]),
        "crlf": data.replace(b"\n", b"\r\n"),
        "mark": b"\xef\xbb\xbf" + data[:-1],
    }[change]
    assert list(VcfFile(stream(changed), "x.vcf", "one").records()) == read(HEADER + RECORDS, "one")


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("", "x.vcf:1", "header is missing"),
        (RECORDS, "x.vcf:1", "header is missing"),
        (">chr1\nACGT\n", "x.vcf:1", "header is missing"),
        ("##fileformat=VCFv4.3\n" + RECORDS, "x.vcf:1", "header is missing"),
        (HEADER.replace("\tREF", ""), "x.vcf:6", "header is missing"),
        (HEADER.replace("FORMAT", "one"), "x.vcf:6", "header is missing"),
    ],
)
def test_a_file_without_a_header_is_refused(text: str, where: str, words: str) -> None:
    found, message = refused(text)
    assert (found, words in message) == (where, True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("chr1\t1\t.\tA\tC\t.\tPASS\t.", "field columns: there are 8, and #CHROM names 11"),
        ("\t1\t.\tA\tC\t.\tPASS\t.\tGT\t0\t0", "field CHROM: '' is no name"),
        ("chr 1\t1\t.\tA\tC\t.\tPASS\t.\tGT\t0\t0", "field CHROM: 'chr 1'"),
        ("chr1\t0\t.\tA\tC\t.\tPASS\t.\tGT\t0\t0", "field POS: '0' is no position"),
        ("chr1\t1e5\t.\tA\tC\t.\tPASS\t.\tGT\t0\t0", "field POS: '1e5'"),
        ("chr1\t\u0661\t.\tA\tC\t.\tPASS\t.\tGT\t0\t0", "field POS:"),
        (f"chr1\t{'9' * 5000}\t.\tA\tC\t.\tPASS\t.\tGT\t0\t0", "field POS:"),
        ("chr1\t1\t.\tR\tC\t.\tPASS\t.\tGT\t0\t0", "field REF: 'R' is no DNA"),
        ("chr1\t1\t.\t\tC\t.\tPASS\t.\tGT\t0\t0", "field REF: ''"),
        ("chr1\t1\t.\tA\tX\t.\tPASS\t.\tGT\t0\t0", "field ALT: 'X' is no alternate"),
        ("chr1\t1\t.\tA\tC,\t.\tPASS\t.\tGT\t0\t0", "field ALT: ''"),
        ("chr1\t1\t.\tA\tC\t.\tPASS\t.\tDP\t0\t0", "field FORMAT: 'DP' does not begin with GT"),
        ("chr1\t1\t.\tA\tC\t.\tPASS\t.\tGT\tx\t0", "field GT: 'x' is no genotype"),
        ("chr1\t1\t.\tA\tC\t.\tPASS\t.\tGT\t0||1\t0", "field GT: '0||1'"),
    ],
)
def test_each_broken_field_is_named(line: str, words: str) -> None:
    where, message = refused(f"{HEADER}{line}\n", "one")
    assert where == "x.vcf:7"
    assert words in message
    assert len(message) < 200


def test_records_are_sorted_and_contigs_stand_together() -> None:
    line = "{}\t{}\t.\tA\tC\t.\tPASS\t.\tGT\t0\t0\n"
    rows = HEADER + line.format("chr1", 5) + line.format("chr1", 4)
    assert refused(rows) == ("x.vcf:8", "field POS: POS 4 follows POS 5")
    rows = HEADER + line.format("chr1", 5) + line.format("chr2", 1) + line.format("chr1", 6)
    assert refused(rows) == ("x.vcf:9", "field CHROM: 'chr1' comes again")


@pytest.mark.parametrize(("sample", "fix"), [("tow", "did you mean 'two'?"), ("zzz", "name one")])
def test_a_sample_that_is_not_there(sample: str, fix: str) -> None:
    with pytest.raises(DataError, match=f"0 samples named '{sample}'") as caught:
        read(HEADER + RECORDS, sample)
    assert fix in caught.value.problems[0].fix


def test_a_cut_file_says_how_far_it_was_read() -> None:
    packed = gzip.compress((HEADER + RECORDS).encode())
    with pytest.raises(DataError, match="ends early"):
        list(VcfFile(stream(packed[:-4]), "x.vcf.gz").records())


def test_only_letters_are_bases() -> None:
    assert [is_bases(word) for word in ("ACgtN", "<DEL>", "*", "A.", "R")] == [True] + [False] * 4
