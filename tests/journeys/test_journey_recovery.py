"""Kill anything: the weights are those of the run that nobody disturbed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from journey_project import Project, events, make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("recovery"))


@pytest.fixture(scope="module")
def clean(project: Project) -> Path:
    """An undisturbed run of 40 steps on two workers."""
    assert project.run("submit", str(project.job)) == 0, project.output
    return project.known_runs()[-1]


def _outcome(run: Path) -> dict[str, float]:
    return events(run, "outcome")[-1]["fields"]


def test_a_clean_run_is_whole(project: Project, clean: Path) -> None:
    assert [e["fields"]["step"] for e in events(clean, "step")] == list(range(1, 41))
    assert _outcome(clean)["status"] == "finished"
    names = sorted(p.name for p in (clean / "checkpoints").iterdir())
    assert names == ["step-000000035", "step-000000040"]
    assert events(clean, "report")
    # A finished run is never changed.
    assert project.run("submit", "--resume", clean.name) == 73


def test_kill_worker_then_driver_then_resume(project: Project, clean: Path) -> None:
    driver = project.start("submit", str(project.job))
    run = project.next_run(driver)
    project.wait_for_step(15, driver)
    worker = json.loads((run / "workers" / "rank1.json").read_text())["pid"]
    os.kill(worker, signal.SIGKILL)
    # The worker group comes back by itself and goes on from the newest checkpoint.
    project.wait_for_step(30, driver)
    assert events(run, "resumed")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert project.run("submit", "--resume", run.name) == 0, project.output
    steps = {e["fields"]["step"]: e["fields"]["order_hash"] for e in events(run, "step")}
    undisturbed = {e["fields"]["step"]: e["fields"]["order_hash"] for e in events(clean, "step")}
    assert steps == undisturbed
    assert _outcome(run)["order_hash"] == _outcome(clean)["order_hash"]
    assert _outcome(run)["weights_hash"] == _outcome(clean)["weights_hash"]


def test_sigterm_commits_and_another_world_size_goes_on(project: Project, clean: Path) -> None:
    driver = project.start("submit", str(project.job), "--set", "compute.workers=1")
    run = project.next_run(driver)
    project.wait_for_step(10, driver)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=60) == 143, project.output
    stopped = int(_outcome(run)["step"])
    assert f"step-{stopped:09d}" in [p.name for p in (run / "checkpoints").iterdir()]
    assert project.run("submit", "--resume", run.name, "--set", "compute.workers=2") == 0
    assert _outcome(run)["order_hash"] == _outcome(clean)["order_hash"]
    losses = {e["fields"]["step"]: e["fields"]["loss"] for e in events(run, "step")}
    for event in events(clean, "step")[:20]:
        assert losses[event["fields"]["step"]] == pytest.approx(event["fields"]["loss"], abs=1e-4)
