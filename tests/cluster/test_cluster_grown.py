"""From a job that names a parent to a run that begins as it: recorded, pinned, planted, resumed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from cluster_world import JOB, Lines, World, make_world

from gfmp.cli.main import gfmp
from gfmp.cluster.inputs import RunInputs
from gfmp.cluster.submit import Submission, _begin, _prepared, new_where
from gfmp.errors import CorruptArtefactError
from gfmp.ledger.run import Run
from gfmp.mlflow_store.payload import flat_params, lineage_tags
from gfmp.model.masked import build
from gfmp.plan.parent import Parent
from gfmp.plan.resolve import resolve
from gfmp.plan.survey import survey
from gfmp.spec.load import load_spec, overridden
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.documents import load_document
from gfmp.training.batches import SoftmaxRows
from gfmp.training.checkpoint import Identity, Store
from gfmp.training.engine import build_engine
from gfmp.training.manifest import Cursor, directory_name, verify
from gfmp.training.parent import find_parent
from gfmp.training.processes import Group
from gfmp.training.step import ORDER_START
from gfmp.vocabulary.growth import RowCounts

GROW = """\
kind: pretrain
name: bigger
init_from: tiny
add_vocabularies: [kmer2]
remove_vocabularies: [bpe64]
corpus: small
steps: 10
sampling: {global_batch_sequences: 6, max_tokens: 128}
optimiser: {learning_rate: 1e-3}
compute: {device: cpu, threads_per_worker: 1, zero_stage: ddp}
"""


@dataclass(frozen=True)
class Family:
    """A project with a run that has a checkpoint, and a job that grows it."""

    world: World
    parent: Run

    @property
    def job(self) -> Path:
        """The job that grows."""
        return self.world.folder / "grow.yaml"

    def found(self) -> Parent:
        """Return what the job begins with."""
        spec, _ = load_spec(self.job, {"pretrain": PretrainSpec})
        parent = find_parent(spec, self.world.workspace)
        assert parent is not None
        return parent

    def grown(self) -> Run:
        """Create one more run of the job; nothing is trained or planted."""
        spec, document = load_spec(self.job, {"pretrain": PretrainSpec})
        parent = self.found()
        known = survey(spec, self.job, self.world.workspace, parent).known
        plan = resolve(spec, known, document.where)
        command = ("gfmp", "submit", "grow.yaml")
        place = self.world.workspace
        submission = Submission(spec, document, plan, place, command, parent, again=True)
        return _prepared(submission, Lines().say)[1]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """The parent's weights are those of a fresh engine: what they are worth is not asked here."""
    world = make_world(tmp_path_factory.mktemp("family")).built()
    run = world.run("compute.zero_stage=ddp")
    inputs, group = RunInputs.open(run.path), Group.join(use_gpu=False)
    what = inputs.plan.what
    softmax = SoftmaxRows.of(inputs.ensemble, what.feed.masking)
    model = build(what.architecture, inputs.ensemble.size, softmax.tensors(), "fp32", 0)
    store = Store(run.checkpoints_path, Identity(inputs.plan, inputs.ensemble), group)
    engine = build_engine(inputs.plan, model, group)
    engine.settle(10)
    store.commit(engine, Cursor(10, ORDER_START), None)
    with run.open_writer("driver") as driver:
        driver.append("started", {"segment": 0, "workers": 1, "engine": "ddp", "from_step": 0})
        driver.append("finished", {"step": 10, "seconds": 1.0})
    (world.folder / "grow.yaml").write_text(GROW)
    return Family(world, run)


@pytest.fixture(scope="module")
def grown(family: Family) -> Run:
    return family.grown()


def test_a_grown_run_records_what_it_begins_with(family: Family, grown: Run) -> None:
    parent = family.found()
    assert RunInputs.parent(grown.path) == parent
    inputs = RunInputs.open(grown.path)
    assert [v.name for v in inputs.ensemble.vocabularies] == ["kmer3", "kmer2"]
    assert inputs.plan.what.init == parent.init
    assert inputs.plan.what.architecture == parent.architecture
    assert RunInputs.parent(family.parent.path) is None
    # The name may mean another run tomorrow: the record says which one it was.
    assert load_document(grown.spec_path).value["init_from"] == family.parent.id
    assert family.parent.spec_path.read_text() != JOB  # `--set` changed it
    tags = lineage_tags(grown.plan_json())
    assert tags == {"gfmp.parent_run": family.parent.id}
    assert lineage_tags(family.parent.plan_json()) == {}
    assert flat_params(grown.plan_json())["what.init.weights"] == parent.init.weights


