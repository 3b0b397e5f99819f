"""Finding tasks by name, by file and by folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from task_samples import write_layout

from gfmp.errors import DataError, GfmpError, MissingInputError, RefusedError, SpecError
from gfmp.spec.task import CLASS_METRICS, VALUE_METRICS
from gfmp.tasks.catalogue import find_task, known_tasks
from gfmp.tasks.metrics import METRICS

YAML = """\
kind: task
description: For tests.
source: {format: csv, files: {train: {path: a.csv}, test: {path: b.csv}}}
target: {kind: binary}
metric: mcc
"""
ROWS = [("ACGT", "0"), ("GGCC", "1")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two tasks, one of which lacks a file."""
    catalogue = tmp_path / "specs" / "tasks"
    catalogue.mkdir(parents=True)
    for name in ("a.csv", "b.csv"):
        (catalogue / name).write_text("sequence,label\nACGT,0\nGGCC,1\n")
    (catalogue / "whole.yaml").write_text(YAML)
    (catalogue / "broken.yaml").write_text(YAML.replace("b.csv", "c.csv"))
    (tmp_path / "jobs").mkdir()
    return tmp_path


def test_a_name_is_found_from_anywhere_in_the_project(project: Path) -> None:
    for start in (project, project / "jobs", project / "jobs" / "sweep.yaml"):
        target = find_task("whole", start)
        assert (target.name, target.where) == ("whole", project / "specs" / "tasks" / "whole.yaml")
        assert target.base == project / "specs" / "tasks"


def test_a_path_is_taken_as_it_is(project: Path) -> None:
    assert find_task("../specs/tasks/whole.yaml", project / "jobs").name == "whole"
    assert find_task(str(project / "specs/tasks/whole.yaml"), Path("/")).name == "whole"


def test_the_catalogue_lists_tasks_whose_files_are_missing(project: Path) -> None:
    assert [target.name for target in known_tasks(project / "jobs")] == ["broken", "whole"]
    with pytest.raises(MissingInputError) as caught:
        find_task("broken", project)
    (problem,) = caught.value.problems
    assert problem.where.endswith("broken.yaml:3:60")
    assert "c.csv" in problem.message


def test_no_catalogue_is_no_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert known_tasks(tmp_path) == ()


def test_a_broken_yaml_is_loud(project: Path) -> None:
    (project / "specs" / "tasks" / "bad.yaml").write_text(YAML + "metrics: mcc\n")
    with pytest.raises(SpecError, match="unknown key 'metrics'"):
        known_tasks(project)


@pytest.mark.parametrize(
    ("name", "fix"), [("whol", "did you mean 'whole'?"), ("zzz", "name one of these, or")]
)
def test_an_unknown_name_lists_what_is_known(project: Path, name: str, fix: str) -> None:
    with pytest.raises(MissingInputError) as caught:
        find_task(name, project)
    (problem,) = caught.value.problems
    assert problem.why == "known in specs/tasks: broken, whole"
    assert problem.fix.startswith(fix)


def test_a_name_no_folder_can_have_is_refused(project: Path) -> None:
    (project / "specs" / "tasks" / "Whole.yaml").write_text(YAML)
    with pytest.raises(RefusedError, match="task name 'Whole' is not allowed"):
        find_task("Whole", project)


def test_a_folder_is_a_task(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "EMP" / "H3", train=ROWS, dev=ROWS, test=ROWS)
    for name in (str(folder), "EMP/H3"):
        target = find_task(name, tmp_path)
        assert (target.name, target.where, target.base) == ("emp-h3", folder, folder)
        assert (target.spec.target.kind, target.spec.metric) == ("binary", "mcc")
    write_layout(tmp_path / "plain", train=ROWS, test=ROWS)
    assert find_task("plain", tmp_path).spec.target.names == ("0", "1")


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        ("0 1", "binary", ("0", "1")),
        ("0", "binary", ("0", "1")),
        ("2 0 1", "multiclass", ("0", "1", "2")),
        ("0.5 1", "regression", ("label",)),
        ("0 7", "regression", ("label",)),
        ("-1 1", "regression", ("label",)),
    ],
)
def test_the_target_of_a_folder_is_read_off_its_labels(
    tmp_path: Path, labels: str, kind: str, names: tuple[str, ...]
) -> None:
    rows = [("ACGT", label) for label in labels.split()]
    folder = write_layout(tmp_path / "x" / "y", train=rows, test=rows[:1])
    spec = find_task(str(folder), tmp_path).spec
    assert (spec.target.kind, spec.target.names) == (kind, names)
    assert spec.metric == ("pearson_r" if kind == "regression" else "mcc")


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": ROWS}, "this folder holds no task"),
        ({"test": ROWS}, "this folder holds no task"),
        ({"train": [("ACGT", "promoter")], "test": ROWS}, "column 'label' holds 'promoter'"),
    ],
)
def test_a_folder_that_is_no_task_is_told(
    tmp_path: Path, splits: dict[str, list[tuple[str, str]]], message: str
) -> None:
    folder = write_layout(tmp_path / "x" / "y", **splits)
    with pytest.raises((MissingInputError, DataError)) as caught:
        find_task(str(folder), tmp_path)
    fault: GfmpError = caught.value
    assert fault.problems[0].message == message


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    write_layout(tmp_path / "gue" / "splice", train=ROWS, test=ROWS)
    with pytest.raises(MissingInputError) as caught:
        find_task("gue/splcie", tmp_path)
    assert caught.value.problems[0].fix == "did you mean 'splice'?"


def test_every_metric_of_a_spec_can_be_scored() -> None:
    assert {*CLASS_METRICS, *VALUE_METRICS} == set(METRICS)
