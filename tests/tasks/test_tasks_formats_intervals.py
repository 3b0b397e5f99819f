"""Intervals cut out of a reference: Genomic Benchmarks, BEND, genes of ExPecto."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from public_rows import other_strand, read, texts, write_fasta, write_text

from gfmp.errors import DataError, MissingInputError, SpecError

GENOME = dict(zip(("1", "2", "X"), texts(3, 500), strict=True))
NAMES = "{kind: binary, names: [negative, positive]}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a genome whose contigs are called 1, 2 and X."""
    write_fasta(tmp_path / "genome.fa.gz", GENOME)
    return tmp_path


def _class_csv(folder: Path, start: int = 10) -> None:
    for split in ("train", "test"):
        for name, contig in (("positive", "chr1"), ("negative", "chrX")):
            lines = ["id,region,start,end,strand"]
            lines += [f"{i},{contig},{start + 50 * i},{start + 50 * i + 30},+" for i in range(3)]
            lines.append(f"3,{contig},200,230,-")
            write_text(folder / "set" / split / f"{name}.csv.gz", "\n".join(lines) + "\n")


CLASS_CSV = "{format: class_files, path: set, references: {all: {path: genome.fa.gz}}}"


def test_intervals_of_classes_are_cut_out_of_the_reference(project: Path) -> None:
    _class_csv(project)
    pool = read(project, CLASS_CSV, NAMES)
    assert pool.given == ("train",) * 8 + ("test",) * 8
    assert pool.rows.targets[:, 0].tolist() == ([0] * 4 + [1] * 4) * 2
    assert pool.rows.origins[4] == "chr1:10-40:+"
    assert pool.rows.sequences[4].decode() == GENOME["1"][10:40]
    assert pool.rows.sequences[7].decode() == other_strand(GENOME["1"][200:230])
    assert pool.rows.sequences[0].decode() == GENOME["X"][10:40]
    assert pool.notes == (
        "1 contigs of genome.fa.gz go by another name: X as chrX",
        "1 contigs of genome.fa.gz go by another name: 1 as chr1",
    )


def test_each_class_may_have_a_reference_of_its_own(project: Path) -> None:
    _class_csv(project)
    write_fasta(project / "worm.fa", {"chrX": texts(1, 400, seed=9)[0]})
    source = (
        "{format: class_files, path: set, references: {positive: {path: genome.fa.gz}, "
        "negative: {path: worm.fa}}}"
    )
    pool = read(project, source, NAMES)
    assert pool.rows.sequences[0].decode() == texts(1, 400, seed=9)[0][10:40]
    assert pool.rows.sequences[4].decode() == GENOME["1"][10:40]


@pytest.mark.parametrize(
    ("start", "message"),
    [(480, "chrX:480-510 reaches beyond the contig"), (-20, "chrX:-20-10:+ is no interval")],
)
def test_an_interval_that_is_not_there_is_named(project: Path, start: int, message: str) -> None:
    _class_csv(project, start)
    with pytest.raises(DataError) as caught:
        read(project, CLASS_CSV, NAMES)
    (problem,) = caught.value.problems
    assert problem.message == message
    assert problem.where.endswith("train/negative.csv.gz:2")


def test_a_contig_that_the_reference_lacks_is_told(project: Path) -> None:
    _class_csv(project)
    write_fasta(project / "genome.fa.gz", {"1": GENOME["1"], "Y": GENOME["X"]})
    with pytest.raises(DataError) as caught:
        read(project, CLASS_CSV, NAMES)
    (problem,) = caught.value.problems
    assert problem.message == "there is no contig 'chrX'"
    assert problem.why == "its contigs are 1, Y"


def test_texts_of_classes_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for k, name in enumerate(("worm", "human")):
            for i, text in enumerate(texts(12, 40, seed=k)):
                write_text(tmp_path / "set" / split / name / f"{i}.txt", text)
    source = "{format: class_files, path: set}"
    pool = read(tmp_path, source, "{kind: binary, names: [worm, human]}")
    assert pool.rows.sequences[:12] == tuple(text.encode() for text in texts(12, 40, seed=0))
    assert pool.rows.origins[11] == "train/worm/11.txt"
    assert pool.rows.targets.sum() == 24


def test_a_class_without_files_is_told(project: Path) -> None:
    _class_csv(project)
    (project / "set" / "test" / "positive.csv.gz").unlink()
    with pytest.raises(MissingInputError) as caught:
        read(project, CLASS_CSV, NAMES)
    assert caught.value.problems[0].message == "the class 'positive' has no files for test"


def test_intervals_without_a_reference_are_told(project: Path) -> None:
    _class_csv(project)
    with pytest.raises(DataError, match="no reference is named"):
        read(project, "{format: class_files, path: set}", NAMES)
    with pytest.raises(SpecError) as caught:
        read(project, CLASS_CSV.replace("all:", "positve:"), NAMES)
    assert "references name a class that target.names does not: positve" in str(
        caught.value.problems[0].why
    )


