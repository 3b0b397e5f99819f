"""Tables: every number with its n and interval, and the same bytes for the same cells."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up_sweeps import Sweep

from gfmp.report.analysis import analyse
from gfmp.report.comparisons import Findings
from gfmp.report.tables import (
    Table,
    comparisons_table,
    percent_text,
    reduction_table,
    results_table,
    vocabularies_table,
)


@pytest.fixture(scope="module")
def findings() -> Findings:
    data = Sweep(tasks=("fly", "yeast"), num_test=80, percents=(1.0, 100.0)).data()
    tasks = {name: dataclasses.replace(f, also=("auroc", "mcc")) for name, f in data.tasks.items()}
    return Findings.of(analyse(dataclasses.replace(data, tasks=tasks), 40))


def records(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.csv().decode())))


def test_results_hold_every_point_and_metric_once(findings: Findings) -> None:
    rows = records(results_table(findings))
    assert len(rows) == 2 * 8 * 2 * 2
    keys = {(r["task"], r["model"], r["label_percent"], r["metric"]) for r in rows}
    assert len(keys) == len(rows)
    for row in rows:
        assert float(row["ci_low"]) <= float(row["ci_high"])
        assert (row["num_seeds"], row["num_test_rows"], row["seeds"]) == ("3", "80", "1 2 3")
        assert row["resampled"] == "seeds and test rows"
        assert row["decides"] == ("true" if row["metric"] == "mcc" else "false")
    assert not any("second" in name for name in rows[0])


def test_parquet_and_csv_say_the_same(findings: Findings) -> None:
    table = results_table(findings)
    stored = pq.read_table(pa.BufferReader(table.parquet())).to_pylist()
    for row, line in zip(stored, records(table), strict=True):
        assert row["model"] == line["model"]
        assert f"{row['value']:.6f}" == line["value"]
        assert row["num_train_rows"] == int(line["num_train_rows"])


def test_equal_cells_give_equal_bytes(findings: Findings) -> None:
    again = Findings.of(findings.analysis)
    for make in (results_table, vocabularies_table, reduction_table, comparisons_table):
        assert make(findings).csv() == make(again).csv()
        assert make(findings).parquet() == make(again).parquet()


def test_vocabularies_have_at_most_one_best(findings: Findings) -> None:
    rows = records(vocabularies_table(findings))
    assert len(rows) == 2 * 2 * 6
    for row in rows:
        assert row["num_other_vocabularies"] == "1"
        assert (row["best"] == "true") == (float(row["difference_low"]) > 0)


def test_reductions_say_in_words_what_a_zero_means(findings: Findings) -> None:
    rows = records(reduction_table(findings))
    assert len(rows) == 2 * 6 * 7
    for row in rows:
        assert (float(row["factor"]) == 0.0) == (row["factor_text"] == "not reached")
        assert " to " in row["ci_text"]


def test_comparisons_have_verdicts(findings: Findings) -> None:
    rows = records(comparisons_table(findings))
    assert len(rows) == 2 * 2 * 4 * 3
    assert {row["verdict"] for row in rows} <= {"better", "worse", "not decided"}


def test_undefined_is_empty_and_null_and_no_zero_is_negative() -> None:
    columns = {"a": float, "b": str, "c": bool, "d": int}
    table = Table.of(columns, [{"a": float("nan"), "b": "x,y", "c": False, "d": 3}])
    assert table.csv() == b'a,b,c,d\n,"x,y",false,3\n'
    assert pq.read_table(pa.BufferReader(table.parquet())).to_pylist()[0]["a"] is None
    tiny = Table.of({"a": float}, [{"a": -1e-9}])
    assert tiny.csv() == b"a\n0.000000\n"
    (value,) = pq.read_table(pa.BufferReader(tiny.parquet()))["a"].to_pylist()
    assert not np.signbit(value)


def test_a_name_that_is_a_formula_stays_text() -> None:
    table = Table.of({"b": str}, [{"b": "=HYPERLINK(0)"}])
    assert table.csv() == b"b\n'=HYPERLINK(0)\n"


def test_tables_of_nothing_have_their_columns() -> None:
    empty = Sweep(tasks=()).data()
    table = results_table(Findings.of(analyse(empty, 5)))
    assert table.csv().startswith(b"task,metric,model,")
    assert pq.read_table(pa.BufferReader(table.parquet())).num_rows == 0


def test_percents_have_no_needless_digits() -> None:
    assert [percent_text(p) for p in (0.5, 1.0, 100.0)] == ["0.5", "1", "100"]
