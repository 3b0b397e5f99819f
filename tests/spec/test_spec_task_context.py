"""Features by context in a task file: one way to say the context of a row, and no other."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gfmp.errors import SpecError
from gfmp.spec.load import load_spec
from gfmp.spec.task import TaskSpec

ROOT = Path(__file__).resolve().parents[2]
TASK = """\
kind: task
description: For tests.
source: {format: csv, files: {all: {path: a.csv}}COLUMN}
target: {kind: regression, columns: [value, other]BY}
metric: pearson_r
split: {by: random}
"""
CONTEXT = "context: {table: {path: tf.csv}KEY}\n"


def _check(fault: SpecError, words: str) -> None:
    told = [f"{problem.message}: {problem.why}" for problem in fault.problems]
    assert any(words in one for one in told), told


def _loaded(folder: Path, column: str = "", by: str = "", context: str = "") -> TaskSpec:
    path = folder / "t.yaml"
    path.write_text(TASK.replace("COLUMN", column).replace("BY", by) + context)
    return load_spec(path, {"task": TaskSpec})[0]


@pytest.mark.parametrize(
    ("column", "by", "key"),
    [
        (", context_column: tissue", "", ""),
        ("", ", by_context: expression", ""),
        ("", "", ", key: liver"),
    ],
)
def test_there_are_three_ways_to_say_the_context_of_a_row(
    tmp_path: Path, column: str, by: str, key: str
) -> None:
    spec = _loaded(tmp_path, column, by, CONTEXT.replace("KEY", key))
    assert spec.context is not None and spec.context.key_column == "context"
    assert spec.target.names == (("expression",) if by else ("value", "other"))


@pytest.mark.parametrize(
    ("column", "by", "context", "words"),
    [
        (", context_column: tissue", "", "", "no features to join"),
        ("", "", CONTEXT.replace("KEY", ""), "here by none"),
        (
            ", context_column: tissue",
            ", by_context: x",
            CONTEXT.replace("KEY", ", key: liver"),
            "by source.context_column and target.by_context and context.key",
        ),
        ("", "", CONTEXT.replace("KEY", ", key: x, columns: [a, a]"), "a column stands twice"),
        ("", "", CONTEXT.replace("KEY", ", keys: x"), "key"),
        ("", ", by_context: x, names: [a, b]", "", "remove names"),
    ],
)
def test_what_does_not_fit_is_told(
    tmp_path: Path, column: str, by: str, context: str, words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        _loaded(tmp_path, column, by, context)
    _check(caught.value, words)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("{kind: binary, by_context: x}", "only values of a regression"),
        ("{kind: regression, names: [a], by_context: x}", "list the columns that are contexts"),
    ],
)
def test_only_columns_of_values_are_contexts(tmp_path: Path, target: str, words: str) -> None:
    text = TASK.replace("COLUMN", "").replace(
        "{kind: regression, columns: [value, other]BY}", target
    )
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_spec(path, {"task": TaskSpec})
    _check(caught.value, words)


def test_arrays_have_no_columns_of_contexts(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    source = "{format: arrays, files: {all: {path: a.h5}}, sequence_array: x, target_array: y}"
    target = "{kind: regression, columns: [a, b], by_context: x}"
    path.write_text(
        f"kind: task\ndescription: t\nsource: {source}\ntarget: {target}\nmetric: pearson_r\n"
        "split: {by: random}\n"
    )
    with pytest.raises(SpecError) as caught:
        load_spec(path, {"task": TaskSpec})
    _check(caught.value, "arrays have none")


@pytest.mark.parametrize("beside", ["", "tf_"])
def test_the_groups_of_tissues_are_those_of_the_paper(beside: str) -> None:
    with (ROOT / "platform/gfmp/paper/tables/s14.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    groups = dict.fromkeys(row["group"] for row in rows)
    assert len(groups) == 11
    for group in groups:
        path = ROOT / "specs" / "tasks" / f"expression_{beside}{group.lower()}.yaml"
        spec, _ = load_spec(path, {"task": TaskSpec})
        assert list(spec.target.columns) == [r["tissue"] for r in rows if r["group"] == group]
        assert (spec.context is None) == (beside == "")
        assert spec.target.names == ("expression",) and spec.metric == "r2_determination"