BEND = (
    "{format: intervals, files: {all: {path: histone.bed}}, reference: {path: genome.fa.gz}, "
    "strand_column: strand, split_column: split, label_list_column: label}"
)
HISTONES = "{kind: multilabel, groups: {histone: 18}}"
AUROC = "metric: auroc\n"


def _bend(folder: Path, labels: str = "0,17") -> None:
    header = "chromosome\tstart\tend\tstrand\tsplit\tlabel"
    rows = [
        f"chr1\t10\t42\t+\ttrain\t{labels}",
        "chr1\t100\t132\t-\ttrain\t",
        "chr2\t10\t42\t+\tvalid\t3",
        "chrX\t5\t37\t-\ttest\t3,4,5",
    ]
    write_text(folder / "histone.bed", "\n".join([header, *rows]) + "\n")


def test_labels_that_are_listed_are_kept_sparse(project: Path) -> None:
    _bend(project)
    pool = read(project, BEND, HISTONES, AUROC)
    assert pool.rows.targets.shape == (4, 18)
    assert [np.flatnonzero(row).tolist() for row in pool.rows.matrix] == [
        [0, 17],
        [],
        [3],
        [3, 4, 5],
    ]
    assert pool.rows.sequences[3].decode() == other_strand(GENOME["X"][5:37])
    assert pool.given == ("train", "train", "valid", "test")


@pytest.mark.parametrize("labels", ["18", "-1", "a", "1;2"])
def test_a_label_that_the_target_does_not_count_is_named(project: Path, labels: str) -> None:
    _bend(project, labels)
    with pytest.raises(DataError) as caught:
        read(project, BEND, HISTONES, AUROC)
    (problem,) = caught.value.problems
    assert problem.message == f"column 'label' holds {labels!r}"
    assert problem.where.endswith("histone.bed:2")


def test_labels_of_hdf5_belong_to_the_rows_of_the_table(project: Path) -> None:
    import h5py

    _bend(project)
    labels = np.random.default_rng(0).integers(0, 2, (4, 125))
    with h5py.File(project / "histone.hdf5", "w") as file:
        file["labels"] = labels
    source = BEND.replace("label_list_column: label", "labels: {path: histone.hdf5}")
    target = "{kind: multilabel, groups: {accessible: 125}}"
    pool = read(project, source, target, AUROC)
    assert np.array_equal(pool.rows.matrix, labels)
    with pytest.raises(DataError) as caught:
        read(project, source, HISTONES, AUROC)
    assert caught.value.problems[0].message == "array 'labels' has the shape (4, 125)"


GENES = (
    "{format: genes, genes: {path: geneanno.csv}, values: {path: geneanno.exp.csv}, "
    "reference: {path: genome.fa.gz}, position_column: TSS, upstream_bp: 20, downstream_bp: 30, "
    "keep_contigs: [chr1, chr2]}"
)
TISSUES = "{kind: regression, columns: [Adipose, Liver], log10_offset: 0.0001}"
R2 = "metric: r2_determination\nsplit: {by: contig, test: [chr2]}\n"


def _genes(folder: Path) -> None:
    rows = ["id,symbol,seqnames,strand,TSS", "g1,A,chr1,+,101", "g2,B,chr1,-,101"]
    rows += ["g3,C,chr2,+,5", "g4,D,chrX,+,101", "g5,E,chr2,+,200"]
    write_text(folder / "geneanno.csv", "\n".join(rows) + "\n")
    values = [",Adipose,Liver", *(f"{i},{i / 10},0" for i in range(5))]
    write_text(folder / "geneanno.exp.csv", "\n".join(values) + "\n")


def test_a_window_begins_upstream_of_the_start_on_either_strand(project: Path) -> None:
    _genes(project)
    pool = read(project, GENES, TISSUES, R2)
    forward, reverse, other = (sequence.decode() for sequence in pool.rows.sequences)
    letters = GENOME["1"]
    assert forward == letters[80:130]
    assert forward[20] == letters[100]  # the first transcribed base, 1-based 101
    assert reverse == other_strand(letters[71:121])
    assert reverse[20] == other_strand(letters[100])
    assert other == GENOME["2"][179:229]
    assert pool.rows.groups == ("g1", "g2", "g5")
    assert pool.rows.targets[1].tolist() == pytest.approx([np.log10(0.1001), -4.0])
    assert set(pool.left_out) == {
        "1 genes on other contigs than source.keep_contigs",
        "1 genes whose window reaches over the end of a contig",
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("g2,B,chr1,-", "g2,B,chr1,?", "column 'strand' holds '?'"),
        ("g2,B,chr1,-,101", "g2,B,chr1,-,x", "TSS holds 'x'"),
        ("g5,E,chr2,+,200\n", "", "4 genes and 5 rows of values"),
    ],
)
def test_a_wrong_gene_is_named(project: Path, old: str, new: str, message: str) -> None:
    _genes(project)
    path = project / "geneanno.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError) as caught:
        read(project, GENES, TISSUES, R2)
    assert caught.value.problems[0].message == message
