"""Reading rows: every row arrives, and a wrong one is named with its line and column."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_samples import write_task

from gfmp.errors import DataError, GfmpError, MissingInputError
from gfmp.tasks.catalogue import TaskTarget
from gfmp.tasks.inputs import input_files
from gfmp.tasks.pool import Pool
from gfmp.tasks.readers import read_pool

CSV = "{format: csv, files: {all: {path: a.csv}}, split_column: part}"
BINARY = "{kind: binary}"
HEADER = "sequence,label,part\n"


def _read(target: TaskTarget) -> Pool:
    return read_pool(target.spec, target.base)


def _pool(folder: Path, text: str, target: str = BINARY, more: str = "") -> Pool:
    (folder / "a.csv").write_text(text, encoding="utf-8")
    return _read(write_task(folder, CSV, target, more))


def _fault(folder: Path, text: str, target: str = BINARY, more: str = "") -> GfmpError:
    with pytest.raises(DataError) as caught:
        _pool(folder, text, target, more)
    assert all(problem.why and problem.fix for problem in caught.value.problems)
    return caught.value


def test_letters_become_acgtn_and_are_counted(tmp_path: Path) -> None:
    pool = _pool(tmp_path, HEADER + "acguN,0,train\n RYACGT ,1,test\n")
    assert pool.rows.sequences == (b"ACGTN", b"NNACGT")
    assert (pool.counts.soft_masked, pool.counts.uracil, sum(pool.counts.iupac)) == (3, 1, 2)
    assert pool.rows.origins == ("a.csv:2", "a.csv:3")
    assert pool.given == ("train", "test")
    assert pool.rows.targets.dtype == np.float32
    assert pool.rows.targets.tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize("words", ["train dev test", "Train validation TEST", "training val test"])
def test_splits_have_many_names(tmp_path: Path, words: str) -> None:
    text = "".join(f"ACGT,{i % 2},{word}\n" for i, word in enumerate(words.split()))
    assert _pool(tmp_path, HEADER + text).given == ("train", "valid", "test")


def test_classes_may_be_names_or_numbers(tmp_path: Path) -> None:
    target = "{kind: multiclass, names: [donor, acceptor, none]}"
    text = HEADER + "ACGT,acceptor,train\nACGT,2,train\nACGT, donor ,test\n"
    assert _pool(tmp_path, text, target).rows.targets[:, 0].tolist() == [1, 2, 0]


def test_labels_may_be_unknown(tmp_path: Path) -> None:
    target = "{kind: multilabel, columns: [x, y]}"
    text = "sequence,part,x,y\nACGT,train,1,\nACGT,test,0,1.0\nACGT,test,NaN,NA\n"
    found = _pool(tmp_path, text, target).rows.targets
    assert np.array_equal(found, [[1, np.nan], [0, 1], [np.nan, np.nan]], equal_nan=True)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20)
)
def test_values_arrive_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    text = HEADER + "".join(f"ACGT,{value!r},train\n" for value in values)
    folder = tmp_path_factory.mktemp("values")
    pool = _pool(folder, text, "{kind: regression, columns: [label]}", "metric: pearson_r\n")
    assert pool.rows.targets[:, 0].tolist() == values


@pytest.mark.parametrize("cell", ["", "high", "nan", "inf", "1e39", "1,5"])
def test_what_is_no_value_is_refused(tmp_path: Path, cell: str) -> None:
    quoted = f'"{cell}"' if "," in cell else cell
    text = HEADER + f"ACGT,1.5,train\nACGT,{quoted},train\n"
    target = "{kind: regression, columns: [label]}"
    (problem,) = _fault(tmp_path, text, target, "metric: pearson_r\n").problems
    assert problem.where.endswith("a.csv:3")
    assert problem.message == f"column 'label' holds {cell!r}"


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        ("ACGT,0,train\nACGT,2,train\n", 3, "column 'label' holds '2'"),
        ("ACGT,0,train\n,1,train\n", 3, "column 'sequence' is empty"),
        ("AC-GT,0,train\n", 2, "column 'sequence' holds '-' at letter 3"),
        ("ACGT,0,train\nACGE,1,train\n", 3, "column 'sequence' holds 'E' at letter 4"),
        ("ACG\u00c4,0,train\n", 2, "column 'sequence' holds '\u00c4' at letter 4"),
        ("ACGT,0,train\nACGT,1\n", 3, "this row has 2 cells, the header has 3"),
        ("ACGT,0,train\nACGT,1,train,9\n", 3, "this row has 4 cells, the header has 3"),
        ("ACGT,0,train\n\nACGT,0,extra\n", 4, "column 'part' holds 'extra'"),
        ('ACGT,0,train\n"ACGT"x,1,train\n', 3, "this line is no row of a table"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, rows: str, line: int, message: str) -> None:
    (problem,) = _fault(tmp_path, HEADER + rows).problems
    assert problem.message.startswith(message)
    assert problem.where.endswith(f"a.csv:{line}")


def test_a_class_that_is_nearly_right_is_guessed(tmp_path: Path) -> None:
    target = "{kind: multiclass, names: [donor, acceptor, none]}"
    (problem,) = _fault(tmp_path, HEADER + "ACGT,aceptor,train\n", target).problems
    assert problem.fix == "did you mean 'acceptor'?"
    assert problem.why == "the classes are 0 (donor), 1 (acceptor), 2 (none)"


def test_a_missing_column_lists_the_others(tmp_path: Path) -> None:
    (problem,) = _fault(tmp_path, "sequences,label,part\nACGT,0,train\n").problems
    assert problem.message == "there is no column 'sequence'"
    assert problem.why == "the columns are 'sequences', 'label', 'part'"
    assert problem.fix == "did you mean 'sequences'?"


def test_quotes_marks_and_line_ends_change_nothing(tmp_path: Path) -> None:
    plain = _pool(tmp_path, HEADER + "ACGT,0,train\nGGGG,1,test\n")
    for data in (
        b'\xef\xbb\xbfsequence,label,part\r\nACGT,0,train\r\n"GGGG","1",test\r\n',
        b"sequence,label,part\nACGT,0,train\nGGGG,1,test",
    ):
        (tmp_path / "a.csv").write_bytes(data)
        again = _read(write_task(tmp_path, CSV, BINARY))
        assert again.rows.sequences == plain.rows.sequences
        assert again.rows.origins == plain.rows.origins


def test_a_table_may_be_compressed_and_is_told_by_content(tmp_path: Path) -> None:
    data = gzip.compress((HEADER + "ACGT,0,train\n").encode())
    (tmp_path / "a.csv").write_bytes(data)
    assert len(_read(write_task(tmp_path, CSV, BINARY)).rows) == 1


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
def test_a_torn_archive_is_an_error(tmp_path: Path, keep: float) -> None:
    letters = np.random.default_rng(0).choice(list("ACGT"), (3000, 40))
    rows = "".join(f"{''.join(row)},0,train\n" for row in letters)
    data = gzip.compress((HEADER + rows).encode())
    (tmp_path / "a.csv").write_bytes(data[: int(keep * len(data))])
    with pytest.raises(DataError) as caught:
        _read(write_task(tmp_path, CSV, BINARY))
    (problem,) = caught.value.problems
    assert problem.message.startswith("the compressed file is damaged: the gzip stream ends early")
    assert problem.why.startswith("its last complete line is ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "this is no table: it looks like a PNG image"),
        (b"PAR1\0\0\0\0", "this is no table: it looks like a Parquet file"),
        (b"sequence,label,part\nACGT,0,tr\xff\n", "byte 0xff is not UTF-8 text"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(DataError) as caught:
        _read(write_task(tmp_path, CSV, BINARY))
    assert caught.value.problems[0].message == message


def test_tsv_with_every_optional_column(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(
        "id\tgene\tchrom\tseq\ty1\ty2\nr1\tg\tc1\tACGU\t1\t-2.5\nr2\tg\tc2\tCC\t0.5\t3\n"
    )
    source = (
        "{format: tsv, files: {all: {path: a.tsv}}, sequence_column: seq, id_column: id, "
        "group_column: gene, contig_column: chrom}"
    )
    target = "{kind: regression, columns: [y1, y2]}"
    more = "metric: pearson_r\nsplit: {by: contig, test: [c2], valid: [c1]}\n"
    pool = _read(write_task(tmp_path, source, target, more))
    assert pool.rows.origins == ("r1", "r2")
    assert pool.rows.groups == ("g", "g")
    assert pool.contigs == ("c1", "c2")
    assert pool.rows.targets.tolist() == [[1.0, -2.5], [0.5, 3.0]]


def test_parquet_gives_the_rows_of_the_table(tmp_path: Path) -> None:
    sequence = pa.array(["ACGT", "GG", "TT"])
    for labels in (pa.array([0, 1, 1]), pa.array([0.0, 1.0, 1.0]), pa.array(["0", "1", "1"])):
        pq.write_table(pa.table({"sequence": sequence, "label": labels}), tmp_path / "a.parquet")
        files = "{train: {path: a.parquet}, test: {path: a.parquet}}"
        pool = _read(write_task(tmp_path, f"{{format: parquet, files: {files}}}", BINARY))
        assert pool.rows.sequences == (b"ACGT", b"GG", b"TT") * 2
        assert pool.rows.targets[:, 0].tolist() == [0, 1, 1, 0, 1, 1]
        assert pool.given == ("train",) * 3 + ("test",) * 3


def test_wrong_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    files = "{train: {path: a.parquet}, test: {path: a.parquet}}"
    cases = [
        (pa.table({"sequence": ["ACGT", None], "label": [0, 1]}), "column 'sequence' is empty"),
        (pa.table({"sequence": [["A"]], "label": [0]}), "column 'sequence' cannot be read"),
        (pa.table({"dna": ["ACGT"], "label": [0]}), "there is no column 'sequence'"),
        (pa.table({"sequence": ["ACGT"], "label": [0.5]}), "column 'label' holds '0.5'"),
    ]
    for table, message in cases:
        pq.write_table(table, path)
        with pytest.raises(DataError) as caught:
            _read(write_task(tmp_path, f"{{format: parquet, files: {files}}}", BINARY))
        assert caught.value.problems[0].message == message
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="this is not readable Parquet"):
        _read(write_task(tmp_path, f"{{format: parquet, files: {files}}}", BINARY))


FASTA = (
    "{format: fasta, files: {train: {path: a.fa}, test: {path: b.fa}}, table: {path: t.csv}, "
    "group_column: gene}"
)


def _fasta(folder: Path, a: str, b: str, table: str) -> Pool:
    for name, text in (("a.fa", a), ("b.fa", b), ("t.csv", table)):
        (folder / name).write_text(text)
    return _read(write_task(folder, FASTA, BINARY))


def test_fasta_is_joined_to_its_table_by_name(tmp_path: Path) -> None:
    table = "gene,label,id\ng3,1,three\ng1,0,one\ng2,1,two\n"
    pool = _fasta(tmp_path, ">one first\nacg\nTTT\n>two\nCC\n", ">three\nGGG\n", table)
    assert pool.rows.sequences == (b"ACGTTT", b"CC", b"GGG")
    assert pool.rows.targets[:, 0].tolist() == [0, 1, 1]
    assert pool.rows.origins == ("one", "two", "three")
    assert pool.rows.groups == ("g1", "g2", "g3")
    assert pool.given == ("train", "train", "test")
    assert pool.counts.soft_masked == 3


@pytest.mark.parametrize(
    ("a", "table", "where", "message"),
    [
        (">one\nAC\n>onn\nAC\n", "one,0,g\nx,1,g\n", "a.fa:4", "record 'onn' has no row"),
        (">one\nAC\n", "one,0,g\nx,1,g\ntwo,1,g\n", "t.csv:4", "1 rows of the table have no seq"),
        (">one\nAC\n", "one,0,g\nx,1,g\none,1,g\n", "t.csv:4", "column 'id' holds 'one' twice"),
        (">one\nAC\n", "one,7,g\nx,1,g\n", "t.csv:2", "column 'label' holds '7'"),
        (">one\nACZ\n", "one,0,g\nx,1,g\n", "a.fa:2", "column 'sequence' holds 'Z' at letter 3"),
    ],
)
def test_a_fault_of_the_join_is_named(
    tmp_path: Path, a: str, table: str, where: str, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        _fasta(tmp_path, a, ">x\nACGT\n", "id,label,gene\n" + table)
    (problem,) = caught.value.problems
    assert problem.where.endswith(where)
    assert problem.message.startswith(message)


def test_missing_files_are_all_named_where_the_spec_names_them(tmp_path: Path) -> None:
    (tmp_path / "a_.fa").write_text(">x\nAC\n")
    with pytest.raises(MissingInputError) as caught:
        write_task(tmp_path, FASTA, BINARY)
    places = [problem.where.rpartition("sample.yaml:")[2] for problem in caught.value.problems]
    assert len(places) == 3 and all(place.startswith("3:") for place in places)
    assert caught.value.problems[0].fix == "did you mean 'a_.fa'?"


def test_derived_rows_have_contigs_and_anchored_files(tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        letters = "".join(np.random.default_rng(seed).choice(list("ACGT"), 4000))
        (tmp_path / f"{name}.fa").write_text(f">{name}.1\n{letters}\n")
    genomes = ", ".join(
        f"{{species: {n}, assembly: x, format: fasta, files: [{{path: {n}.fa}}], label: {n}, "
        f"stretches: [{{contig: {n}.1, name: a, end: 2000}}, "
        f"{{contig: {n}.1, name: b, start: 2000}}]}}"
        for n in ("one", "two")
    )
    source = f"{{format: derived, rule: species, window_bp: 100, genomes: [{genomes}]}}"
    target = write_task(tmp_path, source, BINARY, "split: {by: group, test: [b]}\n")
    assert target.spec.target.names == ("one", "two")
    pool = _read(target)
    assert set(pool.contigs) == {"one.1", "two.1"}
    assert set(pool.rows.groups) == {"a", "b"}
    assert input_files(target.spec, target.base) == ()
    assert all(not math.isnan(value) for value in pool.rows.targets[:, 0])
