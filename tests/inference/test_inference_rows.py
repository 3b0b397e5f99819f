"""Records become rows: whole or in windows, whatever blocks they arrive in, in bounded memory."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ask_samples import pieces, sequences, write_fasta
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_samples import World, random_dna

from gfmp.errors import DataError, GfmpError, MissingInputError, UsageError
from gfmp.inference.row_files import RowFile
from gfmp.inference.rows import Cut, Record, Row, StretchSize, stretches

WHOLE = Cut(0, 0, shortest_bp=3, longest_bp=1_000)


def read(world: World, path: Path, cut: Cut = WHOLE, **how: object) -> list[Row]:
    reference = how.pop("reference", None)
    assert reference is None or isinstance(reference, Path)
    named = {key: str(value) for key, value in how.items()}
    return list(RowFile.of(path, reference, **named).rows(cut, world.workspace))


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(3, 90),
    window=st.integers(3, 30),
    step=st.integers(1, 30),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_windows_cover_every_base_whatever_the_blocks(
    length: int, window: int, step: int, sizes: list[int]
) -> None:
    text = random_dna(length, length).encode()
    step = min(step, window)
    rows = list(Cut(window, step, 3, 100).rows(Record("c", "f:1", pieces(text, sizes), start=7)))
    assert all(row.sequence == text[row.start - 7 : row.end - 7] for row in rows)
    assert {base for row in rows for base in range(row.start, row.end)} == set(range(7, 7 + length))
    assert all(len(row.sequence) == min(window, length) for row in rows)
    starts = [row.start - 7 for row in rows]
    assert starts == sorted(set(starts))
    assert starts[:-1] == [step * place for place in range(len(starts) - 1)]


def test_the_other_strand_is_read_from_its_own_end() -> None:
    record = Record("c", "f:1", (b"AACCG", b"T"), start=10, strand="-")
    (row,) = WHOLE.rows(record)
    assert (row.sequence, row.start, row.end) == (b"ACGGTT", 10, 16)


@pytest.mark.parametrize(("letters", "says"), [(b"AC", "2 bases"), (b"A" * 1_001, "more than")])
def test_rows_that_cannot_be_read_are_named(letters: bytes, says: str) -> None:
    with pytest.raises(DataError) as caught:
        list(WHOLE.rows(Record("c7", "f.fa:12", (letters,))))
    problem = caught.value.problems[0]
    assert says in problem.message and "c7" in problem.message and problem.where == "f.fa:12"


def test_stretches_are_a_function_of_the_rows(world: World, tmp_path: Path) -> None:
    rows = read(world, write_fasta(tmp_path / "x.fa", sequences(30, 1)))
    cut = list(stretches(rows, StretchSize(7, 200)))
    assert [row for part in cut for row in part.rows] == rows
    assert [part.first for part in cut[1:]] == [part.end for part in cut[:-1]]
    assert all(len(part.rows) <= 7 for part in cut)
    assert [part.number for part in cut] == list(range(len(cut)))
    assert list(stretches(iter(rows), StretchSize(7, 200))) == cut


def test_all_formats_hold_the_same_rows(world: World, tmp_path: Path) -> None:
    texts = sequences(12, 3)
    names = [f"r{i}" for i in range(12)]
    fasta = write_fasta(tmp_path / "x.fa", texts)
    (tmp_path / "x.fna.gz").write_bytes(gzip.compress(fasta.read_bytes()))
    shown = [text.decode().lower().replace("t", "u") for text in texts]
    lines = [f"{name},1,{text}" for name, text in zip(names, shown, strict=True)]
    (tmp_path / "x.csv").write_text("\r\n".join(["id,label,sequence", *lines]))
    (tmp_path / "x.tsv").write_text("\n".join(["seq", *shown]) + "\n")
    pq.write_table(pa.table({"name": names, "sequence": shown}), tmp_path / "x.parquet")
    (tmp_path / "x.bed").write_text(
        "".join(f"{name}\t0\t{len(text)}\n" for name, text in zip(names, texts, strict=True))
    )
    expected = [(name, text) for name, text in zip(names, texts, strict=True)]
    for file in ("x.fa", "x.fna.gz", "x.csv", "x.parquet"):
        assert [(r.name, r.sequence) for r in read(world, tmp_path / file)] == expected, file
    on_bed = read(world, tmp_path / "x.bed", reference=fasta)
    assert [(r.name, r.sequence) for r in on_bed] == expected
    by_line = read(world, tmp_path / "x.tsv")
    assert [r.name for r in by_line] == [str(i) for i in range(2, 14)]
    assert [r.sequence for r in by_line] == list(texts)


def test_intervals_keep_names_strands_and_other_contig_names(world: World, tmp_path: Path) -> None:
    letters = world.contigs["chr1"]
    bed = tmp_path / "x.bed"
    bed.write_text("track name=x\n1\t100\t130\tpeak\t0\t-\nchr1\t5\t25\n")
    one, other = read(world, bed, reference=world.folder / "ref.fa")
    turned = letters[100:130].translate(str.maketrans("ACGT", "TGCA"))[::-1]
    assert (one.name, one.start, one.end, one.strand) == ("peak", 100, 130, "-")
    assert (one.sequence.decode(), other.name) == (turned, "chr1")
    cut = read(world, bed, Cut(20, 10, 3, 100), reference=world.folder / "ref.fa")
    assert [(row.start, row.end) for row in cut] == [(100, 120), (110, 130), (5, 25)]
    assert cut[0].sequence.decode() == turned[10:]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.fa", ">a\nACGT\nAC!T\n", "x.fa:3:3"),
        ("x.fa", ">a\nACGT\n>b\nAC\n", "x.fa:4"),
        ("x.fa", "@a\nACGT\n", "FASTQ"),
        ("x.csv", "sequence,id\nACGT,a\nAC9T,b\n", "x.csv:3"),
        ("x.csv", "sequence,id\nACGT,a\nACGT\n", "x.csv:3"),
        ("x.csv", "letters,id\nACGT,a\n", "'letters', 'id'"),
        ("x.tsv", "sequence\nACGT\n\t\n", "x.tsv:3"),
        ("x.bed", "chr1\t5\t9\nchr1\t880\t1000\n", "x.bed:2"),
        ("x.bed", "chr9\t5\t9\n", "x.bed:1"),
        ("x.bed", "chr1\t5\t9\ta\t0\tx\n", "x.bed:1"),
        ("x.parquet", "no", "Parquet"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    world: World, tmp_path: Path, name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    reference = {"reference": world.folder / "ref.fa"} if name.endswith(".bed") else {}
    with pytest.raises(DataError) as caught:
        read(world, tmp_path / name, **reference)
    problem = caught.value.problems[0]
    assert says in f"{problem.where} {problem.message} {problem.why}"
    assert problem.fix and problem.why


def test_files_are_told_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("ACGT")
    (tmp_path / "x.bed").write_text("chr1\t1\t5\n")
    wrong: list[tuple[str, type[GfmpError], str]] = [
        ("x.txt", UsageError, ".fasta"),
        ("x.bed", UsageError, "--reference"),
        ("y.fa", MissingInputError, "y.fa"),
    ]
    for name, kind, says in wrong:
        with pytest.raises(kind) as caught:
            RowFile.of(tmp_path / name)
        assert says in f"{caught.value} {caught.value.problems[0].why} "


def test_one_name_may_stand_for_many_reads(world: World, tmp_path: Path) -> None:
    (tmp_path / "x.fa").write_text(">a\nACGT\n>a\nGGGG\n")
    assert [row.sequence for row in read(world, tmp_path / "x.fa")] == [b"ACGT", b"GGGG"]


def test_memory_does_not_grow_with_the_file(world: World, tmp_path: Path) -> None:
    line = random_dna(80, 5).encode() + b"\n"
    peaks = []
    for megabases in (3, 9):
        path = tmp_path / f"{megabases}.fa"
        path.write_bytes(b">long\n" + line * (megabases * 1_000_000 // 80))
        tracemalloc.start()
        rows = RowFile.of(path).rows(Cut(512, 512, 3, 1_000), world.workspace)
        count = sum(1 for _ in rows)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == -(-megabases * 1_000_000 // 512)
    assert peaks[1] < 1.2 * peaks[0]
