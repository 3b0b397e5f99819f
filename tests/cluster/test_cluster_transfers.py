"""Which tasks are scored by whose models, and every way in which that cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gfmp.cluster.leaks import audited
from gfmp.cluster.sweep_inputs import SweepNames, bind, look_up
from gfmp.cluster.transfers import check_alike, prepared, said
from gfmp.errors import CorruptArtefactError, DataError, MissingInputError, SpecError
from gfmp.ledger.comparison import planned_paper, planned_transfer
from gfmp.ledger.header import NewRun
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Ingredient
from gfmp.spec.load import load_spec
from gfmp.spec.sweep import SweepSpec
from gfmp.storage.workspace import Workspace
from gfmp.tasks.store import TaskStore
from gfmp.tasks.task import Target, Task

TASK = """\
kind: task
description: Composition.
source: {{format: csv, files: {{train: {{path: {0}_train.csv}}, test: {{path: {0}_test.csv}}}}}}
target: {{kind: binary}}
metric: mcc
"""
SPEC = """\
kind: sweep
name: species
tasks: [mel, sim]
label_percents: [100]
seeds: [0, 1]
arms:
  - learner: {kind: kmer, longest: 3}
"""
TRANSFER = """\
transfer:
  learned_from: [mel]
  scored_on: [sim, yak]
  groups: {near: [sim], far: [yak]}
paper:
  figure: Fig. 4a
  rows: {mouse: sim}
  stand_ins: {sim: mouse peaks}
