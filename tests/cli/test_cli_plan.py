"""`gfmp plan`: the same numbers for people and for programs, and nothing is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gfmp.cli.loading import job_of_run, load_job
from gfmp.cli.main import gfmp
from gfmp.cli.render.text import number
from gfmp.errors import GfmpError, MissingInputError, SpecError
from gfmp.genome.ingest import build_corpus
from gfmp.ledger.header import NewRun
from gfmp.ledger.store import RunStore
from gfmp.plan.survey import find_corpus
from gfmp.plan.values import Plan
from gfmp.spec.corpus import CorpusJobSpec
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.atomic import write_json
from gfmp.storage.workspace import Workspace

JOB = """\
kind: pretrain
name: small
corpus: small
vocabularies: [{name: kmer3}]
model: {layers: 1, width: 16, heads: 1, intermediate: 16}
steps: 20
sampling: {global_batch_sequences: 4}
optimiser: {learning_rate: 1e-3}
compute: {device: cpu}
"""
CORPUS = """\
kind: corpus
name: small
sources:
  - species: Synthetica prima
    assembly: S1
    format: fasta
    files: [{path: one.fa}]
    valid: [{contig: c1, start: 3000}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    corpora = tmp_path / "specs" / "corpora"
    corpora.mkdir(parents=True)
    (corpora / "small.yaml").write_text(CORPUS)
    (corpora / "one.fa").write_text(">c1\n" + "ACGTTGCA" * 500 + "\n")
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "corpus.yaml").write_text("kind: build_corpus\ncorpus: small\n")
    return tmp_path


def _plan(project: Path, job: str, *arguments: str) -> str:
    workspace = ("--workspace", str(project / "workspace"))
    result = CliRunner().invoke(
        gfmp, ["plan", str(project / job), *arguments, *workspace], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_plan_for_programs_is_the_plan_for_people(project: Path) -> None:
    plan = Plan.from_json(json.loads(_plan(project, "job.yaml", "--json")))
    text = " ".join(_plan(project, "job.yaml").split())
    assert f"plan small (identity {plan.what.fingerprint[:12]})" in text
    assert [item.name for item in plan.to_build] == ["small", "kmer3"]
    for derived in plan.derived:
        assert f"{derived.name}: {number(derived.value)}" in text
        assert " ".join(derived.reason.split()) in text
    assert "bounds or estimates" in text
    assert not (project / "workspace").exists()


def test_planning_twice_prints_the_same(project: Path) -> None:
    assert _plan(project, "job.yaml") == _plan(project, "job.yaml")


def test_set_is_planned_as_if_it_were_written(project: Path) -> None:
    changed = _plan(
        project, "job.yaml", "--set", "steps=30", "--set", "compute.workers=2", "--json"
    )
    text = JOB.replace("steps: 20", "steps: 30").replace("{device", "{workers: 2, device")
    (project / "job.yaml").write_text(text)
    assert changed == _plan(project, "job.yaml", "--json")
    assert json.loads(changed)["what"]["steps"] == 30
    assert json.loads(changed)["where"]["workers"] == 2


@pytest.mark.parametrize(
    ("assignment", "same"),
    [
        ("compute.workers=2", True),
        ("compute.zero_stage=3", True),
        ("checkpoint.keep_last=5", True),
        ("name=other", True),
        ("steps=21", False),
        ("seed=1", False),
        ("optimiser.weight_decay=0", False),
    ],
)
def test_the_identity_follows_what_is_trained_and_not_where(
    project: Path, assignment: str, same: bool
) -> None:
    plain = json.loads(_plan(project, "job.yaml", "--json"))["what_fingerprint"]
    changed = json.loads(_plan(project, "job.yaml", "--set", assignment, "--json"))
    assert (changed["what_fingerprint"] == plain) is same


def test_an_impossible_job_names_the_line_to_change(project: Path) -> None:
    with pytest.raises(SpecError) as caught:
        _plan(project, "job.yaml", "--set", "sampling.max_tokens=10000000")
    assert all(
        p.where.startswith(f"{project / 'job.yaml'}:") or p.where.startswith("job.yaml:")
        for p in caught.value.problems
    )
    assert any("max_tokens" in p.message for p in caught.value.problems)


def test_a_corpus_job_says_what_it_would_read(project: Path) -> None:
    value = json.loads(_plan(project, "corpus.yaml", "--json"))
    target = find_corpus("small", project / "job.yaml", Workspace(project / "workspace"))
    assert value == {
        "corpus": "small",
        "fingerprint": target.settings.fingerprint,
        "path": str(target.path),
        "built": False,
        "sources": [str(project / "specs" / "corpora" / "one.fa")],
    }
    assert "corpus small is to be built in" in _plan(project, "corpus.yaml")
    build_corpus(target.settings, target.path)
    assert json.loads(_plan(project, "corpus.yaml", "--json"))["built"] is True
    text = _plan(project, "corpus.yaml")
    assert text.startswith("corpus small is built in ")
    assert "  Synthetica prima, S1: " in text


def test_a_corpus_job_can_be_set_too(project: Path) -> None:
    (project / "specs" / "corpora" / "other.yaml").write_text(
        CORPUS.replace("name: small", "name: other")
    )
    value = json.loads(_plan(project, "corpus.yaml", "--set", "corpus=other", "--json"))
    assert value["corpus"] == "other"
    with pytest.raises(SpecError, match="unknown key 'steps'"):
        _plan(project, "corpus.yaml", "--set", "steps=3")


def test_the_workspace_comes_from_the_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GFMP_WORKSPACE", str(project / "elsewhere"))
    result = CliRunner().invoke(gfmp, ["plan", str(project / "corpus.yaml"), "--json"])
    assert Path(json.loads(result.stdout)["path"]).is_relative_to(project / "elsewhere")


def test_job_files_are_told_apart_by_their_kind(project: Path) -> None:
    assert isinstance(load_job(project / "job.yaml", ())[0], PretrainSpec)
    assert isinstance(load_job(project / "corpus.yaml", ())[0], CorpusJobSpec)
    with pytest.raises(SpecError) as caught:
        load_job(project / "specs" / "corpora" / "small.yaml", ())
    kinds = "build_corpus, finetune, motifs, pretrain, sweep, variant_effect"
    assert caught.value.problems[0].why == f"this command takes kind: {kinds}"


def test_the_job_of_a_run_is_read_from_its_record_and_placed_where_it_stood(
    project: Path,
) -> None:
    new = NewRun("small", "pretrain", 0, "ab" * 32, JOB.encode(), {}, ("gfmp",))
    run = RunStore(Workspace(project / "workspace")).create(new)
    with pytest.raises(MissingInputError, match="does not say what it works on"):
        job_of_run(run, ())
    stood = {"job_path": str(project / "job.yaml"), "corpus_path": "", "ensemble": {}}
    write_json(run.path / "inputs.json", stood)
    (project / "job.yaml").write_text("changed since: true\n")
    document = job_of_run(run, ("compute.workers=3",))
    assert document.path == project / "job.yaml"
    assert document.value["compute"] == {"device": "cpu", "workers": 3}
    assert document.value["steps"] == 20


def test_submit_wants_one_of_two_things(project: Path) -> None:
    for arguments in ((), (str(project / "job.yaml"), "--resume", "small")):
        with pytest.raises(GfmpError) as caught:
            CliRunner().invoke(gfmp, ["submit", *arguments], catch_exceptions=False)
        assert caught.value.exit_status == 2
        assert "--resume" in caught.value.problems[0].fix
