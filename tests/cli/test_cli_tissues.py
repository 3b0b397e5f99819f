"""The paper's tissues from tables in ExPecto's format, made up here: planned, bound, learned."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from gfmp.cli.main import gfmp
from gfmp.cluster.sweep_inputs import SweepNames, bind, look_up
from gfmp.cluster.transfers import prepared
from gfmp.errors import DataError, MissingInputError
from gfmp.learners.kmer import KmerTrial
from gfmp.plan.cells import Cell, Ingredient
from gfmp.spec.load import load_spec
from gfmp.spec.sweep import SweepSpec
from gfmp.storage.workspace import Workspace
from gfmp.tasks.store import TaskStore
from gfmp.tasks.task import SPLITS, Task

ROOT = Path(__file__).resolve().parents[2]
CONTIGS = {"chr1": 10, "chr8": 4, "chr9": 3}
SPACING_BP = 3_200
FACTORS = ("FOS", "GATA1", "TP53")


def _tissues() -> list[str]:
    with (ROOT / "platform/gfmp/paper/tables/s14.csv").open(encoding="utf-8") as stream:
        return [row["tissue"] for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the specs of the repository and a few genes in 31 tissues."""
    folder = tmp_path_factory.mktemp("tissues")
    shutil.copytree(ROOT / "specs", folder / "specs")
    data, generator = folder / "data", np.random.default_rng(0)
    for name in ("expecto", "genomes"):
        (data / name).mkdir(parents=True)
    letters, genes, values = [], [], []
    tissues = _tissues()
    for contig, num_genes in CONTIGS.items():
        drawn = generator.choice(list("ACGT"), SPACING_BP * (num_genes + 1))
        letters.append(f">{contig}\n{''.join(drawn)}\n")
        for i in range(num_genes):
            genes.append(f"{contig}g{i},{contig},{SPACING_BP * (i + 1) - 1_600},{'+-'[i % 2]}")
            # What differs between tissues is the tissue: 10 ** (its number / 10).
            values.append(",".join([f"{contig}g{i}", *(f"{10 ** (t / 10)}" for t in range(31))]))
    (data / "genomes" / "hg19.fa.gz").write_text("".join(letters))
    header = "id,seqnames,CAGE_representative_TSS,strand"
    (data / "expecto" / "geneanno.csv").write_text("\n".join([header, *genes]) + "\n")
    header = ",".join(["id", *tissues])
    (data / "expecto" / "geneanno.exp.csv").write_text("\n".join([header, *values]) + "\n")
    table = [
        "\t".join([tissue, str(number), str(100 - number), "3.5"])
        for number, tissue in enumerate(tissues)
    ]
    header = "\t".join(["tissue", *FACTORS])
    path = data / "expecto" / "tf_expression.tsv"
    path.write_text("\n".join([header, *reversed(table)]) + "\n")
    return folder


def _names(project: Path, name: str, workspace: Workspace) -> SweepNames:
    spec, document = load_spec(project / "specs" / "paper" / f"{name}.yaml", {"sweep": SweepSpec})
    # Baselines need no pretrained model.
    arms = tuple(arm for arm in spec.arms if not arm.initial)
    return look_up(spec.model_copy(update={"arms": arms}), document, workspace)


def _bound(names: SweepNames, workspace: Workspace) -> tuple[dict[str, Task], tuple[Cell, ...]]:
    tasks = prepared(names.targets, names.pools, TaskStore(workspace))

    def _foreign(folder: str, vocabulary: str) -> Ingredient:
        raise AssertionError("no model comes from a folder")

    return tasks, bind(names, tasks, _foreign)


@pytest.mark.parametrize("name", ["fig5_expression", "fig5_expression_tf"])
def test_the_papers_tissues_are_planned(project: Path, tmp_path: Path, name: str) -> None:
    path = str(project / "specs" / "paper" / f"{name}.yaml")
    command = ["plan", path, "--workspace", str(tmp_path)]
    result = CliRunner().invoke(gfmp, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    # Eleven groups and eleven pools, three seeds, three arms.
    assert "198 cells" in " ".join(result.output.split())


def test_without_the_files_the_plan_says_what_to_get(tmp_path: Path) -> None:
    path = str(ROOT / "specs" / "paper" / "fig5_expression_tf.yaml")
    with pytest.raises(MissingInputError) as caught:
        CliRunner().invoke(
            gfmp, ["plan", path, "--workspace", str(tmp_path)], catch_exceptions=False
        )
    told = {problem.message.rsplit("/", 1)[-1]: problem.fix for problem in caught.value.problems}
    assert "a row for each tissue" in told["tf_expression.tsv"]


def test_train_one_and_train_all_are_an_eleven_by_eleven_matrix(
    project: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    names = _names(project, "fig5_expression_tf", workspace)
    tasks, cells = _bound(names, workspace)
    assert len(tasks) == 22 and len(cells) == 22 * 3 * 2
    brain, pool = tasks["expression_tf_brain"], tasks["all-but-expression_tf_brain"]
    assert len(brain.test) == CONTIGS["chr8"] * 13
    assert len(pool.train) == CONTIGS["chr1"] * 18
    assert brain.train.feature_names == pool.train.feature_names == FACTORS
    scored = {cell.task.name: [one.name for one in cell.also_on] for cell in cells}
    assert scored["all-but-expression_tf_brain"] == ["expression_tf_brain"]
    assert len(scored["expression_tf_brain"]) == 10
    # The tissue decides here, so only who is told of tissues can place a tissue never seen.
    read = _score(pool, brain, cells)
    bare, blind = _without(pool), _without(brain)
    assert read > 0.5 > _score(bare, blind, cells)


def _score(pool: Task, left_out: Task, cells: tuple[Cell, ...]) -> float:
    cell = next(c for c in cells if c.task.name == pool.name and c.learner.kind == "kmer")
    trial = KmerTrial(pool, others=[left_out])
    result = trial.run(cell, np.arange(len(pool.train)))
    return result.metrics[f"on/{left_out.name}/r2_determination"]


def _without(task: Task) -> Task:
    train, valid, test = (replace(task.rows(split), contexts=None) for split in SPLITS)
    return replace(task, train=train, valid=valid, test=test)


def test_models_are_not_scored_where_their_features_are_missing(
    project: Path, tmp_path: Path
) -> None:
    spec = project / "specs" / "paper" / "mixed.yaml"
    spec.write_text(
        "kind: sweep\nname: mixed\ntasks: [expression_liver, expression_tf_lung]\n"
        "label_percents: [100]\nseeds: [0]\narms: [{learner: kmer}]\ntransfer: {}\n"
    )
    workspace = Workspace(tmp_path)
    with pytest.raises(DataError, match="cannot be scored on 'expression_tf_lung'") as caught:
        _bound(_names(project, "mixed", workspace), workspace)
    (problem,) = caught.value.problems
    assert "reads 0 features beside the sequence, the other 3" in problem.why