def test_the_run_begins_with_a_checkpoint_of_its_own_once(grown: Run, family: Family) -> None:
    for _ in range(2):
        with grown.open_writer("driver") as ledger:
            _begin(grown, ledger)
    manifest = verify(grown.checkpoints_path / directory_name(0))
    assert manifest.what_fingerprint == grown.header.what_fingerprint
    (event,) = grown.events("grown")
    assert (event.fields["parent"], event.fields["parent_step"]) == (family.parent.id, 10)


def test_a_run_from_scratch_gets_no_checkpoint(family: Family) -> None:
    run = family.world.run()
    with run.open_writer("driver") as ledger:
        _begin(run, ledger)
    assert not list(run.checkpoints_path.iterdir())


def test_a_resume_needs_no_parent_any_more(family: Family, grown: Run, tmp_path: Path) -> None:
    document = overridden(load_document(family.job), ("compute.workers=2",))
    aside = family.parent.path.with_name("aside")
    family.parent.path.rename(aside)
    try:
        assert new_where(grown, document, family.world.workspace).workers == 2
    finally:
        aside.rename(family.parent.path)


def test_a_parent_that_changed_since_is_refused(family: Family) -> None:
    run = family.grown()
    kept = family.found().path
    aside = kept.with_name("aside")
    kept.rename(aside)
    try:
        with run.open_writer("driver") as ledger, pytest.raises(CorruptArtefactError):
            _begin(run, ledger)
        assert not list(run.checkpoints_path.glob("step-*"))
    finally:
        aside.rename(kept)


def test_runs_show_names_the_parent(family: Family, grown: Run) -> None:
    place = ["--workspace", str(family.world.workspace.root)]
    shown = CliRunner().invoke(gfmp, ["runs", "show", grown.id, *place], catch_exceptions=False)
    assert f"grown from: {family.parent.id}" in shown.output
    read = CliRunner().invoke(gfmp, ["runs", "show", grown.id, "--json", *place])
    assert json.loads(read.output)["grown_from"] == family.parent.id
    other = CliRunner().invoke(gfmp, ["runs", "show", family.parent.id, *place])
    assert "grown from" not in other.output


def test_the_plan_prints_the_lineage(family: Family, grown: Run) -> None:
    place = ["--workspace", str(family.world.workspace.root)]
    shown = CliRunner().invoke(gfmp, ["plan", str(family.job), *place], catch_exceptions=False)
    text = " ".join(shown.output.split())
    parent = family.found()
    assert f"parent_run: {family.parent.id}" in text
    assert f"its checkpoint of step 10, weights {parent.init.weights[:12]}" in text
    rows = RowCounts.of(parent.ensemble, RunInputs.open(grown.path).ensemble)
    # 5 specials, the prompt of kmer3 and its 64 words, and pairs of bases that bpe64 had too.
    assert rows.kept > 70 and rows.new and rows.dropped
    for part in ("kept", "new", "dropped"):
        assert f"rows_{part}: {vars(rows)[part]} rows" in text


@pytest.mark.parametrize("command", ["plan", "submit"])
@pytest.mark.parametrize(
    ("old", "new", "status", "words"),
    [
        ("init_from: tiny", "init_from: tny", 66, "there is no run 'tny'"),
        ("steps: 10", "steps: 10\nmodel: {layers: 2, width: 16, heads: 1, intermediate: 8}", 78,
         "the model has layers 2"),
        ("[bpe64]", "[bpe46]", 78, "grow.yaml:5:23 why: its vocabularies are bpe64, kmer3"),
        ("[kmer2]", "[kmer3]", 78, "has the vocabulary kmer3 already"),
    ],
)  # fmt: skip
def test_a_mistake_shows_before_anything_runs(
    family: Family, tmp_path: Path, command: str, old: str, new: str, status: int, words: str
) -> None:
    folder = tmp_path / "own"
    ignored = shutil.ignore_patterns("workspace")
    shutil.copytree(family.world.folder, folder, ignore=ignored)
    (folder / "grow.yaml").write_text(GROW.replace(old, new))
    gfmp_command = str(Path(sys.executable).with_name("gfmp"))
    place = ("--workspace", str(family.world.workspace.root))
    done = subprocess.run(
        [gfmp_command, command, "grow.yaml", *place],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert words in " ".join(done.stderr.split())
