"""The commands as a person gives them: hand over, follow, stop, render, plan; from anywhere."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from jobs_world import TOKEN, Jobs, serving

from gfmp.cli import remote
from gfmp.cli.main import gfmp
from gfmp.cli.render.following import follow_logs
from gfmp.cluster.jobs import JobState
from gfmp.errors import (
    ExistsError,
    GfmpError,
    MissingInputError,
    SpecError,
    TrainingError,
    UsageError,
)
from gfmp.ledger.run import Run
from gfmp.ledger.status import Status

ROOT = Path(__file__).resolve().parents[2]
JOB = str(ROOT / "jobs" / "pretrain.yaml")
BASE = str(ROOT / "jobs" / "pretrain_base.yaml")
NAME = yaml.safe_load(Path(JOB).read_text())["name"]
MOST_SECONDS = 10.0


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The token is known; commands are given in the project; nothing else is set."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(ROOT)
    for name in ("RAY_AUTH_MODE", "GFMP_CLUSTER_WITHOUT_TOKEN", "GFMP_JOB_ID", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    """A cluster that takes jobs."""
    with serving(Jobs()) as made:
        yield made


@pytest.fixture
def spec(jobs: Jobs, tmp_path: Path) -> str:
    """The file that says how it is reached."""
    path = tmp_path / "there.yaml"
    reached = {"kind": "jobs_api", "address": jobs.address, "workspace": "/mnt/w"}
    path.write_text(yaml.dump({"kind": "cluster", "name": "there", "connection": reached}))
    return str(path)


def run(*words: str) -> str:
    """Give a command in this process; returns what it prints, raises what it raises."""
    done = CliRunner().invoke(gfmp, list(words), catch_exceptions=True)
    if isinstance(done.exception, GfmpError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_job_is_handed_over_followed_and_stopped_from_its_workspace(
    jobs: Jobs, spec: str, tmp_path: Path
) -> None:
    here = ("--workspace", str(tmp_path / "w"))
    said = run("submit", JOB, "--cluster", spec, "--set", "seed=9", *here)
    assert f"gfmp runs logs -f {NAME}" in said and jobs.address in said
    job_id = f"gfmp-{NAME}"
    assert " --set seed=9 --workspace /mnt/w" in jobs.jobs[job_id]["entrypoint"]
    with pytest.raises(ExistsError, match="submitted to this cluster before"):
        run("submit", JOB, "--cluster", spec, *here)
    status = json.loads(run("runs", "status", NAME, "--json", *here))
    assert (status["status"], status["job"], status["workspace"]) == ("running", job_id, "/mnt/w")
    jobs.logs[job_id] = "".join(f"line {number}\n" for number in range(50))
    assert run("runs", "logs", NAME, "--lines", "2", *here) == "line 48\nline 49\n"
    assert "stopped" in run("runs", "stop", NAME, *here) and jobs.stopped == [job_id]
    with pytest.raises(UsageError, match="is stopped, not running"):
        run("runs", "stop", NAME, *here)


def test_another_machine_needs_only_the_cluster(jobs: Jobs, spec: str, tmp_path: Path) -> None:
    run("submit", JOB, "--cluster", spec, "--workspace", str(tmp_path / "w"))
    there = ("--cluster", spec, "--workspace", str(tmp_path / "other"))
    assert "status: running" in run("runs", "status", NAME, *there)
    with pytest.raises(MissingInputError, match="no job of a run 'none'"):
        run("runs", "stop", "none", *there)
    with pytest.raises(MissingInputError, match="there is no run"):
        run("runs", "status", NAME, "--workspace", str(tmp_path / "other"))


def test_the_cluster_of_a_job_file_counts_and_resumes_and_new_runs_have_times(
    jobs: Jobs, spec: str, tmp_path: Path
) -> None:
    here = ("--workspace", str(tmp_path / "w"))
    run("submit", JOB, "--set", f"cluster={spec}", *here)
    run("submit", JOB, "--set", f"cluster={spec}", "--new", *here)
    run("submit", "--resume", "demo-20260101-0000-abcd", "--cluster", spec, *here)
    run("sweep", "specs/label_efficiency_quick.yaml", "--cluster", spec, *here)
    entries = [job["entrypoint"].split(" gfmp ")[1] for job in jobs.jobs.values()]
    words = f"submit jobs/pretrain.yaml --set cluster={spec}"
    assert entries[0] == f"{words} --workspace /mnt/w"
    assert entries[1] == f"{words} --new --workspace /mnt/w"
    assert entries[2] == "submit --resume demo-20260101-0000-abcd --workspace /mnt/w"
    assert entries[3] == "sweep specs/label_efficiency_quick.yaml --workspace /mnt/w"


def test_a_failed_job_is_told_with_its_reason() -> None:
    failed = JobState("gfmp-x", "FAILED", "x", "exit code 70\nlogs", 70, 1.0, 2.0)
    with pytest.raises(TrainingError, match="job gfmp-x failed with status 70") as caught:
        remote._ended(failed)
    assert caught.value.problems[0].why == "exit code 70"


def test_an_impossible_job_never_leaves(jobs: Jobs, spec: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="device is gpu"):
        words = ("--set", "compute.device=gpu", "--workspace", str(tmp_path / "w"))
        run("submit", JOB, "--cluster", spec, *words)
    assert not jobs.jobs and not jobs.packages and not (tmp_path / "w").exists()


def _timed(*words: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "gfmp", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "RAY_AUTH_TOKEN": TOKEN},
        check=False,
    )
    return time.monotonic() - began, done


def test_a_dead_address_ends_the_command_within_ten_seconds(tmp_path: Path) -> None:
    path = tmp_path / "dead.yaml"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        reached = {"kind": "jobs_api", "address": address, "workspace": "/mnt/w"}
        path.write_text(yaml.dump({"kind": "cluster", "name": "dead", "connection": reached}))
        words = ("runs", "status", "demo", "--workspace", str(tmp_path))
        seconds, done = _timed(*words, "--cluster", str(path))
    # A busy machine can take longer than that to start Python alone.
    alone, _ = _timed(*words)
    assert seconds - alone < MOST_SECONDS
    assert done.returncode == 69
    assert f"no cluster answers at {address}" in done.stderr and "ssh -L" in done.stderr


def test_what_is_rendered_is_printed_and_nothing_is_begun(tmp_path: Path) -> None:
    here = ("--workspace", str(tmp_path / "w"))
    said = run("submit", BASE, "--cluster", "slurm", "--render", "slurm", *here)
    assert said.startswith("#!/bin/bash\n#SBATCH --job-name=") and "--nodes=2" in said
    said = run("submit", BASE, "--cluster", "kubernetes", "--render", "kuberay", *here)
    assert [part["kind"] for part in yaml.safe_load_all(said)] == ["ConfigMap", "RayJob"]
    with pytest.raises(UsageError, match="--render aws needs a cluster"):
        run("submit", BASE, "--render", "aws", *here)
    assert not (tmp_path / "w").exists()


def test_a_plan_for_a_cluster_tells_what_it_takes(tmp_path: Path) -> None:
    here = ("--workspace", str(tmp_path / "w"))
    plan = json.loads(run("plan", BASE, "--cluster", "aws", "--json", *here))
    rows = {row["name"]: row for row in plan["derived"]}
    alone = json.loads(run("plan", BASE, "--json", *here))
    assert plan["what_fingerprint"] == alone["what_fingerprint"]
    assert rows["cost"]["unit"] == "USD" and rows["cost"]["value"] > 100
    assert rows["gpu_hours"]["value"] > 1 and rows["expected_failures"]["value"] > 0
    assert "cost" not in {row["name"] for row in alone["derived"]}
    with pytest.raises(UsageError, match="measures this machine"):
        run("plan", BASE, "--cluster", "aws", "--calibrate", *here)


def test_a_plan_that_has_no_numbers_of_a_cluster_says_so(tmp_path: Path) -> None:
    here = ("--workspace", str(tmp_path / "w"))
    with pytest.raises(UsageError, match="nothing about a job of kind sweep"):
        run("plan", "specs/label_efficiency_quick.yaml", "--cluster", "aws", *here)


def test_the_logs_of_a_run_of_this_machine_are_followed_to_its_end(
    copied: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    log = copied.logs_path / "rank0.log"
    log.write_text("old\n")
    owned = threading.Event()

    def _drive() -> None:
        with copied.own(), copied.open_writer("driver") as ledger:
            ledger.append("started", {"segment": 0})
            owned.set()
            time.sleep(0.8)
            with log.open("a") as handle:
                handle.write("new\nhalf")
            (copied.logs_path / "rank1.log").write_text("another\n")
            time.sleep(0.8)

    driver = threading.Thread(target=_drive)
    driver.start()
    assert owned.wait(10)
    follow_logs(copied)
    driver.join()
    assert copied.status() is not Status.RUNNING
    assert capsys.readouterr().out.splitlines() == ["rank0: new", "rank1: another", "rank0: half"]


def test_the_state_of_a_run_of_this_machine_names_the_job_that_made_it(
    planned: Run,
) -> None:
    workspace = planned.path.parent.parent
    said = json.loads(run("runs", "status", planned.id, "--json", "--workspace", str(workspace)))
    assert said["id"] == planned.id and "job" not in said
    assert f"id: {planned.id}" in run("runs", "status", planned.id, "--workspace", str(workspace))
