from __future__ import annotations

from pathlib import Path

import pytest
from plan_examples import LAPTOP, NODE, known

from gfmp.plan.capacity import capacity, machine_of
from gfmp.plan.grid import CellRequest, requests
from gfmp.plan.parameters import count_parameters
from gfmp.plan.resolve import resolve
from gfmp.plan.values import Plan
from gfmp.spec.cluster import ClusterSpec
from gfmp.spec.corpus import CorpusJobSpec, CorpusSpec
from gfmp.spec.learner import Finetuning, LearnerSpec, Probe
from gfmp.spec.load import load_spec
from gfmp.spec.model import ModelSpec
from gfmp.spec.motifs import MotifsSpec
from gfmp.spec.pretrain import PretrainSpec
from gfmp.spec.project import find_named
from gfmp.spec.sweep import PAPER_PERCENTS, SCRATCH, FinetuneSpec, SweepSpec
from gfmp.spec.task import TaskSpec
from gfmp.spec.variant_effect import VariantEffectSpec
from gfmp.tasks.presets import load_learner, resolved

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "specs"
FOLDERS = {
    **{"corpora": CorpusSpec, "models": ModelSpec, "tasks": TaskSpec, "learners": LearnerSpec},
    **{"clusters": ClusterSpec},
}
KINDS = {
    **{"corpus": CorpusSpec, "model": ModelSpec, "task": TaskSpec, "learner": LearnerSpec},
    **{"pretrain": PretrainSpec, "build_corpus": CorpusJobSpec},
    **{"finetune": FinetuneSpec, "sweep": SweepSpec, "variant_effect": VariantEffectSpec},
    **{"motifs": MotifsSpec, "cluster": ClusterSpec},
}
SWEEPS = sorted(path.stem for path in SPECS.glob("*.yaml"))
PRESETS = {"pretrain": LAPTOP, "pretrain_base": NODE, "pretrain_large": NODE}


def _spec(job: str) -> PretrainSpec:
    return load_spec(ROOT / "jobs" / f"{job}.yaml", {"pretrain": PretrainSpec})[0]


def _model(name: str) -> ModelSpec:
    return load_spec(ROOT / "specs" / "models" / f"{name}.yaml", {"model": ModelSpec})[0]


def _plan(job: str) -> Plan:
    spec = _spec(job)
    architecture = _model(str(spec.model)).architecture
    return resolve(spec, known(architecture=architecture, machine=PRESETS[job]))


@pytest.mark.parametrize("job", PRESETS)
def test_every_preset_plans_on_a_laptop_and_on_its_own_machine(job: str) -> None:
    plan = _plan(job)
    spec = _spec(job)
    architecture = _model(str(spec.model)).architecture
    at_home = resolve(spec, known(architecture=architecture))
    assert at_home.what == plan.what


@pytest.mark.parametrize(
    ("job", "parameters"), [("pretrain_base", 119_510_370), ("pretrain_large", 411_375_714)]
)
def test_the_papers_presets_are_the_papers(job: str, parameters: int) -> None:
    plan = _plan(job)
    what, value = plan.what, {row.name: row.value for row in plan.derived}
    assert value["parameters"] == parameters
    assert (what.steps, what.feed.global_batch_sequences) == (1_000_000, 192 * 8)
    assert what.feed.max_tokens == 512 and what.feed.reverse_complement_fraction == 0.5
    adam = what.optimiser
    assert (adam.learning_rate, adam.betas, adam.epsilon) == (1e-4, (0.9, 0.98), 1e-6)
    assert (adam.weight_decay, adam.clip_norm) == (0.01, 1.0)
    assert (adam.schedule, adam.warmup_steps, adam.final_fraction) == ("linear", 10_000, 0.0)
    assert what.feed.masking.law == "centres" and what.feed.masking.scope == "union"
    assert float(value["targets_per_sequence.kmer6"]) / 395 == pytest.approx(0.298, abs=1e-3)
    assert float(value["targets_per_sequence.bpe4096"]) / 335.1 == pytest.approx(0.15, abs=1e-3)
    assert plan.where.engine == "zero1" and plan.where.use_gpu
    assert int(value["memory_per_rank"]) < 80 * 10**9, "the presets fit GPUs of 80 GB"


def test_the_demo_runs_on_two_workers_under_zero_1() -> None:
    plan = _plan("pretrain")
    assert (plan.where.workers, plan.where.engine, plan.where.use_gpu) == (2, "zero1", False)
    assert plan.what.precision == "fp32" and plan.what.optimiser.learning_rate == 1.5e-3


def test_the_corpus_job_names_the_demo_corpus() -> None:
    job, _ = load_spec(ROOT / "jobs" / "corpus.yaml", {"build_corpus": CorpusJobSpec})
    assert job.corpus == "demo"


@pytest.mark.parametrize(("name", "millions"), [("tiny", 1.6), ("base", 119.5), ("large", 411.4)])
def test_the_sizes_the_model_files_promise(name: str, millions: float) -> None:
    total = count_parameters(_model(name).architecture, 7266)
    assert total / 1e6 == pytest.approx(millions, abs=0.05)


