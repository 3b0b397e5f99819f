"""What the names of a sweep stand for, and every way in which they stand for nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_world import World
from sweep_world import SweepWorld, TaskText, no_foreign, trained, write_task

from gfmp.cluster.sweep_inputs import SweepNames, bind
from gfmp.errors import DataError, GfmpError, MissingInputError, Problem, SpecError
from gfmp.learners.initial import scratch
from gfmp.plan.cells import Ingredient
from gfmp.spec.learner import Finetuning, Probe
from gfmp.spec.model import Architecture
from gfmp.spec.sweep import SCRATCH
from gfmp.tasks.subsets import choose
from gfmp.training.pretrained import find_pretrained
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.store import VocabularyStore

SOURCE = Path(__file__).parents[2] / "platform"
SPEC = """\
kind: sweep
name: grid
tasks: [gc, three]
label_percents: [50, 100]
seeds: [0, 1]
arms:
  - learner: probe
    vocabularies: [kmer3, bpe64]
    initial: [tiny]
  - learner: full
    vocabularies: [kmer3]
    initial: [tiny, scratch]
    label_percents: [100]
    max_train_rows: 12
  - learner: {kind: kmer, longest: 4}
"""

PROBE_ARM = """\
  - learner: probe
    vocabularies: [kmer3, bpe64]
    initial: [tiny]
