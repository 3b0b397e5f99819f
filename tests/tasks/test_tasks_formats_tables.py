"""Public tables: GUE, RNA of BEACON, reads behind ribosome loads, toehold switches, NT's tasks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from public_rows import read, texts, write_text
from task_samples import write_task

from gfmp.errors import DataError, SpecError
from gfmp.tasks.prepare import build

VALUE = "{kind: regression, columns: [rl]}"
BY_VALUE = "metric: r2_pearson\n"
MRL = (
    "{format: csv, files: {all: {path: mrl.csv.gz}}, sequence_column: utr, "
    "keep: [{column: total_reads, at_least: 10}], held_out: {most: total_reads, within: len, "
    "rows: 2, sets: set, train: random, test: TEST}}"
)


def _mrl(folder: Path) -> None:
    """Two lengths, six random and four human leaders of each, reads 9 and up."""
    lines = [",utr,total,rl,set,total_reads,len"]
    number = 0
    for length in (25, 26):
        for name, count in (("random", 6), ("human", 4)):
            for i, utr in enumerate(texts(count, length, seed=number)):
                reads = 9 + i
                lines.append(f"{number},{utr},1.0,{reads / 10},{name},{reads},{length}")
                number += 1
    write_text(folder / "mrl.csv.gz", "\n".join(lines) + "\n")


def test_ribosome_loads_hold_out_the_best_measured_leaders_of_each_length(tmp_path: Path) -> None:
    _mrl(tmp_path)
    for test, reads in (("random", [13, 14]), ("human", [11, 12])):
        pool = read(tmp_path, MRL.replace("TEST", test), VALUE, BY_VALUE)
        found = np.round(pool.rows.targets[:, 0] * 10).astype(int)
        split = np.array(pool.given)
        # of six random leaders one has 9 reads, two are held out and three are learned from
        assert sorted(found[split == "train"].tolist()) == [10, 10, 11, 11, 12, 12]
        assert sorted(found[split == "test"].tolist()) == sorted(reads * 2)
        assert {len(s) for s in pool.rows.sequences} == {25, 26}
        below, held_back = pool.left_out
        assert below == "4 rows of mrl.csv.gz: total_reads is below 10"
        assert held_back.startswith("6 rows of a set that is not learned from")


def test_a_set_that_is_not_there_is_told(tmp_path: Path) -> None:
    _mrl(tmp_path)
    with pytest.raises(DataError) as caught:
        read(tmp_path, MRL.replace("TEST", "mouse"), VALUE, BY_VALUE)
    assert caught.value.problems[0].why == "it holds human, random"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("split_column: x", "held_out splits one file for all rows"),
        ("keep: [{column: a}]", "a filter gives any_of, at_least or at_most"),
    ],
)
def test_filters_that_make_no_sense_are_refused(tmp_path: Path, more: str, why: str) -> None:
    _mrl(tmp_path)
    source = MRL.replace("TEST", "random").replace("sequence_column: utr", more)
    with pytest.raises(SpecError) as caught:
        write_task(tmp_path, source, VALUE, BY_VALUE)
    assert any(why in problem.why for problem in caught.value.problems)


def _switches(folder: Path) -> None:
    lines = ["sequence_id,source_sequence,seq_SwitchON_GFP,ON,OFF,ON_OFF,QC_ON_OFF"]
    cells = [
        ("0.9,0.2,0.7", "1.5"),
        ("0.5,0.5,0.0", "1.1"),
        ("0.4,,", "2.0"),  # only measured in one state
        ("0.1,0.2,-0.1", "1.0"),  # below the quality
        (",,", ""),
        ("0.8,0.1,0.7", "5"),
    ]
    for i, (values, quality) in enumerate(cells):
        sequence = texts(1, 148, seed=i)[0]
        lines.append(f"t{i},gene{i % 2},{sequence},{values},{quality}")
    write_text(folder / "toehold.csv", "\n".join(lines) + "\n")


def test_switches_have_three_values_and_a_quality(tmp_path: Path) -> None:
    _switches(tmp_path)
    source = (
        "{format: csv, files: {all: {path: toehold.csv}}, sequence_column: seq_SwitchON_GFP, "
        "id_column: sequence_id, group_column: source_sequence, incomplete: drop, "
        "keep: [{column: QC_ON_OFF, at_least: 1.1}]}"
    )
    target = "{kind: regression, columns: [ON, OFF, ON_OFF]}"
    pool = read(tmp_path, source, target, "metric: r2_pearson\nsplit: {by: random}\n")
    assert pool.rows.origins == ("t0", "t1", "t5")
    assert pool.rows.groups == ("gene0", "gene1", "gene1")
    assert pool.rows.targets.shape == (3, 3)
    assert pool.rows.targets[0].tolist() == pytest.approx([0.9, 0.2, 0.7])
    assert pool.left_out == (
        "2 rows of toehold.csv: QC_ON_OFF is below 1.1",
        "1 rows of toehold.csv: a target is empty",
    )


def test_without_drop_an_empty_target_is_an_error(tmp_path: Path) -> None:
    _switches(tmp_path)
    source = "{format: csv, files: {all: {path: toehold.csv}}, sequence_column: seq_SwitchON_GFP}"
    more = "metric: r2_pearson\nsplit: {by: random}\n"
    with pytest.raises(DataError) as caught:
        read(tmp_path, source, "{kind: regression, columns: [ON]}", more)
    assert caught.value.problems[0].where.endswith("toehold.csv:6")


def test_a_quality_that_is_no_number_is_named(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "sequence,y,q\nACGT,1,good\n")
    source = "{format: csv, files: {all: {path: a.csv}}, keep: [{column: q, at_most: 1}]}"
    with pytest.raises(DataError) as caught:
        read(
            tmp_path,
            source,
            "{kind: regression, columns: [y]}",
            "metric: pearson_r\nsplit: {by: random}\n",
        )
    (problem,) = caught.value.problems
    assert problem.message == "column 'q' holds 'good'" and problem.where.endswith("a.csv:2")


def test_isoform_tables_are_read_by_position_and_hold_rna(tmp_path: Path) -> None:
    """BEACON: four columns, the second the sequence, the third the share; nobody names them."""
    for name, rows in (("train_new", 6), ("val", 2), ("test", 3), ("holdout_HSPE1", 2)):
        lines = [",x,iso,lib"] + [
            f"{i},{s.replace('T', 'U')},{(i + 1) / 10},HSPE1"
            for i, s in enumerate(texts(rows, 30, seed=rows))
        ]
        write_text(tmp_path / f"{name}.csv", "\n".join(lines) + "\n")
    for held in ("test", "holdout_HSPE1"):
        source = (
            "{format: csv, files: {train: {path: train_new.csv}, valid: {path: val.csv}, "
            f'test: {{path: {held}.csv}}}}, sequence_column: "#2"}}'
        )
        target = '{kind: regression, columns: ["#3"], names: [proximal]}'
        more = "metric: r2_logit\nalso: [r2_pearson, r2_pearson_logit]\n"
        pool = read(tmp_path, source, target, more)
        assert pool.counts.uracil > 0  # RNA is read as DNA
        assert all(set(s) <= set(b"ACGT") for s in pool.rows.sequences)
        assert pool.given.count("test") == (3 if held == "test" else 2)
        assert pool.rows.targets[:2, 0].tolist() == pytest.approx([0.1, 0.2])


def test_a_position_beyond_the_header_is_told(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "a,b\nACGT,1\n")
    source = '{format: csv, files: {all: {path: a.csv}}, sequence_column: "#3"}'
    with pytest.raises(DataError) as caught:
        read(tmp_path, source, '{kind: binary, columns: ["#2"]}', "split: {by: random}\n")
    assert caught.value.problems[0].message == "there is no column #3"


def test_one_task_is_picked_out_of_a_table_of_many(tmp_path: Path) -> None:
    """Nucleotide Transformer's tables: sequence, name, label, task."""
    for name in ("train", "test"):
        lines = ["sequence,name,label,task"]
        lines += [f"{s},n{i},{i % 2},{'H3' if i < 4 else 'H4'}" for i, s in enumerate(texts(8, 20))]
        write_text(tmp_path / f"{name}.csv", "\n".join(lines) + "\n")
    files = "files: {train: {path: train.csv}, test: {path: test.csv}}"
    source = f"{{format: csv, {files}, keep: [{{column: task, any_of: [H3]}}], id_column: name}}"
    pool = read(tmp_path, source, "{kind: binary}")
    assert pool.rows.origins == ("n0", "n1", "n2", "n3") * 2
    assert pool.left_out[0] == "4 rows of train.csv: task is not H3"


def test_expression_is_learned_as_a_logarithm(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "sequence,tpm\nACGT,0\nCCCC,99.9\n")
    source = "{format: csv, files: {all: {path: a.csv}}}"
    more = "metric: r2_determination\nsplit: {by: random}\n"
    target = "{kind: regression, columns: [tpm], log10_offset: 0.1}"
    pool = read(tmp_path, source, target, more)
    assert pool.rows.targets[:, 0].tolist() == pytest.approx([-1.0, 2.0])
    write_text(tmp_path / "a.csv", "sequence,tpm\nACGT,-3\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path, source, target, more)
    assert caught.value.problems[0].why == "with log10_offset 0.1 it has no logarithm"


def test_what_was_left_out_is_told_of_the_task(tmp_path: Path) -> None:
    _mrl(tmp_path)
    task = write_task(tmp_path, MRL.replace("TEST", "human"), VALUE, BY_VALUE)
    built = build(task.name, task.spec, task.base)
    assert built.facts["left out"].startswith("4 rows of mrl.csv.gz")
    assert len(built.test) == 4
    assert len(built.train) + len(built.valid) == 6
