"""Motif jobs as runs: from the job file to ledger, MLflow and page, without Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from motif_world import NAME, PLANTED, copied, make_world, record

from gfmp.cli.main import gfmp
from gfmp.cli.motifs import planned_motifs
from gfmp.cluster.motifs import MotifJob, resume, start
from gfmp.errors import (
    CorruptArtefactError,
    ExistsError,
    InterruptedRunError,
    MissingInputError,
    SpecError,
    UsageError,
)
from gfmp.genome.motif_files import read_motifs
from gfmp.inference.motif_inputs import find_model
from gfmp.ledger.events import Event
from gfmp.ledger.status import Status
from gfmp.ledger.store import RunStore
from gfmp.mlflow_store.sweeps import mirror_of
from gfmp.spec.load import load_spec
from gfmp.spec.motifs import MotifsSpec
from gfmp.storage.documents import Document
from gfmp.storage.workspace import Workspace

JOB = f"kind: motifs\nname: made\nmodel: {NAME}\nmax_rows: 100\nrows_shown: 1\n"


@dataclass
class Console:
    """Keeps what was said; asks the run to stop when told to."""

    lines: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    stop: Workspace | None = None

    def say(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)

    def event(self, event: Event) -> None:
        """Keep an event; ask for an end at the first row that is read."""
        self.events.append(event)
        if self.stop is not None and event.kind == "maps":
            RunStore(self.stop).list()[-1].request_stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a fine-tuned model; nobody writes into it."""
    return make_world(tmp_path_factory.mktemp("motifs"))


@pytest.fixture
def workspace(world: Workspace, tmp_path: Path) -> Workspace:
    """A copy for one test."""
    return copied(world, tmp_path)


def written(folder: Path, text: str = JOB) -> tuple[MotifsSpec, Document]:
    path = folder / "job.yaml"
    path.write_text(text)
    return load_spec(path, {"motifs": MotifsSpec})


def job_of(workspace: Workspace, folder: Path, text: str = JOB) -> MotifJob:
    spec, document = written(folder, text)
    plan = planned_motifs(spec, document, workspace)
    return MotifJob(plan, spec.seed, document, workspace, ("gfmp",))


def test_a_job_becomes_a_run_with_a_page(workspace: Workspace, tmp_path: Path) -> None:
    console = Console()
    run = start(job_of(workspace, tmp_path), console)
    assert run.status() is Status.FINISHED and run.header.kind == "motifs"
    (found,) = run.events("report")
    assert found.fields["motifs"] == 1 and found.fields["motif-1/consensus"] == PLANTED
    assert found.fields["incomplete_rows"] == 0
    assert [event.kind for event in console.events] == ["started", "maps", "report", "finished"]
    page = (run.path / "report" / "report.html").read_text()
    assert PLANTED in page and "rollout" in page and run.repeat_command in page
    (motif,) = read_motifs(run.path / "report" / "motifs.meme")
    assert motif.consensus == PLANTED
    tracked = mirror_of(run, workspace).sync()
    assert tracked.status == "FINISHED"
    again = mirror_of(run, workspace).sync()
    assert (again.num_points, again.num_files) == (0, 0), "MLflow has all of it"
    with pytest.raises(ExistsError, match="is finished"):
        resume(run, workspace, console)


def test_the_kept_job_is_the_same_job(workspace: Workspace, tmp_path: Path) -> None:
    run = start(job_of(workspace, tmp_path), Console())
    spec, document = load_spec(run.spec_path, {"motifs": MotifsSpec})
    assert spec.model.endswith("/") and Path(spec.model).is_absolute()
    again = planned_motifs(spec, document, workspace)
    assert again.what.fingerprint == run.header.what_fingerprint
    assert run.repeat_command == f"gfmp submit {run.spec_path}"


def test_a_stopped_job_is_resumed(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError, match="was stopped"):
        start(job_of(workspace, tmp_path), Console(stop=workspace))
    run = RunStore(workspace).list()[-1]
    assert run.status() is Status.INTERRUPTED and not (run.path / "report").exists()
    assert resume(run, workspace, Console()).status() is Status.FINISHED
    assert (run.path / "report" / "report.html").is_file()


