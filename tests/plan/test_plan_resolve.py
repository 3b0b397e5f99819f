from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_examples import BASE, BPE, CORPUS, GIB, KMER, LARGE, NODE, known, spec

from gfmp.errors import CorruptArtefactError
from gfmp.plan.facts import Machine
from gfmp.plan.resolve import resolve
from gfmp.plan.values import Plan, ToBuild
from gfmp.spec.model import Architecture

MACHINES = st.builds(
    Machine,
    cpu_cores=st.integers(1, 256),
    memory_bytes=st.integers(GIB, 1024 * GIB),
    gpus=st.integers(0, 16),
    gpu_memory_bytes=st.integers(0, 200 * GIB),
)


@pytest.mark.parametrize(("architecture", "total"), [(BASE, 119_510_370), (LARGE, 411_375_714)])
def test_the_papers_pair_of_vocabularies_gives_the_papers_models(
    architecture: Architecture, total: int
) -> None:
    plan = resolve(spec(), known(architecture=architecture))
    value = {row.name: row.value for row in plan.derived}
    assert value["union_tokens"] == plan.what.vocabulary_rows == 7266
    assert value["parameters"] == total


def test_the_plan_carries_what_was_asked() -> None:
    job = spec(vocabularies=[{"name": "kmer6", "weight": 3}, {"name": "bpe4096", "weight": 1}])
    plan = resolve(job, known())
    assert plan.name == "demo" and plan.complete
    assert plan.what.feed.weights == (0.75, 0.25), "in the order of the job, not of the facts"
    assert (plan.what.corpus, plan.what.ensemble) == ("c" * 64, "e" * 64)
    assert plan.what.feed.global_batch_sequences == 32
    assert (plan.where.workers, plan.where.engine, plan.where.accumulation) == (2, "zero1", 1)
    assert plan.where.threads_per_worker == 1 and not plan.where.use_gpu


@settings(max_examples=40, deadline=None)
@given(
    machine=MACHINES,
    workers=st.integers(1, 16),
    stage=st.sampled_from(["auto", "ddp", 0, 1, 2, 3]),
    micro=st.integers(1024, 65_536),
    every=st.integers(1, 1000),
)
def test_nothing_about_the_place_reaches_the_identity(
    machine: Machine, workers: int, stage: str, micro: int, every: int
) -> None:
    compute = {"workers": workers, "zero_stage": stage, "micro_batch_tokens": micro}
    sampling = {"global_batch_tokens": 20_000}
    job = spec(compute=compute, sampling=sampling, checkpoint={"every_steps": every})
    plan = resolve(job, known(machine=machine))
    home = resolve(spec(sampling=sampling), known())
    assert plan.what.fingerprint == home.what.fingerprint
    assert plan.where.use_gpu == (machine.gpus >= workers)
    assert plan.where.threads_per_worker >= 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), steps=st.integers(100, 10**7))
def test_what_changes_the_numbers_changes_the_identity(seed: int, steps: int) -> None:
    plan = resolve(spec(seed=seed, steps=steps), known())
    home = resolve(spec(), known())
    assert (plan.what == home.what) == (seed == 0 and steps == 240)
    assert (plan.what.fingerprint == home.what.fingerprint) == (plan.what == home.what)


def test_the_same_question_has_the_same_answer() -> None:
    assert resolve(spec(), known()) == resolve(spec(), known(vocabularies=(KMER, BPE)))


def test_a_plan_survives_json() -> None:
    plan = resolve(spec(steps=10**7), known(architecture=LARGE, machine=NODE))
    value = json.loads(json.dumps(plan.to_json()))
    assert Plan.from_json(value) == plan
    value["what"]["steps"] += 1
    with pytest.raises(CorruptArtefactError, match="hashes to"):
        Plan.from_json(value)
    with pytest.raises(CorruptArtefactError, match="format version"):
        Plan.from_json({**value, "format_version": 99})


def test_what_is_missing_is_listed_with_its_recipe() -> None:
    corpus = replace(CORPUS, content_hash="", train_bases=0, valid_bases=0, how="22 files")
    bpe = replace(BPE, built=False, how="train on 10 Mbp")
    plan = resolve(
        spec(),
        known(
            corpus=corpus,
            vocabularies=(bpe, KMER),
            ensemble_fingerprint="",
            ensemble_rows=(7000, 7300),
        ),
    )
    assert plan.to_build == (
        ToBuild("corpus", "demo", "22 files"),
        ToBuild("vocabulary", "bpe4096", "train on 10 Mbp"),
    )
    assert not plan.complete
    assert (plan.what.corpus, plan.what.ensemble, plan.what.vocabulary_rows) == ("", "", 7300)
