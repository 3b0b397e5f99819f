"""INFO: read by key, extended without touching the rest of a line."""

from __future__ import annotations

from genome_samples import stream

from gfmp.genome.vcf import VcfFile, VcfRecord
from gfmp.genome.vcf_info import InfoField, declared, extended, name_of, values_of

HEADER = (
    "##fileformat=VCFv4.3\n"
    '##INFO=<ID=EF,Number=A,Type=Float,Description="x">\n'
    '##INFO=<ID=GFMP_a,Number=A,Type=Float,Description="old">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
)
LINES = (
    "1\t5\trs9\tA\tC,G\t3\tPASS\tEF=0.5,-1;DB;GFMP_a=9,9\tGT\t0|1",
    "1\t6\t.\tA\tC\t3\tPASS\t.\tGT\t0|1",
)


def records() -> list[VcfRecord]:
    text = HEADER + "\n".join(LINES) + "\n"
    return list(VcfFile(stream(text.encode()), "x.vcf").records())


def test_a_record_keeps_its_line() -> None:
    assert [r.text for r in records()] == list(LINES)
    assert [name_of(r) for r in records()] == ["rs9", ""]


def test_values_are_found_by_key() -> None:
    one, two = records()
    assert values_of(one, "EF") == ("0.5", "-1")
    assert values_of(one, "DB") == ("",)
    assert values_of(one, "E") == values_of(two, "EF") == ()


def test_fields_are_added_and_older_ones_of_the_name_replaced() -> None:
    one, two = records()
    line = extended(one, {"GFMP_a": ("1", "."), "GFMP_b": (".", ".")})
    assert line.split("\t")[7] == "EF=0.5,-1;DB;GFMP_a=1,."
    assert line.split("\t")[:7] + line.split("\t")[8:] == (
        LINES[0].split("\t")[:7] + LINES[0].split("\t")[8:]
    )
    assert extended(two, {"GFMP_a": ("2",)}).split("\t")[7] == "GFMP_a=2"
    assert extended(two, {"GFMP_a": (".",)}) == LINES[1]


def test_the_header_declares_them_once_before_the_columns() -> None:
    header = VcfFile(stream(HEADER.encode()), "x.vcf").header
    fields = (InfoField("GFMP_a", "Float", "new"), InfoField("GFMP_b", "String", "why"))
    lines = declared(header.lines, fields, "gfmp=1")
    assert lines[:2] == header.lines[:2]
    assert lines[2:] == (
        "##gfmp=1",
        '##INFO=<ID=GFMP_a,Number=A,Type=Float,Description="new">',
        '##INFO=<ID=GFMP_b,Number=A,Type=String,Description="why">',
        header.lines[-1],
    )
    again = VcfFile(stream(("\n".join(lines) + "\n").encode()), "y.vcf").header
    assert again.num_columns == header.num_columns