def test_another_model_in_the_same_place_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    job = job_of(workspace, tmp_path)
    described = Path(job.plan.where.folder) / "model.json"
    body = json.loads(described.read_text())
    described.write_text(json.dumps({**body, "sha256": {**body["sha256"], "extra": "0"}}))
    with pytest.raises(CorruptArtefactError, match="not the one that was planned"):
        start(job, Console())
    run = RunStore(workspace).list()[-1]
    assert run.status() is Status.FAILED


def test_models_are_found_by_name_id_and_folder(workspace: Workspace, tmp_path: Path) -> None:
    named = find_model(NAME, tmp_path, workspace)
    run = next(r for r in RunStore(workspace).list() if r.header.name == NAME)
    assert find_model(run.id, tmp_path, workspace) == named
    by_folder = find_model(f"{named.folder}/", tmp_path, workspace)
    assert by_folder.model.fingerprint == named.model.fingerprint


def test_models_that_are_not_there(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no fine-tuned model 'plantde'") as caught:
        find_model("plantde", tmp_path, workspace, "job.yaml:3:8")
    assert caught.value.problems[0].where == "job.yaml:3:8"
    with pytest.raises(MissingInputError, match="no fine-tuned model in"):
        find_model("./nowhere/", tmp_path, workspace)
    bare = record(workspace, "finetune", "bare")
    with pytest.raises(MissingInputError, match="kept no fine-tuned model"):
        find_model("bare", tmp_path, workspace)
    (bare.path / "models" / "x").mkdir(parents=True)
    (bare.path / "models" / "x" / "model.json").write_text("{}")
    with pytest.raises(CorruptArtefactError, match="lacks something"):
        find_model("bare", tmp_path, workspace)


def test_an_unknown_output_is_told_before_anything_runs(
    workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="'bound'") as caught:
        job_of(workspace, tmp_path, JOB + "output: bound\n")
    assert caught.value.problems[0].where.endswith("job.yaml:6:1")


def call(*arguments: str) -> str:
    result = CliRunner().invoke(gfmp, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands(workspace: Workspace, tmp_path: Path) -> None:
    written(tmp_path)
    at = ("--workspace", str(workspace.root))
    job = str(tmp_path / "job.yaml")
    told = call("plan", job, *at)
    assert "positive_rows: 100 rows" in told and "Everything it needs is there." in told
    body = json.loads(call("plan", job, "--json", *at))
    assert body["what"]["map"] == "rollout"
    empty = call("plan", job, "--workspace", str(tmp_path / "empty"))
    assert "To be made first:" in empty and not (tmp_path / "empty").exists()
    missing = json.loads(call("plan", job, "--json", "--workspace", str(tmp_path / "empty")))
    assert missing["missing"] and missing["spec"]["model"] == NAME
    call("submit", job, "--set", "map=pooled", *at)
    run = RunStore(workspace).list()[-1]
    assert run.report() and "1 motifs" in call("runs", "list", *at)
    assert "kind: motifs" in call("runs", "show", run.id, *at)
    call("runs", "verify", run.id, *at)
    with pytest.raises(UsageError, match="cannot be applied"):
        CliRunner().invoke(
            gfmp,
            ["submit", "--resume", run.id, "--set", "map=cls", *at],
            catch_exceptions=False,
        )


def test_planning_imports_no_torch(workspace: Workspace, tmp_path: Path) -> None:
    written(tmp_path)
    code = (
        "import sys\n"
        "from gfmp.cli.main import gfmp\n"
        "gfmp.main(sys.argv[1:], standalone_mode=False)\n"
        "assert not {'torch', 'ray', 'mlflow'} & set(sys.modules)\n"
    )
    job, root = str(tmp_path / "job.yaml"), str(workspace.root)
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", job, "--workspace", root],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
