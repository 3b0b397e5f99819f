"""Task specs: what goes together is taken, everything else is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfmp.errors import Problem, SpecError
from gfmp.spec.load import validate
from gfmp.spec.task import FastaSource, FolderSource, TableSource, TaskSpec, fitting_metrics
from gfmp.storage.documents import parse_document

FOLDER = "{format: folder, path: gue/H3}"
SPECIES = (
    "{format: derived, rule: species, genomes: ["
    "{species: a, assembly: x, format: fasta, files: [{path: a.fa}], label: A, "
    "stretches: [{contig: c, name: n}]}, "
    "{species: b, assembly: x, format: fasta, files: [{path: b.fa}], label: B, "
    "stretches: [{contig: d, name: n}]}]}"
)


def _text(source: str = FOLDER, target: str = "{kind: binary}", more: str = "metric: mcc") -> str:
    return f"kind: task\ndescription: A test.\nsource: {source}\ntarget: {target}\n{more}\n"


def _spec(
    source: str = FOLDER, target: str = "{kind: binary}", more: str = "metric: mcc"
) -> TaskSpec:
    return validate(parse_document(_text(source, target, more), Path("t.yaml")), TaskSpec)


def _problems(
    source: str = FOLDER, target: str = "{kind: binary}", more: str = "metric: mcc"
) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        _spec(source, target, more)
    return caught.value.problems


def test_the_smallest_spec_has_defaults() -> None:
    spec = _spec()
    assert isinstance(spec.source, FolderSource)
    assert (spec.target.columns, spec.target.names) == (("label",), ("0", "1"))
    assert (spec.split.by, spec.split.valid_fraction, spec.split.seed) == ("given", 0.1, 0)
    assert (spec.also, spec.licence, spec.citation) == ((), "", "")


def test_a_table_takes_every_column() -> None:
    source = (
        "{format: tsv, files: {all: {path: a.tsv.gz}}, sequence_column: seq, id_column: id, "
        "group_column: gene, contig_column: chrom, split_column: set}"
    )
    target = "{kind: regression, columns: [leaf, root], names: [in leaves, in roots]}"
    more = "metric: pearson_r\nalso: [spearman_r, r2_determination, r2_pearson]"
    spec = _spec(source, target, more)
    assert isinstance(spec.source, TableSource)
    assert spec.source.files.given()[0][0] == "all"
    assert spec.target.names == ("in leaves", "in roots")


def test_fasta_has_a_table() -> None:
    source = (
        "{format: fasta, files: {train: {path: a.fa}, test: {path: b.fa}}, table: {path: t.tsv}}"
    )
    spec = _spec(source, "{kind: multilabel, columns: [x, y], positive_weight: 2.5}")
    assert isinstance(spec.source, FastaSource)
    assert [key for key, _ in spec.source.files.given()] == ["train", "test"]
    assert (spec.target.names, spec.target.positive_weight) == (("x", "y"), 2.5)


def test_a_derived_task_has_the_classes_of_its_rule() -> None:
    more = "metric: mcc\nsplit: {by: region, test: [{contig: c, start: 10, end: 20}, d]}"
    assert _spec(SPECIES, "{kind: binary}", more).target.names == ("A", "B")
    assert _spec(SPECIES, "{kind: binary, names: [A, B]}", more).target.names == ("A", "B")


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_only_fitting_metrics_are_taken(kind: str) -> None:
    labels = "[a, b]" if kind in ("binary", "multiclass") else "[a]"
    target = f"{{kind: {kind}, columns: [x], names: {labels}}}"
    names = ("mcc", "accuracy", "macro_f1", "auroc", "auprc")
    values = ("pearson_r", "spearman_r", "r2_determination", "r2_pearson")
    values += ("r2_logit", "r2_pearson_logit")
    fitting = values if kind == "regression" else names
    for metric in (*names, *values):
        if metric in fitting:
            assert _spec(target=target, more=f"metric: {metric}").metric == metric
        else:
            (problem,) = _problems(target=target, more=f"metric: {metric}")
            assert problem.where == "t.yaml:5:1"
            assert problem.why.startswith(f"{metric} does not score {kind}; these do: ")
    assert fitting_metrics("regression") == values


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("{kind: binary, names: [a, b, c]}", "binary has two classes"),
        ("{kind: binary, columns: [a, b]}", "binary has one column of classes"),
        ("{kind: binary, names: [a, a]}", "a name stands twice"),
        ("{kind: multiclass, names: [a]}", "multiclass has at least two classes"),
        ("{kind: multiclass}", "multiclass lists its names"),
        ("{kind: multiclass, names: [a, b], positive_weight: 2.0}", "no positive class to weigh"),
        ("{kind: multilabel}", "multilabel lists its columns"),
        ("{kind: multilabel, columns: [a, a]}", "a column stands twice"),
        ("{kind: multilabel, columns: [a, b], names: [x]}", "1 names for 2 columns"),
        ("{kind: multilabel, names: [x]}", "multilabel lists its columns"),
        ("{kind: binary, positive_weight: 0.0}", "greater than 0"),
    ],
)
def test_a_target_that_does_not_hang_together_is_refused(target: str, why: str) -> None:
    problems = _problems(target=target)
    assert any(why in problem.why for problem in problems), problems
    assert all(problem.where.startswith("t.yaml:4:") for problem in problems)


TABLE = "{format: csv, files: {all: {path: a.csv}}}"
PARTS = "{format: csv, files: {train: {path: a.csv}, test: {path: b.csv}}}"


@pytest.mark.parametrize(
    ("source", "split", "why"),
    [
        (TABLE, "", "one file for all rows needs a split_column"),
        (TABLE, "{by: contig, test: [c]}", "split by contig needs source.contig_column"),
        (TABLE, "{by: group}", "split by group needs source.group_column"),
        (PARTS, "{by: random}", "by must be given"),
        (FOLDER, "{by: random}", "by must be given"),
        (SPECIES, "", "rows derived from annotation have no split yet"),
        (FOLDER, "{by: given, test: [c]}", "split by given names no members"),
        (TABLE, "{by: random, valid: [c]}", "split by random names no members"),
        (TABLE, "{by: group, test: [{contig: c}]}", "coordinates need `by: region`"),
        (SPECIES, "{by: region, test: [{contig: c, start: 9, end: 3}]}", "not after its start"),
        (FOLDER, "{valid_fraction: 1.0}", "less than 1"),
    ],
)
def test_a_split_that_does_not_fit_the_source_is_refused(source: str, split: str, why: str) -> None:
    more = f"metric: mcc\nsplit: {split}" if split else "metric: mcc"
    problems = _problems(source, more=more)
    assert any(why in problem.why for problem in problems), problems


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{format: csv, files: {train: {path: a.csv}}}", "give `all`, or both"),
        ("{format: csv, files: {all: {path: a}, test: {path: b}}}", "not both"),
        ("{format: csv, files: {}}", "give `all`, or both"),
        ("{format: fasta, files: {all: {path: a.fa}}}", "it has no default"),
        ("{format: xlsx, files: {all: {path: a}}}", "'csv', 'tsv', 'parquet'"),
        ("{format: folder, path: ''}", "at least 1 character"),
    ],
)
def test_a_source_that_is_not_whole_is_refused(source: str, why: str) -> None:
    problems = _problems(source)
    assert any(why in problem.why for problem in problems), problems
    assert all(problem.where.startswith("t.yaml:3:") for problem in problems)


def test_every_problem_is_told_at_once_with_its_place() -> None:
    text = _text(FOLDER.replace("path", "pth"), "{kind: binary, names: [a]}", "metric: mc")
    with pytest.raises(SpecError) as caught:
        validate(
            parse_document(text + "licens: MIT\nsplit: {by: hand}\n", Path("t.yaml")), TaskSpec
        )
    found = {problem.where.removeprefix("t.yaml:"): problem for problem in caught.value.problems}
    assert {place.split(":")[0] for place in found} == {"3", "4", "6", "7"}
    (unknown,) = (p for p in caught.value.problems if p.message == "unknown key 'licens'")
    assert unknown.fix == "did you mean 'licence'?"


def test_a_near_metric_is_guessed_and_none_stands_twice() -> None:
    (problem,) = _problems(more="metric: acuracy")
    assert problem.why.endswith("did you mean 'accuracy'?")
    for also in ("[mcc]", "[auroc, auroc]"):
        (problem,) = _problems(more=f"metric: mcc\nalso: {also}")
        assert problem.why == "a metric stands twice"


def test_a_derived_task_cannot_ask_for_other_classes() -> None:
    more = "metric: mcc\nsplit: {by: group, test: [n]}"
    for target in ("{kind: binary, names: [B, A]}", "{kind: multiclass, names: [A, B]}"):
        (problem,) = _problems(SPECIES, target, more)
        assert problem.why == "the rule species gives binary: A, B"
