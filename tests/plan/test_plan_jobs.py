from __future__ import annotations

from pathlib import Path

import pytest
from plan_examples import LAPTOP, NODE, known

from gfmp.plan.parameters import count_parameters
from gfmp.plan.resolve import resolve
from gfmp.plan.values import Plan
from gfmp.spec.corpus import CorpusJobSpec
from gfmp.spec.load import load_spec
from gfmp.spec.model import ModelSpec
from gfmp.spec.pretrain import PretrainSpec

ROOT = Path(__file__).resolve().parents[2]
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