"""


def _problems(caught: pytest.ExceptionInfo[GfmpError], sweeps: SweepWorld) -> list[Problem]:
    """Return the problems with places relative to the spec."""
    prefix = f"{sweeps.spec_path}:"
    return [
        Problem(p.message, p.where.removeprefix(prefix), p.why, p.fix)
        for p in caught.value.problems
    ]


def _refused(sweeps: SweepWorld, old: str, new: str) -> list[Problem]:
    assert SPEC.count(old) == 1
    with pytest.raises(SpecError) as caught:
        sweeps.names(SPEC.replace(old, new))
    return _problems(caught, sweeps)


def _missing(sweeps: SweepWorld, old: str, new: str) -> list[Problem]:
    names = sweeps.names(SPEC.replace(old, new))
    prefix = f"{sweeps.spec_path}:"
    return [Problem(p.message, p.where.removeprefix(prefix), p.why, p.fix) for p in names.missing]


def test_every_name_is_found(sweeps: SweepWorld) -> None:
    names = sweeps.names(SPEC)
    assert not names.missing
    assert [target.name for target in names.targets] == ["gc", "three"]
    assert [preset.learner.kind for preset in names.learners] == ["probe", "finetune", "kmer"]
    assert names.pretrained["tiny"] == find_pretrained("tiny", sweeps.workspace)
    assert names.pretrained["tiny"].run_id == sweeps.run.id
    assert set(names.vocabularies) == {"kmer3", "bpe64"}
    assert names.scratch == names.pretrained["tiny"].architecture
    assert names.folders == {}


def test_every_cell_is_bound_to_contents(sweeps: SweepWorld) -> None:
    names = sweeps.names(SPEC)
    tasks = sweeps.tasks(names)
    cells = bind(names, tasks, no_foreign)
    assert len(cells) == len({c.fingerprint for c in cells}) == 2 * (2 * 2 * 2 + 2 * 2 + 2 * 2)
    model = names.pretrained["tiny"]
    for cell in cells:
        task = tasks[cell.task.name]
        assert cell.task.fingerprint == task.fingerprint
        most = 12 if cell.method == "full" else 0
        subset = choose(task, cell.label_percent, cell.seed, most)
        assert (cell.subset, cell.num_rows) == (subset.fingerprint, len(subset.rows))
        if cell.vocabulary.name:
            found = names.vocabularies[cell.vocabulary.name]
            assert cell.vocabulary.fingerprint == found.fingerprint
        if cell.initial.name == "tiny":
            assert cell.initial.fingerprint == model.fingerprint
    assert {cell.initial.name for cell in cells} == {"tiny", SCRATCH, ""}
    assert bind(names, tasks, no_foreign) == cells


def test_a_preset_has_its_exceptions_per_task(sweeps: SweepWorld) -> None:
    epochs = {
        cell.task.name: cell.learner.epochs
        for cell in sweeps.cells(SPEC)
        if isinstance(cell.learner, Finetuning)
    }
    assert epochs == {"gc": 2, "three": 3}


def test_scratch_is_what_its_learner_calls_it(sweeps: SweepWorld) -> None:
    names = sweeps.names(SPEC)
    assert names.scratch is not None
    expected = scratch(names.scratch, names.vocabularies["kmer3"]).fingerprint
    found = {c.initial.fingerprint for c in sweeps.cells(SPEC) if c.initial.name == SCRATCH}
    assert found == {expected}


def test_scratch_has_the_architecture_that_is_named(sweeps: SweepWorld) -> None:
    shape = Architecture(layers=3, width=8, heads=2, intermediate=8)
    block = "scratch_model: {layers: 3, width: 8, heads: 2, intermediate: 8}\n"
    assert sweeps.names(SPEC + block).scratch == shape
    models = sweeps.folder / "specs" / "models"
    models.mkdir(exist_ok=True)
    (models / "wee.yaml").write_text(
        "kind: model\narchitecture: {layers: 3, width: 8, heads: 2, intermediate: 8}\n"
    )
    assert sweeps.names(f"{SPEC}scratch_model: wee\n").scratch == shape
    with pytest.raises(MissingInputError, match=r"no specs/models/we\.yaml"):
        sweeps.names(f"{SPEC}scratch_model: we\n")


def test_scratch_alone_needs_an_architecture(sweeps: SweepWorld) -> None:
    alone = SPEC.replace("[tiny, scratch]", "[scratch]").replace(PROBE_ARM, "")
    with pytest.raises(SpecError, match="`scratch` has no architecture") as caught:
        sweeps.names(alone)
    (problem,) = _problems(caught, sweeps)
    assert problem.where == "9:15"
    assert "scratch_model: tiny" in problem.fix
    block = "scratch_model: {layers: 1, width: 8, heads: 2, intermediate: 8}\n"
    assert sweeps.cells(alone + block)


def test_a_missing_model_is_told_with_its_place_and_how_to_make_it(sweeps: SweepWorld) -> None:
    (problem,) = _missing(sweeps, "[tiny, scratch]", "[scratch, tini]")
    assert problem.message == "there is no run 'tini'"
    assert problem.where == "12:24"
    assert sweeps.run.id in problem.why
    assert "gfmp submit jobs/pretrain.yaml" in problem.fix


def test_a_missing_model_is_told_once_however_often_it_is_named(sweeps: SweepWorld) -> None:
    names = sweeps.names(SPEC.replace("tiny", "demo"))
    assert [p.message for p in names.missing] == ["there is no run 'demo'"]
    assert names.requests(), "its cells can be counted all the same"


def test_an_unknown_vocabulary_says_how_to_register_it(sweeps: SweepWorld) -> None:
    text = SPEC.replace("vocabularies: [kmer3]", "vocabularies: [kmer9]")
    names = sweeps.names(text.replace("[tiny, scratch]", "[scratch]"))
    (problem,) = names.missing
    assert problem.message == "there is no vocabulary 'kmer9'"
    assert (problem.why, problem.fix) == ("known: bpe64, kmer3", "gfmp register-vocab kmer9")
    assert problem.where.endswith("sweep.yaml:11:20")


def test_a_vocabulary_may_come_with_a_model_that_is_missing(sweeps: SweepWorld) -> None:
    names = sweeps.names(SPEC.replace("tiny", "demo").replace("bpe64", "bpe4096"))
    assert [p.message for p in names.missing] == [
        "there is no run 'demo'",
        "there is no vocabulary 'bpe4096'",
    ]
    assert names.missing[1].fix == "it comes with the initial model"


def test_a_model_reads_only_the_vocabularies_it_was_trained_with(sweeps: SweepWorld) -> None:
    recipe = Recipe("kmer2", "kmer", {"k": 2, "stride_bp": 1, "mask_span_tokens": 4})
    made = FamilyRegistry.discover().get("kmer").build(recipe, ())
    other = sweeps.elsewhere("other-vocabulary")
    VocabularyStore(other.workspace.vocabularies).register(made, recipe)
    (problem,) = _refused(other, "[kmer3, bpe64]", "[kmer3, kmer2]")
    assert problem.message == "the initial model 'tiny' was not trained with vocabulary 'kmer2'"
    assert (problem.where, problem.why) == ("8:27", "it has: bpe64, kmer3")
    scratched = SPEC.replace("vocabularies: [kmer3]", "vocabularies: [kmer2]")
    names = other.names(scratched.replace("[tiny, scratch]", "[scratch]"))
    assert not names.missing


@pytest.mark.parametrize(
    ("old", "new", "message", "where"),
    [
        ("{kind: kmer, longest: 4}", "full", "'finetune' needs vocabularies and initial", "15:5"),
        ("{kind: kmer, longest: 4}", "probe", "'probe' needs vocabularies and initial", "15:5"),
        ("learner: probe", "learner: floor", "'kmer' has no vocabularies or initial", "7:5"),
    ],
)
def test_a_preset_of_the_wrong_kind_is_told(
    sweeps: SweepWorld, old: str, new: str, message: str, where: str
) -> None:
    floor = "kind: learner\ndescription: d\nlearner: {kind: kmer}\n"
    (sweeps.folder / "specs" / "learners" / "floor.yaml").write_text(floor)
    (problem,) = _refused(sweeps, old, new)
    assert message in problem.message
    assert problem.where == where
    assert "vocabularies and initial" in problem.fix


def test_a_probe_of_random_weights_is_refused(sweeps: SweepWorld) -> None:
    (problem,) = _refused(sweeps, "initial: [tiny]\n", "initial: [tiny, scratch]\n")
    assert "frozen probe of `scratch`" in problem.message
    assert problem.where == "9:5"
    assert "no baseline" in problem.why


def test_a_search_over_what_a_learner_has_not_is_told(sweeps: SweepWorld) -> None:
    search = "    search: {space: {rate: {choices: [1]}, epoch: {choices: [1]}}}\n  - learner: {"
    problems = _refused(sweeps, "  - learner: {", search)
    assert [p.message for p in problems] == [
        "arm 1: search has no field 'rate'",
        "arm 1: search has no field 'epoch'",
    ]
    assert [p.where for p in problems] == ["15:22", "15:44"]
    assert problems[1].fix == "did you mean 'epochs'?"
    assert all("learning_rate" in p.why and "kind" not in p.why for p in problems)


def test_a_preset_or_a_task_that_is_not_there_lists_those_that_are(sweeps: SweepWorld) -> None:
    with pytest.raises(MissingInputError, match=r"no specs/learners/prob\.yaml") as caught:
        sweeps.names(SPEC.replace("learner: probe", "learner: prob"))
    assert caught.value.problems[0].fix == "did you mean 'probe'?"
    with pytest.raises(MissingInputError, match=r"no specs/tasks/thre\.yaml") as caught:
        sweeps.names(SPEC.replace("three", "thre"))
    assert caught.value.problems[0].fix == "did you mean 'three'?"


def test_an_exception_of_a_preset_that_cannot_apply_is_told_at_its_line(
    sweeps: SweepWorld,
) -> None:
    wrong = sweeps.folder / "specs" / "learners" / "wrong.yaml"
    text = "kind: learner\ndescription: d\nlearner: {kind: probe}\nper_task:\n"
    wrong.write_text(f'{text}  - {{tasks: "x*", set: {{epochs: 3}}}}\n')
    with pytest.raises(SpecError, match="probe has no setting 'epochs'") as caught:
        sweeps.names(SPEC.replace("learner: probe", "learner: wrong"))
    assert caught.value.problems[0].where.startswith(f"{wrong}:5:")


def test_two_tasks_of_one_name_are_refused(sweeps: SweepWorld) -> None:
    copies = sweeps.folder / "copies"
    copies.mkdir()
    write_task(copies, TaskText("gc", ("no", "yes")))
    (problem,) = _refused(sweeps, "[gc, three]", "[gc, three, copies/gc.yaml]")
    assert "two tasks are called 'gc'" in problem.message
    assert problem.where == "3:20"
    (again,) = _refused(sweeps, "[gc, three]", "[gc, specs/tasks/gc.yaml]")
    assert "two tasks are called 'gc'" in again.message


def test_a_resumed_sweep_stays_with_the_model_it_began_with(sweeps: SweepWorld) -> None:
    other = sweeps.elsewhere("pinned")
    newer = other.workspace.runs / f"{other.run.id}-newer"
    shutil.copytree(other.run.path, newer)
    header = (newer / "run.json").read_text()
    (newer / "run.json").write_text(header.replace(f'"{other.run.id}"', f'"{newer.name}"'))
    assert other.names(SPEC).pretrained["tiny"].run_id == newer.name
    pinned = other.names(SPEC, {"tiny": other.run.id})
    assert pinned.pretrained["tiny"].run_id == other.run.id
    assert set(pinned.pretrained) == {"tiny"}, "tables call it by the name of the spec"


def test_a_run_may_be_named_by_its_id(sweeps: SweepWorld) -> None:
    names = sweeps.names(SPEC.replace("tiny", sweeps.run.id))
    assert not names.missing
    cells = {c.fingerprint for c in bind(names, sweeps.tasks(names), no_foreign)}
    assert cells == {c.fingerprint for c in sweeps.cells(SPEC)}, "names do not enter"


def test_a_subset_without_a_class_says_from_which_percent_on_it_works(sweeps: SweepWorld) -> None:
    with pytest.raises(DataError, match="have no row of class") as caught:
        sweeps.cells(SPEC.replace("[50, 100]", "[3, 100]"))
    (problem,) = caught.value.problems
    assert problem.message.startswith("3 % of the labels of gc")
    assert "it works from " in problem.fix


def test_a_folder_of_another_program_is_asked_for_each_vocabulary(sweeps: SweepWorld) -> None:
    names = sweeps.names(SPEC.replace("initial: [tiny]\n", "initial: [models/public/]\n"))
    assert names.folders == {"models/public/": sweeps.folder / "models" / "public"}
    asked = []

    def foreign(folder: str, vocabulary: str) -> Ingredient:
        asked.append((folder, vocabulary))
        return Ingredient(folder, f"content for {vocabulary}")

    cells = bind(names, sweeps.tasks(names), foreign)
    assert set(asked) == {("models/public/", "kmer3"), ("models/public/", "bpe64")}
    found = {c.initial.fingerprint for c in cells if isinstance(c.learner, Probe)}
    assert found == {"content for kmer3", "content for bpe64"}


def test_tasks_are_prepared_once(sweeps: SweepWorld) -> None:
    other = sweeps.elsewhere("unprepared")
    names: SweepNames = other.names(SPEC)
    assert [target.name for target in names.unprepared(other.workspace)] == ["gc", "three"]
    other.tasks(names)
    assert names.unprepared(other.workspace) == ()


def test_more_labels_of_other_content_are_other_cells(sweeps: SweepWorld) -> None:
    before = {c.fingerprint for c in sweeps.cells(SPEC)}
    more = {c.fingerprint for c in sweeps.cells(SPEC.replace("[50, 100]", "[50, 75, 100]"))}
    assert before < more
    assert len(more) == len(before) + 2 * (2 * 2 + 2)


def test_training_on_makes_its_cells_new_and_leaves_the_others(sweeps: SweepWorld) -> None:
    before = {c.fingerprint: c for c in sweeps.cells(SPEC)}
    project = World(sweeps.folder)
    longer = trained(project, steps=6)
    try:
        later = SweepWorld(sweeps.folder, project.workspace, longer).elsewhere("longer")
    finally:
        shutil.rmtree(longer.path)
    after = {c.fingerprint: c for c in later.cells(SPEC)}
    kept = [after[name] for name in after.keys() & before.keys()]
    assert {c.initial.name for c in kept} == {"", SCRATCH}
    assert {after[n].initial.name for n in after.keys() - before.keys()} == {"tiny"}


def test_looking_up_is_light() -> None:
    code = (
        "import sys, gfmp.cluster.sweep_inputs;"
        "sys.exit(', '.join({'mlflow', 'torch', 'ray', 'pandas'} & set(sys.modules)) or 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
