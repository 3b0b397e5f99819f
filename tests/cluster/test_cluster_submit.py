"""From a job file to a run: what is recorded, what a resume may change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cluster_world import JOB, Lines, World
from hypothesis import given, settings
from hypothesis import strategies as st

from gfmp.cluster.inputs import RunInputs
from gfmp.cluster.submit import _prepared, new_where, recorded_text, resume
from gfmp.errors import ExistsError, SpecError
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status
from gfmp.spec.load import overridden, validate
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.documents import load_document, parse_document
from gfmp.vocabulary.store import VocabularyStore


def test_a_run_holds_what_was_asked_and_what_will_happen(world: World) -> None:
    lines = Lines()
    plan, run = _prepared(world.submission(), lines.say)
    assert not lines.said  # everything was there
    assert plan.complete
    assert run.plan() == plan
    assert run.status() is Status.PLANNED
    assert run.spec_path.read_text() == JOB
    header = run.header
    assert (header.name, header.kind, header.seed) == ("tiny", "pretrain", 3)
    assert header.what_fingerprint == plan.what.fingerprint
    assert RunInputs.job_path(run.path) == world.job.resolve()


def test_missing_vocabularies_are_built_on_the_way(own_world: World) -> None:
    lines = Lines()
    submission = own_world.submission("vocabularies=[{name: kmer3}, {name: kmer2}]")
    assert not submission.plan.complete
    plan, run = _prepared(submission, lines.say)
    assert lines.said == ["building vocabulary kmer2 (kmer)"]
    assert plan.what.ensemble == RunInputs.open(run.path).ensemble.fingerprint
    assert "kmer2" in VocabularyStore(own_world.workspace.vocabularies).names()


def test_equal_jobs_make_equal_runs_of_their_own(world: World, planned: Run) -> None:
    one, two = planned, world.run()
    assert one.id != two.id
    assert one.plan() == two.plan()
    assert one.header.what_fingerprint == two.header.what_fingerprint


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_the_job_is_recorded_byte_for_byte(own_world: World, ends: str) -> None:
    own_world.job.write_bytes(JOB.replace("\n", ends).encode("ascii"))
    document = load_document(own_world.job)
    assert recorded_text(document) == own_world.job.read_bytes()
    # A change that changes nothing leaves the comments alone.
    assert recorded_text(overridden(document, ("steps=10",))) == own_world.job.read_bytes()


@settings(max_examples=25, deadline=None)
@given(
    steps=st.integers(1, 10**9),
    rate=st.floats(1e-9, 1.0),
    name=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
)
def test_a_changed_job_is_recorded_as_it_was_changed(
    world: World, steps: int, rate: float, name: str
) -> None:
    changed = overridden(
        world.document(), (f"steps={steps}", f"optimiser.learning_rate={rate!r}", f"name='{name}'")
    )
    text = recorded_text(changed).decode("utf-8")
    again = parse_document(text, world.job)
    assert again.value == changed.value
    assert validate(again, PretrainSpec).optimiser.learning_rate == rate


@pytest.mark.parametrize(
    ("assignment", "field", "value"),
    [
        ("compute.workers=2", "workers", 2),
        ("compute.zero_stage=2", "engine", "zero2"),
        ("compute.max_failures=0", "max_failures", 0),
        ("compute.stall_seconds=7", "stall_seconds", 7),
        ("compute.threads_per_worker=3", "threads_per_worker", 3),
        ("compute.micro_batch_tokens=512", "accumulation", 2),
    ],
)
def test_a_resume_may_be_placed_otherwise(
    world: World, planned: Run, assignment: str, field: str, value: object
) -> None:
    where = new_where(planned, world.document(assignment), world.workspace)
    assert vars(where)[field] == value
    assert vars(planned.plan().where)[field] != value


def test_a_resume_may_commit_at_other_steps(world: World, planned: Run) -> None:
    where = new_where(planned, world.document("checkpoint.every_steps=3"), world.workspace)
    assert where.checkpoint.every_steps == 3


@pytest.mark.parametrize(
    "assignment",
    [
        "steps=11",
        "seed=4",
        "model.layers=2",
        "optimiser.learning_rate=2e-3",
        "sampling.global_batch_sequences=7",
        "masking.fraction=0.2",
        "evaluation.windows=3",
        "precision=bf16",
        "vocabularies=[{name: kmer3}, {name: bpe64}]",
    ],
)
def test_a_resume_never_changes_the_model(world: World, planned: Run, assignment: str) -> None:
    with pytest.raises(SpecError, match="another model") as caught:
        new_where(planned, world.document(assignment), world.workspace)
    for problem in caught.value.problems:
        assert problem.where == planned.id
        assert " -> " in problem.message
        assert problem.why == "a resume may change only `compute`, `checkpoint` and `numbers`"


def test_each_difference_of_another_model_is_told(world: World, planned: Run) -> None:
    document = world.document("steps=11", "seed=4", "model.layers=2")
    with pytest.raises(SpecError) as caught:
        new_where(planned, document, world.workspace)
    told = "\n".join(problem.message for problem in caught.value.problems)
    for difference in ("steps: 10 -> 11", "feed.seed: 3 -> 4", "architecture.layers: 1 -> 2"):
        assert difference in told


def test_an_unfinished_run_of_the_same_job_is_in_the_way(world: World, planned: Run) -> None:
    alone = replace(world.submission(), again=False)
    with pytest.raises(ExistsError, match="run exists") as caught:
        _prepared(alone, Lines().say)
    # Other tests may have planned the same job in this workspace before.
    where = caught.value.problems[0].where
    assert planned.unfinished() and Run.open(Path(where)).unfinished()
    assert Run.open(Path(where)).header.what_fingerprint == planned.header.what_fingerprint
    assert "--new" in caught.value.problems[0].fix


def test_a_resume_that_cannot_be_planned_says_why(world: World, planned: Run) -> None:
    with pytest.raises(SpecError) as caught:
        new_where(planned, world.document("compute.workers=7"), world.workspace)
    assert "7 workers for 6 sequences" in caught.value.problems[0].message


def test_a_finished_run_is_never_changed(world: World, copied: Run) -> None:
    run = copied
    with run.open_writer("driver") as driver:
        driver.append("started", {"segment": 0, "workers": 1, "engine": "ddp", "from_step": 0})
        driver.append("finished", {"step": 10, "seconds": 1.0})
    before = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    with pytest.raises(ExistsError, match="is finished") as caught:
        resume(run, None, world.workspace, Lines())
    assert caught.value.exit_status == 73
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == before
