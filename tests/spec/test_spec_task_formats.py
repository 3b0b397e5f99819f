"""Sources in public formats: what goes together, and that what is not asked for leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.errors import SpecError
from gfmp.spec.load import load_spec
from gfmp.spec.task import TableSource, TargetSpec, TaskSpec
from gfmp.spec.task_sources import FileSource


def _spec(folder: Path, source: str, target: str, more: str = "metric: auroc") -> TaskSpec:
    path = folder / "t.yaml"
    path.write_text(
        f"kind: task\ndescription: x\nsource: {source}\ntarget: {target}\n{more}\n", "utf-8"
    )
    return load_spec(path, {"task": TaskSpec})[0]


def test_a_table_and_a_target_are_written_as_before_they_could_do_more() -> None:
    files = {"all": {"path": "a.csv", "sha256": ""}, "train": None, "valid": None, "test": None}
    table = TableSource.model_validate({"format": "csv", "files": {"all": {"path": "a.csv"}}})
    assert table.model_dump(mode="json") == {
        "format": "csv",
        "files": files,
        "sequence_column": "sequence",
        "group_column": "",
        "contig_column": "",
        "id_column": "",
        "split_column": "",
    }
    assert "files" not in table.model_dump(mode="json", exclude={"files"})
    assert TargetSpec(kind="binary").model_dump(mode="json") == {
        "kind": "binary",
        "columns": ["label"],
        "names": [],
        "positive_weight": 1.0,
    }


def test_what_is_asked_for_is_written() -> None:
    table = TableSource.model_validate(
        {
            "format": "csv",
            "files": {"all": {"path": "a.csv"}},
            "incomplete": "drop",
            "keep": ({"column": "q", "at_least": 1.0},),
        }
    )
    written = table.model_dump(mode="json")
    assert written["incomplete"] == "drop" and written["keep"][0]["column"] == "q"
    assert "held_out" not in written
    target = TargetSpec(kind="multilabel", groups={"DHS": 2, "TF": 1}, positive_weight=8.0)
    assert target.names == ("DHS.1", "DHS.2", "TF.1")
    assert target.model_dump(mode="json")["groups"] == {"DHS": 2, "TF": 1}


ONE = "files: {all: {path: a}}"
PEAKS = "{format: peaks, peaks: [{path: a}], reference: {path: g}}"
PROFILES = "{format: profiles, peaks: {all: {path: a}, CTCF: {path: b}}, reference: {path: g}}"
LISTED = f"{{format: intervals, {ONE}, reference: {{path: g}}, label_list_column: l}}"
HOT = "sequence_array: x, target_array: y"
CASES = [
    (PEAKS, "{kind: multiclass, names: [a, b, c]}", "", "peaks give binary: background, peak"),
    (PEAKS, "{kind: binary}", "", "peaks have no split yet"),
    (PROFILES, "{kind: binary}", "", "profiles give multilabel"),
    (PROFILES, "{kind: multilabel, groups: {TF: 2}}", "", "profiles give multilabel"),
    (PROFILES, "{kind: multilabel, columns: [a]}", "", "profiles give multilabel"),
    (PROFILES, "{kind: multilabel}", "", "profiles have no split yet"),
    (PROFILES, "{kind: multilabel}", "split: {by: group}", "profiles have no split yet"),
    (
        PROFILES.replace("g}}", "g}, window_bp: 100}"),
        "{kind: multilabel}",
        "split: {by: random}",
        "window_bp 100 is shorter than bin_bp 200",
    ),
    (
        PROFILES.replace("all: {path: a}, CTCF: {path: b}", ""),
        "{kind: multilabel}",
        "",
        "at least 1",
    ),
    (LISTED, "{kind: multilabel, columns: [a]}", "", "listed labels are multilabel with target.gr"),
    (LISTED, "{kind: multilabel, groups: {a: 2}, columns: [x]}", "", "columns or groups, not both"),
    (LISTED, "{kind: binary, groups: {a: 2}}", "", "groups count labels or values"),
    (
        LISTED,
        "{kind: multilabel, groups: {a: 2}}",
        "",
        "one file for all rows needs a split_column",
    ),
    ("{format: class_files, path: a}", "{kind: regression, columns: [a]}", "", "have classes"),
    (
        "{format: class_files, path: a}",
        "{kind: binary}",
        "split: {by: random}",
        "the folder has train and test",
    ),
    (
        f"{{format: arrays, {ONE}, {HOT}, channels: AACT}}",
        "{kind: regression, names: [a]}",
        "",
        "channels name each of A, C, G, T once",
    ),
    (
        f"{{format: arrays, {ONE}, {HOT}, crop_start: 5, crop_end: 5}}",
        "{kind: regression, names: [a]}",
        "",
        "crop_end is not after crop_start",
    ),
    (
        "{format: measured_variants, variants: {F9: {path: a}}, reference: {path: g}}",
        "{kind: regression, columns: [a, b]}",
        "",
        "a measured effect is a regression of one value",
    ),
    (
        "{format: genes, genes: {path: a}, reference: {path: g}, upstream_bp: 1, downstream_bp: 1}",
        "{kind: regression, columns: [a], log10_offset: 1.0}",
        "metric: pearson_r",
        "genes have no split yet",
    ),
    (
        "{format: aligned_fasta, files: {all: {path: a}}, "
        "tables: {train: {path: a}, test: {path: b}}}",
        "{kind: regression, columns: [a]}",
        "",
        "files and tables name the same splits",
    ),
    (
        f"{{format: csv, {ONE}}}",
        "{kind: binary, log10_offset: 1.0}",
        "split: {by: random}",
        "only values of a regression have a logarithm",
    ),
]


@pytest.mark.parametrize(("source", "target", "more", "why"), CASES)
def test_what_does_not_go_together_is_told(
    tmp_path: Path, source: str, target: str, more: str, why: str
) -> None:
    metric = "" if "metric" in more else "metric: auroc\n"
    with pytest.raises(SpecError) as caught:
        _spec(tmp_path, source, target, metric + more)
    assert any(why in problem.why for problem in caught.value.problems), caught.value.problems
    assert all("t.yaml" in problem.where for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("source", "target", "more", "roles"),
    [
        (PEAKS, "{kind: binary}", "split: {by: random}", ["peaks", "reference"]),
        (
            PROFILES,
            "{kind: multilabel}",
            "split: {by: random}",
            ["peaks all", "peaks CTCF", "reference"],
        ),
        (
            "{format: class_files, path: a, references: {all: {path: g}}}",
            "{kind: binary, names: [a, b]}",
            "",
            ["reference all"],
        ),
        (
            LISTED.replace("label_list_column: l", "labels: {path: h}, split_column: s"),
            "{kind: multilabel, groups: {a: 3}}",
            "",
            ["all", "reference", "labels"],
        ),
    ],
)
def test_a_source_names_its_files(
    tmp_path: Path, source: str, target: str, more: str, roles: list[str]
) -> None:
    spec = _spec(tmp_path, source, target, "metric: auroc\n" + more)
    assert isinstance(spec.source, FileSource)
    assert [role for role, _, _ in spec.source.parts()] == roles
    body = spec.source.model_dump(mode="json", exclude=set(spec.source.FILES))
    assert "path" not in str(body)  # where a file lies is no part of what a task is
