"""A job is handed to a cluster whole and once, and is found, read and stopped from anywhere."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jobs_world import TOKEN, Jobs, make_certificate, serving

from gfmp.cluster.jobs import JobsClient, RemoteJob
from gfmp.cluster.parcel import packed, project_of, specs_near
from gfmp.cluster.remote import Handover, entrypoint, hand_over, submission_id
from gfmp.errors import ExistsError, MissingInputError, RefusedError, ServiceError
from gfmp.ledger.submitted import recall, submissions
from gfmp.spec.cluster import JobsConnection
from gfmp.storage.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "jobs" / "pretrain.yaml"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The cluster's token is known, nobody consents to anything."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "GFMP_CLUSTER_WITHOUT_TOKEN", "GFMP_JOB_ID", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    """A cluster that takes jobs."""
    with serving(Jobs()) as made:
        yield made


def connection(jobs: Jobs, **more: object) -> JobsConnection:
    """Return how the cluster is reached."""
    fields = {"kind": "jobs_api", "address": jobs.address, "workspace": "/mnt/w", **more}
    return JobsConnection.model_validate(fields)


def handover(name: str = "demo", again: bool = False) -> Handover:
    """Return the job of the demo."""
    arguments = ("--set", "compute.workers=2")
    return Handover("submit", name, "pretrain", project_of(JOB), arguments, again)


def test_what_travels_is_the_job_and_the_specs_it_names_and_no_others() -> None:
    project = project_of(JOB)
    assert project.job == "jobs/pretrain.yaml"
    assert project.files[project.job] == JOB.read_bytes()
    names = set(project.files)
    assert {"specs/corpora/demo.yaml", "specs/models/tiny.yaml"} <= names
    assert len(names) < len(list((ROOT / "specs").glob("*/*.yaml"))) / 4


def test_specs_travel_through_specs_and_paths_only_from_within(tmp_path: Path) -> None:
    for name, text in {
        "specs/tasks/a.yaml": "corpus: b\n",
        "specs/corpora/b.yaml": "other: [c]\n",
        "specs/models/c.yaml": "x: 1\n",
        "specs/models/unnamed.yaml": "x: 1\n",
        "jobs/extra.yaml": "x: 1\n",
        "jobs/job.yaml": "task: a\nmodel: extra.yaml\ndata: {file: ../data/x.fa}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    project = project_of(tmp_path / "jobs" / "job.yaml")
    chain = {"specs/tasks/a.yaml", "specs/corpora/b.yaml", "specs/models/c.yaml"}
    assert set(project.files) == {"jobs/job.yaml", "jobs/extra.yaml", *chain}
    (tmp_path.parent / "outside.yaml").write_text("x: 1\n")
    (tmp_path / "jobs" / "job.yaml").write_text("model: ../../outside.yaml\n")
    with pytest.raises(RefusedError, match="lies outside"):
        project_of(tmp_path / "jobs" / "job.yaml")
    assert set(specs_near(tmp_path / "jobs").files) == {*chain, "specs/models/unnamed.yaml"}
    with pytest.raises(MissingInputError, match="no specs/"):
        specs_near(tmp_path.parent)
    with pytest.raises(MissingInputError):
        project_of(tmp_path / "none.yaml")


def test_the_packages_that_travel_plan_a_job_all_alone(tmp_path: Path) -> None:
    with packed(project_of(JOB)) as parcel:
        assert [path.name.split("-")[0] for path in parcel.modules] == [
            *("gfmp", "tokenizer_registry", "gfmp"),
        ]
        assert not list(parcel.modules[0].rglob("*.pyc"))
        path = ":".join(str(module.parent) for module in parcel.modules[:1])
        code = "import gfmp, runpy, sys; print(gfmp.__file__, file=sys.stderr);"
        code += "runpy.run_module('gfmp', run_name='__main__', alter_sys=True)"
        words = [sys.executable, "-P", "-c", code, "plan", "jobs/pretrain.yaml", "--json"]
        done = subprocess.run(
            [*words, "--workspace", str(tmp_path / "w")],
            cwd=parcel.project,
            env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        folder = str(parcel.modules[0])
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(folder), "it is the copy that ran"


def test_a_cluster_is_given_packages_specs_and_command_and_the_record_is_kept(
    jobs: Jobs, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "w")
    there = connection(jobs, environment={"MLFLOW_TRACKING_URI": "https://mlflow.example"})
    done = hand_over(handover(), there, workspace)
    job = jobs.jobs["gfmp-demo"]
    assert job["metadata"] == {"gfmp_name": "demo"}
    assert job["entrypoint"] == (
        "python -P -m gfmp submit jobs/pretrain.yaml --set compute.workers=2 --workspace /mnt/w"
    )
    given = job["runtime_env"]["env_vars"]
    assert given["GFMP_JOB_ID"] == "gfmp-demo" and given["RAY_JOB_STOP_WAIT_TIME_S"] == "120"
    assert given["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] == "1800"
    assert given["MLFLOW_TRACKING_URI"] == "https://mlflow.example"
    assert TOKEN not in str(job)
    contents = [zipfile.ZipFile(io.BytesIO(data)).namelist() for data in jobs.packages.values()]
    every = {name for names in contents for name in names}
    assert {"jobs/pretrain.yaml", "gfmp/cli/main.py", "tokenizer_registry/kmer.py"} <= every
    assert any(name.endswith(".dist-info/entry_points.txt") for name in every)
    assert recall(workspace, "demo") == recall(workspace, "gfmp-demo") == done
    assert TOKEN not in next(workspace.submissions.iterdir()).read_text()


def test_the_same_name_twice_is_an_error_and_never_two_jobs(jobs: Jobs, tmp_path: Path) -> None:
    workspace, there = Workspace(tmp_path / "w"), connection(jobs)
    hand_over(handover(), there, workspace)
    packages = set(jobs.packages)
    for status in ("RUNNING", "FAILED", "SUCCEEDED"):
        jobs.jobs["gfmp-demo"]["status"] = status
        with pytest.raises(ExistsError, match="submitted to this cluster before") as caught:
            hand_over(handover(), there, workspace)
    assert "--new" in caught.value.problems[0].fix and caught.value.exit_status == 73
    hand_over(handover("other"), there, workspace)
    assert set(jobs.packages) == packages, "what the cluster has is not sent again"
    hand_over(handover(again=True), there, workspace)
    assert len(jobs.jobs) == 3 and len(submissions(workspace)) == 3
    assert recall(workspace, "demo") == submissions(workspace)[-1]


def test_of_two_that_submit_at_once_the_cluster_takes_one(jobs: Jobs, tmp_path: Path) -> None:
    client = JobsClient(connection(jobs))
    job = RemoteJob("gfmp-x", "x", "true", {}, tmp_path, ())
    (tmp_path / "file").write_text("x")
    client.submit(job)
    with pytest.raises(ExistsError, match="x was submitted"):
        client.submit(job)  # nobody looked before


def test_ids_tell_the_name_and_another_run_the_time() -> None:
    assert submission_id(handover(), NOW) == "gfmp-demo"
    assert submission_id(handover(again=True), NOW) == "gfmp-demo-20260102-030405"


def test_words_of_a_command_stay_words_and_consent_is_passed_on(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = connection(jobs)
    wanted = replace(handover(), arguments=("--set", "name=a b; rm -rf $HOME"))
    assert shlex.split(entrypoint(wanted, there))[6:8] == ["--set", "name=a b; rm -rf $HOME"]
    monkeypatch.setenv("GFMP_CLUSTER_WITHOUT_TOKEN", jobs.address)
    assert entrypoint(wanted, there).startswith('GFMP_CLUSTER_WITHOUT_TOKEN="$RAY_ADDRESS" python')
    resumed = replace(handover(), project=specs_near(ROOT), arguments=("--resume", "demo-1"))
    assert " gfmp submit --resume demo-1 " in entrypoint(resumed, there)


def test_a_job_is_found_by_name_or_id_the_newest_first(jobs: Jobs, tmp_path: Path) -> None:
    workspace, there = Workspace(tmp_path / "w"), connection(jobs)
    hand_over(handover(), there, workspace)
    newest = hand_over(handover(again=True), there, workspace)
    client = JobsClient(there)
    assert client.find("demo").id == newest.id and client.find("gfmp-demo").id == "gfmp-demo"
    with pytest.raises(MissingInputError, match="no job of a run 'dmo'") as caught:
        client.find("dmo")
    assert "demo" in caught.value.problems[0].why
    jobs.logs["gfmp-demo"] = "first\nlast\n"
    assert client.logs("gfmp-demo") == "first\nlast\n"
    assert client.stop("gfmp-demo").status == "STOPPED" and jobs.stopped == ["gfmp-demo"]
    assert client.find("gfmp-demo").over


def test_a_cluster_that_goes_away_is_named(tmp_path: Path) -> None:
    with serving(Jobs()) as jobs:
        client = JobsClient(connection(jobs))
    with pytest.raises(ServiceError, match="no cluster answers"):
        client.states()


def test_rays_client_speaks_tls_with_the_same_certificates(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with serving(Jobs(), certificate) as jobs:
        client = JobsClient(connection(jobs, ca_path=str(certificate)))
        assert client.states() == ()