def _sweep(name: str) -> SweepSpec:
    return load_spec(SPECS / f"{name}.yaml", {"sweep": SweepSpec})[0]


def _cells(spec: SweepSpec) -> tuple[CellRequest, ...]:
    """Cross the axes of a sweep with the presets it names."""
    presets = [
        load_learner(find_named("learners", arm.learner, SPECS))
        if isinstance(arm.learner, str)
        else LearnerSpec(kind="learner", description="written out", learner=arm.learner)
        for arm in spec.arms
    ]
    return requests(spec, spec.tasks, lambda arm, task: resolved(presets[arm], task))


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "jobs").rglob("*.yaml"), *SPECS.rglob("*.yaml")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_published_file_is_read(path: Path) -> None:
    spec, _ = load_spec(path, KINDS)
    folder = path.parent.name
    assert isinstance(spec, FOLDERS.get(folder, SweepSpec if folder == "specs" else object))


@pytest.mark.parametrize("name", SWEEPS)
def test_a_published_sweep_names_what_is_there_and_can_be_crossed(name: str) -> None:
    spec = _sweep(name)
    for task in spec.tasks:
        assert load_spec(find_named("tasks", task, SPECS), {"task": TaskSpec})
    found = _cells(spec)
    assert {cell.task for cell in found} == set(spec.tasks)
    for cell in found:
        encoder = isinstance(cell.learner, Finetuning | Probe)
        assert bool(cell.vocabulary) == bool(cell.initial) == encoder
        # A frozen random encoder is no baseline: what starts from scratch is trained whole.
        assert not (cell.initial == SCRATCH and isinstance(cell.learner, Probe))
        assert 0 < cell.label_percent <= 100


def _shape(cells: tuple[CellRequest, ...], kind: str) -> tuple[set[float], set[str], set[str]]:
    own = [cell for cell in cells if cell.learner.kind == kind]
    axes = ({c.label_percent for c in own}, {c.vocabulary for c in own}, {c.initial for c in own})
    assert own, f"there are cells of {kind}"
    return axes


def test_the_demo_sweep_asks_the_question_on_a_laptop() -> None:
    spec = _sweep("label_efficiency")
    cells, few = _cells(spec), {1.0, 3.0, 10.0, 30.0, 100.0}
    assert len(spec.seeds) == 3 and len(spec.tasks) == 3
    assert _shape(cells, "probe") == (few, {"bpe4096", "kmer6"}, {"demo"})
    assert _shape(cells, "kmer") == _shape(cells, "cnn") == (few, {""}, {""})
    assert _shape(cells, "finetune") == ({1.0, 3.0}, {"bpe4096", "kmer6"}, {"demo", SCRATCH})
    full = [cell for cell in cells if isinstance(cell.learner, Finetuning)]
    assert {(c.learner.method, c.learner.epochs, c.max_train_rows) for c in full} == {  # type: ignore[union-attr]
        ("full", 2, 2000)
    }
    assert len(cells) == 3 * 3 * (2 * 5 + 4 * 2 + 2 * 5) == 252


def test_the_full_sweep_has_the_papers_ratios_and_trains_every_weight() -> None:
    cells = _cells(_sweep("label_efficiency_full"))
    models = {"demo", SCRATCH}
    assert _shape(cells, "finetune") == (set(PAPER_PERCENTS), {"bpe4096", "kmer6"}, models)
    assert not any(cell.max_train_rows for cell in cells)


def test_the_quick_sweep_is_a_part_of_the_demo_sweep() -> None:
    quick = _cells(_sweep("label_efficiency_quick"))
    whole = {
        (c.task, c.vocabulary, c.initial, c.learner, c.label_percent, c.seed)
        for c in _cells(_sweep("label_efficiency"))
    }
    assert len({cell.task for cell in quick}) == 2
    for c in quick:
        assert (c.task, c.vocabulary, c.initial, c.learner, c.label_percent, c.seed) in whole


def test_the_fine_tuning_job_is_one_cell_of_a_published_task_and_preset() -> None:
    job, _ = load_spec(ROOT / "jobs" / "finetune.yaml", {"finetune": FinetuneSpec})
    (cell,) = _cells(job.as_sweep())
    assert isinstance(cell.learner, Finetuning)
    assert find_named("tasks", cell.task, ROOT / "jobs").is_file()
    assert (cell.vocabulary, cell.initial, cell.label_percent) == ("bpe4096", "demo", 10.0)


@pytest.mark.parametrize("path", sorted((SPECS / "clusters").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_published_cluster_takes_a_job_of_the_paper(path: Path) -> None:
    cluster, _ = load_spec(path, {"cluster": ClusterSpec})
    assert cluster.name == path.stem
    machine = machine_of(cluster) or NODE
    spec = _spec("pretrain_base")
    architecture = _model(str(spec.model)).architecture
    plan = resolve(spec, known(architecture=architecture, machine=machine))
    assert plan.what == _plan("pretrain_base").what
    told = {row.name for row in capacity(plan, cluster)}
    assert ("gpu_hours" in told) == (cluster.workers is not None)
    assert ("cost" in told) == (cluster.prices is not None)
