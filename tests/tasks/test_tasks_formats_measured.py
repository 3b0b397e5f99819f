"""Measured variants: VCF of saturation mutagenesis and the workbook of CAGI5."""

from __future__ import annotations

from pathlib import Path

import pytest
from public_rows import read, write_fasta, write_text

from gfmp.errors import DataError, MissingInputError
from gfmp.tasks.formats import measured

TARGET = "{kind: regression, columns: [effect]}"
MORE = "metric: pearson_r\nsplit: {by: group}\n"
ELEMENT = "ACGTACGTTGCATTGACCAG"
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
SOURCE = "{format: measured_variants, variants: VARIANTS, reference: {path: ref.fa}MORE}"


def _source(
    variants: str = "{F9: {path: F9.vcf.gz}, LDLR: {path: LDLR.vcf}}", more: str = ""
) -> str:
    return SOURCE.replace("VARIANTS", variants).replace("MORE", more)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two contigs, and a VCF for an element on each."""
    write_fasta(tmp_path / "ref.fa", {"chrX": ELEMENT, "19": ELEMENT[::-1]})
    f9 = ["X\t3\t.\tG\tA\t.\tSIGN\tEF=-0.52;PV=0.01;BC=20", "X\t4\t.\tTA\tT\t.\tMIN\tEF=0.1;BC=3"]
    write_text(tmp_path / "F9.vcf.gz", HEADER + "\n".join(f9) + "\n")
    write_text(tmp_path / "LDLR.vcf", HEADER + "19\t1\t.\tG\tc\t.\t.\tEF=1.25\n")
    return tmp_path


def test_a_row_is_the_reference_with_the_alternate_allele(project: Path) -> None:
    pool = read(project, _source(), TARGET, MORE)
    assert [sequence.decode() for sequence in pool.rows.sequences] == [
        "ACATACGTTGCATTGACCAG",
        "ACGTCGTTGCATTGACCAG",
        "CACCAGTTACGTTGCATGCA",
    ]
    assert pool.rows.targets[:, 0].tolist() == pytest.approx([-0.52, 0.1, 1.25])
    assert pool.rows.groups == ("F9", "F9", "LDLR")
    assert pool.rows.origins == ("F9:2:G>A", "F9:3:TA>T", "LDLR:0:G>C")
    assert pool.contigs == ("X", "X", "19")
    assert pool.notes == ("1 contigs of ref.fa go by another name: chrX as X",)


def test_windows_end_with_the_contig(project: Path) -> None:
    pool = read(project, _source(more=", window_bp: 8"), TARGET, MORE)
    assert pool.rows.sequences == (b"ACATAC", b"ACGTCG", b"CACC")


def test_filters_choose_records_and_what_they_leave_out_is_counted(project: Path) -> None:
    pool = read(project, _source(more=", keep_filters: [SIGN, PASS]"), TARGET, MORE)
    assert pool.rows.groups == ("F9", "LDLR")
    assert pool.left_out == ("1 variants whose FILTER is MIN",)
    with pytest.raises(DataError, match="there is no measured variant"):
        read(project, _source(more=", keep_filters: [OTHER]"), TARGET, MORE)


def test_one_file_may_hold_every_element_as_a_contig(project: Path) -> None:
    pool = read(project, _source("{all: {path: F9.vcf.gz}}"), TARGET, MORE)
    assert pool.rows.groups == ("X", "X")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("X\t3\t.\tT\tA\t.\t.\tEF=1", "REF is T, and X:2-3 is G"),
        ("X\t21\t.\tT\tA\t.\t.\tEF=1", "REF is T, and X:20-21 is nothing"),
        ("X\t3\t.\tG\tA\t.\t.\tPV=1", "INFO EF holds ''"),
        ("X\t3\t.\tG\tA\t.\t.\tEF=nan", "INFO EF holds 'nan'"),
        ("X\t3\t.\tG\tA,T\t.\t.\tEF=1", "field ALT: 'A,T' is not one allele of letters"),
        ("X\t3\t.\tG\t<DEL>\t.\t.\tEF=1", "field ALT: '<DEL>' is not one allele of letters"),
    ],
)
def test_a_wrong_record_is_named(project: Path, record: str, message: str) -> None:
    write_text(project / "LDLR.vcf", HEADER + record + "\n")
    with pytest.raises(DataError) as caught:
        read(project, _source(), TARGET, MORE)
    (problem,) = caught.value.problems
    assert problem.message == message
    assert problem.where.endswith("LDLR.vcf:3")


def _workbook(path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for name, rows in (
        ("challenge_F9", [("X", 3, "G", "A", -0.5, 0.9), ("X", 4, "T", "-", 0.25, 0.1)]),
        ("challenge_TERT-GBM", [("19", 1, "G", "T", 1, 0.2)]),
    ):
        sheet = book.create_sheet(name)
        for number in range(6):
            sheet.append([f"words above the table, line {number}"])
        sheet.append(["#Chrom", "Pos", "Ref", "Alt", "Value", "Confidence"])
        for row in rows:
            sheet.append(row)
    book.save(path)


XLSX = (
    "{format: measured_variants, variants: {cagi5: {path: cagi5.xlsx}}, value: Value, "
    "elements: [F9, TERT-GBM], reference: {path: ref.fa}}"
)


def test_the_workbook_gives_its_sheets(project: Path) -> None:
    _workbook(project / "cagi5.xlsx")
    pool = read(project, XLSX, TARGET, MORE)
    assert pool.rows.groups == ("F9", "F9", "TERT-GBM")
    assert pool.rows.targets[:, 0].tolist() == [-0.5, 0.25, 1.0]
    assert pool.rows.sequences[1].decode() == ELEMENT[:3] + ELEMENT[4:]
    for old, new, message in (
        ("F9, TERT-GBM", "HBB", "the workbook has no sheet 'challenge_HBB'"),
        ("value: Value", "value: Effect", "sheet 'challenge_F9' has no column 'Effect'"),
    ):
        with pytest.raises(DataError) as caught:
            read(project, XLSX.replace(old, new), TARGET, MORE)
        assert caught.value.problems[0].message == message


def test_without_the_library_the_extra_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "cagi5.xlsx").write_bytes(b"PK")
    monkeypatch.setattr(measured, "find_spec", lambda name: None)
    with pytest.raises(MissingInputError) as caught:
        read(project, XLSX, TARGET, MORE)
    assert caught.value.problems[0].fix == "pip install 'gfmp[readers]'"