"""


def _rows(path: Path, seed: int, extra: str = "") -> None:
    generator = np.random.default_rng(seed)
    lines = []
    for row in range(24):
        letters = "GGCA" if row % 2 else "AATC"
        lines.append("".join(generator.choice(list(letters), 90)) + f",{row % 2}")
    path.write_text("\n".join(["sequence,label", *lines]) + "\n" + extra, encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "specs" / "tasks"
    folder.mkdir(parents=True)
    for seed, name in enumerate(("mel", "sim", "yak")):
        (folder / f"{name}.yaml").write_text(TASK.format(name))
        _rows(folder / f"{name}_train.csv", seed)
        _rows(folder / f"{name}_test.csv", 10 + seed)
    return tmp_path


def _names(project: Path, text: str) -> SweepNames:
    path = project / "sweep.yaml"
    path.write_text(text, encoding="utf-8")
    spec, document = load_spec(path, {"sweep": SweepSpec})
    return look_up(spec, document, Workspace(project / "w"))


def _tasks(names: SweepNames, project: Path) -> dict[str, Task]:
    return prepared(names.every, names.pools, TaskStore(Workspace(project / "w")))


def _foreign(folder: str, vocabulary: str) -> Ingredient:
    raise AssertionError(f"{folder} and {vocabulary} are not asked for")


def test_a_sweep_without_transfer_scores_every_task_on_itself(project: Path) -> None:
    names = _names(project, SPEC)
    assert (names.scored, dict(names.others())) == ((), {})
    assert names.every == names.targets
    assert all(cell.also_on == () for cell in bind(names, _tasks(names, project), _foreign))
    assert said(names.spec) == {}


def test_models_of_the_named_tasks_are_scored_on_the_named_others(project: Path) -> None:
    names = _names(project, SPEC + TRANSFER)
    assert [target.name for target in names.every] == ["mel", "sim", "yak"]
    assert names.others() == {"mel": ("sim", "yak")}
    tasks = _tasks(names, project)
    cells = bind(names, tasks, _foreign)
    others = tuple(Ingredient(name, tasks[name].fingerprint) for name in ("sim", "yak"))
    assert {(c.task.name, c.also_on) for c in cells} == {("mel", others), ("sim", ())}
    plain = {c.fingerprint for c in bind(_names(project, SPEC), tasks, _foreign)}
    shared = {c.fingerprint for c in cells} & plain
    assert shared == {c.fingerprint for c in cells if c.task.name == "sim"}


def test_without_names_every_task_is_scored_by_the_models_of_all_others(project: Path) -> None:
    names = _names(project, SPEC.replace("[mel, sim]", "[mel, sim, yak]") + "transfer: {}\n")
    assert names.others() == {
        "mel": ("sim", "yak"),
        "sim": ("mel", "yak"),
        "yak": ("mel", "sim"),
    }


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("learned_from: [mel]", "learned_from: [mil]", "9:18", "learned_from.0: the sweep has no"),
        ("far: [yak]", "far: [yac]", "11:31", "transfer.groups.far.0"),
        ("{mouse: sim}", "{mouse: sam}", "14:10", "paper.rows.mouse"),
        ("{sim: mouse", "{sam: mouse", "15:15", "paper.stand_ins.sam"),
    ],
)
def test_a_task_the_sweep_does_not_have_is_told_with_its_place(
    project: Path, old: str, new: str, place: str, words: str
) -> None:
    assert TRANSFER.count(old) == 1
    with pytest.raises(SpecError) as caught:
        _names(project, SPEC + TRANSFER.replace(old, new))
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.where.endswith(f"sweep.yaml:{place}")
    assert "did you mean" in problem.fix


def test_a_task_that_is_only_scored_has_to_exist(project: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no specs/tasks/yac\.yaml"):
        _names(project, SPEC + TRANSFER.replace("yak]", "yac]", 1))


def test_all_tasks_but_one_are_learned_as_one_and_scored_on_it(project: Path) -> None:
    text = SPEC.replace("[mel, sim]", "[mel, sim, yak]")
    names = _names(project, text + "transfer: {leave_one_out: true}\n")
    assert names.pools == {
        "all-but-mel": ("sim", "yak"),
        "all-but-sim": ("mel", "yak"),
        "all-but-yak": ("mel", "sim"),
    }
    assert names.others()["all-but-sim"] == ("sim",)
    assert names.others()["sim"] == ("mel", "yak")
    tasks = _tasks(names, project)
    pool = tasks["all-but-sim"]
    assert pool.train.sequences == tasks["mel"].train.sequences + tasks["yak"].train.sequences
    assert len(pool.test) == len(tasks["mel"].test) + len(tasks["yak"].test)
    store = TaskStore(Workspace(project / "w"))
    kept = store.get("all-but-sim", pool.fingerprint)
    assert kept.train.sequences == pool.train.sequences
    assert store.keep(pool) is pool
    cells = bind(names, tasks, _foreign)
    scored = {c.task.name: [one.name for one in c.also_on] for c in cells}
    assert scored["all-but-yak"] == ["yak"]
    report = audited(names, tasks, Workspace(project / "w"), lambda line: None)
    told = [one.task for one in report.tasks]
    assert "all-but-sim" not in told
    assert "sim, by models of all-but-sim" in told


def test_two_tasks_make_no_pool(project: Path) -> None:
    with pytest.raises(SpecError, match="2 tasks are too few") as caught:
        _names(project, SPEC + "transfer: {leave_one_out: true}\n")
    assert caught.value.problems[0].where.endswith("sweep.yaml:8:12")


def test_another_question_cannot_be_scored(project: Path) -> None:
    names = _names(project, SPEC + TRANSFER)
    tasks = _tasks(names, project)
    wider = replace(tasks["yak"], target=Target("multiclass", ("0", "1", "2")))
    with pytest.raises(DataError, match="a model of 'mel' cannot be scored on 'yak'"):
        check_alike({**tasks, "yak": wider}, names.others())
    with pytest.raises(DataError, match="cannot be scored"):
        bind(names, {**tasks, "yak": wider}, _foreign)


def test_rows_that_were_learned_from_elsewhere_are_leaks(project: Path) -> None:
    folder = project / "specs" / "tasks"
    # Six rows, of which one was carved out to validate.
    train = (folder / "mel_train.csv").read_text().splitlines()[1:]
    _rows(folder / "yak_test.csv", 12, "\n".join(train[:6]) + "\n")
    names = _names(project, SPEC + TRANSFER)
    tasks = _tasks(names, project)
    workspace = Workspace(project / "w")
    with pytest.raises(DataError, match="yak scored by models of mel: 5 of 30 test rows") as caught:
        audited(names, tasks, workspace, lambda line: None)
    assert "allow_leaks: [yak]" in caught.value.problems[0].fix
    allowed = _names(project, SPEC + TRANSFER + "allow_leaks: [yak]\n")
    report = audited(allowed, tasks, workspace, lambda line: None)
    crossed = {one.task: one for one in report.tasks if "models of" in one.task}
    assert set(crossed) == {"sim, by models of mel", "yak, by models of mel"}
    assert crossed["yak, by models of mel"].refused
    assert crossed["yak, by models of mel"].overlaps[0].exact == 5
    assert not crossed["sim, by models of mel"].refused


def test_the_plan_keeps_what_a_sweep_says(project: Path) -> None:
    spec = _names(project, SPEC + TRANSFER).spec
    plan = {"format_version": 1, "cells": [], **said(spec)}
    new = NewRun("species", "sweep", 0, "ab" * 32, b"", plan, ("gfmp",))
    run = RunStore(Workspace(project / "w")).create(new)
    assert planned_paper(run) == spec.paper
    assert planned_transfer(run) == spec.transfer


def test_a_plan_that_was_changed_is_told(project: Path) -> None:
    plan: dict[str, object] = {"format_version": 1, "cells": [], "paper": {"figure": 4}}
    new = NewRun("species", "sweep", 0, "ab" * 32, b"", plan, ("gfmp",))
    run = RunStore(Workspace(project / "w")).create(new)
    assert planned_transfer(run) is None
    with pytest.raises(CorruptArtefactError, match="'paper' is not as it was written"):
        planned_paper(run)
