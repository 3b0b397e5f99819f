"""`gfmp tasks`: what is printed is what the files hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfmp.cli.main import gfmp
from gfmp.errors import GfmpError
from gfmp.genome.ingest import build_corpus
from gfmp.plan.survey import find_corpus
from gfmp.storage.workspace import Workspace

YAML = """\
kind: task
description: Is this sequence of the one kind or of the other, which nobody can tell from so few
  letters, but the words must be folded somewhere.
licence: CC0-1.0
citation: Somebody (2020), A journal with a name, 1(2), 3-4.
source: {format: csv, files: {all: {path: rows.csv}}, group_column: gene}
target: {kind: multiclass, names: [donor, acceptor, neither]}
metric: mcc
also: [accuracy, macro_f1]
split: {by: group}
"""
LEAK = "ACGTTGCATTGACCAGTTAGCAGGATCA"


def _letters(num_rows: int) -> list[str]:
    drawn = np.random.default_rng(0).choice(list("ACGT"), (num_rows, 90))
    return ["".join(row) for row in drawn]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one YAML task and a folder in the layout of GUE, and the shell inside."""
    catalogue = tmp_path / "specs" / "tasks"
    catalogue.mkdir(parents=True)
    names = ("donor", "acceptor", "neither")
    rows = [f"{s},{names[i % 3]},g{i // 5}" for i, s in enumerate(_letters(300))]
    (catalogue / "rows.csv").write_text("\n".join(["sequence,label,gene", *rows]) + "\n")
    (catalogue / "sites.yaml").write_text(YAML)
    folder = tmp_path / "gue" / "tata"
    folder.mkdir(parents=True)
    for split, end, leak in (("train", "C", "0"), ("dev", "A", ""), ("test", "C", "1")):
        lines = [f"{LEAK},{leak}"] if leak else []
        lines += [f"{sequence}{end},{i % 2}" for i, sequence in enumerate(_letters(20))]
        (folder / f"{split}.csv").write_text("\n".join(["sequence,label", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GFMP_WORKSPACE", raising=False)
    return tmp_path


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(gfmp, ["tasks", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _fails(*arguments: str) -> GfmpError:
    with pytest.raises(GfmpError) as caught:
        _run(*arguments)
    return caught.value


def test_the_list_knows_rows_once_a_task_is_prepared(project: Path) -> None:
    lines = _run("list").splitlines()
    assert lines[0].split() == ["NAME", "TRAIN", "VALID", "TEST", "OUTPUTS", "METRIC", "FILES"]
    assert lines[1].split() == ["sites", "-", "-", "-", "3", "mcc", "here"]
    assert "sites: csv rows.csv" in lines
    assert not (project / "workspace").exists()  # looking leaves no trace
    _run("show", "sites")
    text = _run("list")
    counts = [int(cell) for cell in text.splitlines()[1].split()[1:4]]
    assert sum(counts) == 300
    assert "not prepared" not in text
    (row,) = json.loads(_run("list", "--json"))
    assert row == {
        "name": "sites",
        "prepared": True,
        "rows": dict(zip(("train", "valid", "test"), counts, strict=True)),
        "target": "multiclass",
        "outputs": ["donor", "acceptor", "neither"],
        "metric": "mcc",
        "source": "csv rows.csv",
        "files": "here",
    }


def test_no_catalogue_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run("list").startswith("There is no specs/tasks/ folder here or above.")
    assert json.loads(_run("list", "--json")) == []


@pytest.mark.parametrize("name", ["sites", "specs/tasks/sites.yaml"])
def test_show_tells_provenance_numbers_and_an_example(project: Path, name: str) -> None:
    text = _run("show", name)
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    assert "target: multiclass: donor, acceptor, neither" in flat
    assert "metric: mcc, accuracy, macro_f1" in flat
    assert "licence: CC0-1.0" in flat and "citation: Somebody (2020)" in flat
    value = json.loads(_run("show", name, "--json"))
    rows = {split: part["rows"] for split, part in value["splits"].items()}
    assert sum(rows.values()) == 300
    lines = [line.split() for line in text.splitlines()]
    train = value["splits"]["train"]
    assert ["train", str(rows["train"]), str(train["groups"]), "90", "90", "90"] in lines
    parts = [value["splits"][split] for split in ("train", "valid", "test")]
    assert ["donor", *(str(part["outputs"]["donor"]) for part in parts)] in lines
    example = next(line for line in text.splitlines() if line.endswith(" ..."))
    sequences = (project / "specs" / "tasks" / "rows.csv").read_text()
    assert example.strip().removesuffix(" ...") in sequences


def test_values_are_shown_with_mean_and_spread(project: Path) -> None:
    rows = "".join(f"{s},{i / 10},{-i}\n" for i, s in enumerate(_letters(60)))
    (project / "y.csv").write_text("sequence,a,b\n" + rows)
    (project / "y.yaml").write_text(
        "kind: task\ndescription: Values.\nsource: {format: csv, files: {all: {path: y.csv}}}\n"
        "target: {kind: regression, columns: [a, b]}\nmetric: pearson_r\nsplit: {by: random}\n"
    )
    text = _run("show", "y.yaml")
    assert "MEAN +- SD" in text
    value = json.loads(_run("show", "y.yaml", "--json"))
    parts = value["splits"].values()
    total = sum(part["outputs"]["a"]["mean"] * part["rows"] for part in parts)
    assert total / 60 == pytest.approx(2.95)


def test_check_counts_leaks_and_says_so(project: Path) -> None:
    fault = _fails("check", "gue/tata")
    assert fault.exit_status == 65
    problem = fault.problems[0]  # the second is of validation
    assert "21 of 21 test rows (100.0%) are train rows: 21 exactly" in problem.message
    assert problem.where.endswith("gue/tata")
    assert "split: {by: contig" in problem.fix and "allow_leaks: [gue-tata]" in problem.fix
    text = _run("check", "gue/tata", "--allow-leaks")
    assert max(map(len, text.splitlines())) <= 80
    value = json.loads(_run("check", "gue/tata", "--allow-leaks", "--json"))
    pairs = {(o["later"], o["earlier"]): o for o in value["overlaps"]}
    assert value["refused"] is True
    assert pairs["test", "train"]["exact"] == 21  # every row, and one with another label
    assert pairs["test", "train"]["conflicting"] == 1
    assert pairs["valid", "train"]["exact"] == 0
    assert pairs["valid", "train"]["near"] == 20  # all but the last letter
    assert "verdict: LEAK: 21 of 21 test rows (100.0%) occur in train" in text
    assert "near: 20 of 20 validation rows (100.0%) share a stretch" in text.replace("\n    ", " ")


def test_check_looks_into_a_corpus(project: Path) -> None:
    letters = _letters(300)
    corpora = project / "specs" / "corpora"
    corpora.mkdir()
    (corpora / "whole.fa").write_text(">c1\n" + "".join(letters[:150]) * 4 + "\n")
    (corpora / "whole.yaml").write_text(
        "kind: corpus\nname: whole\nsources:\n"
        "  - {species: Testus, assembly: t1, format: fasta, files: [{path: whole.fa}]}\n"
    )
    assert _fails("check", "sites", "--corpus", "whole").exit_status == 66
    target = find_corpus("whole", project, Workspace(project / "workspace"))
    build_corpus(target.settings, target.path)
    text = _run("check", "sites", "--corpus", "whole")
    assert "corpus whole" in text
    value = json.loads(_run("check", "sites", "--corpus", "whole", "--json"))
    assert sum(one["exact"] for one in value["exposures"]) == 150
    assert value["refused"] is False


def test_check_is_content_with_a_clean_task(project: Path) -> None:
    assert _run("check", "sites").splitlines()[-1].startswith("verdict: no leak")
    assert json.loads(_run("check", "sites", "--json"))["leaks"] == 0


def test_wrong_data_ends_with_its_status(project: Path) -> None:
    with (project / "specs" / "tasks" / "rows.csv").open("a") as handle:
        handle.write("ACGT,branch,g1\n")
    fault = _fails("check", "sites")
    assert fault.exit_status == 65
    assert fault.problems[0].where.endswith("rows.csv:302")
    assert _fails("show", "nothing").exit_status == 66
    (project / "specs" / "tasks" / "sites.yaml").write_text(YAML + "colour: red\n")
    assert _fails("list").exit_status == 78


def test_a_workspace_can_be_chosen(project: Path) -> None:
    _run("show", "sites", "--workspace", "elsewhere")
    assert (project / "elsewhere" / "tasks" / "sites").is_dir()
    assert not (project / "workspace").exists()


def test_listing_loads_nothing_heavy(project: Path) -> None:
    code = (
        "import sys, gfmp.cli.main as m\n"
        "m.gfmp.main(['tasks', 'list'], standalone_mode=False)\n"
        "heavy = {'torch', 'ray', 'mlflow', 'sklearn', 'scipy', 'pandas'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"
