"""FASTA with tables row by row (DeepSTARR), and with the class in the header (NT's tasks)."""

from __future__ import annotations

from pathlib import Path

import pytest
from public_rows import read, texts, write_text

from gfmp.errors import DataError

DEV_HK = "{kind: regression, columns: [Dev_log2_enrichment, Hk_log2_enrichment], names: [dev, hk]}"
STARR = "{format: aligned_fasta, files: {FILES}, tables: {TABLES}}"
METRIC = "metric: pearson_r\n"


def _starr(folder: Path, missing: int = 0) -> str:
    """Three splits in the layout of DeepSTARR; names come again, for both strands of a window."""
    for split, count in (("Train", 6), ("Val", 2), ("Test", 2)):
        rows = texts(count, 249, seed=count)
        records = [f">chr2L_{i // 2}_+_window\n{row}" for i, row in enumerate(rows)]
        write_text(folder / f"Sequences_{split}.fa", "\n".join(records) + "\n")
        lines = ["Dev_log2_enrichment\tHk_log2_enrichment\tDev_log2_enrichment_scaled"]
        lines += [f"{i / 2}\t{-i}\t9" for i in range(count - missing)]
        write_text(folder / f"Sequences_activity_{split}.txt", "\n".join(lines) + "\n")
    names = (("train", "Train"), ("valid", "Val"), ("test", "Test"))
    files = ", ".join(f"{key}: {{path: Sequences_{name}.fa}}" for key, name in names)
    tables = ", ".join(f"{key}: {{path: Sequences_activity_{name}.txt}}" for key, name in names)
    return STARR.replace("FILES", files).replace("TABLES", tables)


def test_row_i_of_a_table_belongs_to_record_i(tmp_path: Path) -> None:
    pool = read(tmp_path, _starr(tmp_path), DEV_HK, METRIC)
    assert pool.given == ("train",) * 6 + ("valid",) * 2 + ("test",) * 2
    assert pool.rows.targets[:6].tolist() == [[i / 2, -i] for i in range(6)]
    assert {len(sequence) for sequence in pool.rows.sequences} == {249}
    assert pool.rows.sequences[:6] == tuple(row.encode() for row in texts(6, 249, seed=6))
    assert pool.rows.origins[:2] == ("chr2L_0_+_window",) * 2


def test_tables_that_were_cut_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, _starr(tmp_path, missing=1), DEV_HK, METRIC)
    (problem,) = caught.value.problems
    assert problem.message == "6 records and 5 rows"
    assert "Sequences_Train.fa and " in problem.where


def test_a_wrong_letter_is_named_by_its_record(tmp_path: Path) -> None:
    source = _starr(tmp_path)
    path = tmp_path / "Sequences_Val.fa"
    path.write_text(path.read_text().replace("A", "-", 1))
    with pytest.raises(DataError) as caught:
        read(tmp_path, source, DEV_HK, METRIC)
    assert caught.value.problems[0].where.endswith("Sequences_Val.fa:1")


LABELLED = "{format: labelled_fasta, files: {train: {path: train.fna}, test: {path: test.fna}}}"


def test_the_class_stands_at_the_end_of_the_header(tmp_path: Path) -> None:
    for name in ("train", "test"):
        rows = texts(4, 70)
        text = "".join(f">chr1:5-75 | x|{i % 2}\n{r[:40]}\n{r[40:]}\n" for i, r in enumerate(rows))
        write_text(tmp_path / f"{name}.fna", text)
    pool = read(tmp_path, LABELLED, "{kind: binary, names: [none, promoter]}")
    assert pool.rows.targets[:, 0].tolist() == [0, 1, 0, 1] * 2
    assert pool.rows.sequences[:4] == tuple(row.encode() for row in texts(4, 70))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (">a|0\nACGT\n>b\nAC\n", 3, "header 'b' ends with no class"),
        (">a|0\nACGT\n>b|7\nAC\n", 3, "column 'label' holds '7'"),
        (">a|0\n>b|1\nAC\n", 1, "column 'sequence' is empty"),
        ("ACGT\n", 1, "this is not FASTA: it begins with no '>' line"),
    ],
)
def test_a_wrong_record_is_named(tmp_path: Path, text: str, line: int, message: str) -> None:
    write_text(tmp_path / "train.fna", text)
    write_text(tmp_path / "test.fna", ">a|0\nACGT\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path, LABELLED, "{kind: binary}")
    (problem,) = caught.value.problems
    assert problem.message == message
    assert problem.where.endswith(f"train.fna:{line}")
