"""Where a command runs: `--cluster`, else the job's own word, else here; never twice removed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gfmp.cluster.litter import ray_folder
from gfmp.cluster.place import chosen, enter, find_cluster
from gfmp.cluster.watch import StopSignal
from gfmp.errors import InterruptedRunError, MissingInputError
from gfmp.ledger.run import Run
from gfmp.spec.cluster import ClusterSpec

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "jobs" / "pretrain.yaml"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody said anything before; what `enter` says is forgotten again."""
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "GFMP_JOB_ID"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)


def cluster(connection: Mapping[str, object]) -> ClusterSpec:
    """Return a cluster that is reached so."""
    return ClusterSpec.model_validate({"kind": "cluster", "name": "x", "connection": connection})


def test_the_option_comes_before_the_job_and_nothing_means_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert chosen("", "", JOB) is None
    of_job, of_person = chosen("", "aws", JOB), chosen("local", "aws", JOB)
    assert of_job is not None and of_job.name == "aws"
    assert of_person is not None and of_person.name == "local"
    with pytest.raises(MissingInputError, match="specs/clusters/awz"):
        find_cluster("awz", JOB)


def test_a_driver_on_a_cluster_is_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GFMP_JOB_ID", "gfmp-demo")
    assert chosen("aws", "aws", JOB) is None


def test_each_kind_tells_ray_where_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert enter(cluster({"kind": "local"})) is None
    assert "RAY_ADDRESS" not in os.environ
    assert os.environ["RAY_TMPDIR"] == str(ray_folder())
    assert enter(cluster({"kind": "address", "address": "10.0.0.2:6379"})) is None
    assert os.environ["RAY_ADDRESS"] == "10.0.0.2:6379" and "RAY_TMPDIR" not in os.environ
    monkeypatch.setenv("RAY_TMPDIR", "/somewhere")
    jobs = {"kind": "jobs_api", "address": "https://h", "workspace": "/w"}
    assert enter(cluster(jobs)) is not None
    enter(cluster({"kind": "address", "address": "auto"}))
    assert os.environ["RAY_TMPDIR"] == "/somewhere", "a person's own folder stays"


def test_a_cluster_signals_twice_and_means_it_once(
    copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GFMP_JOB_ID", "gfmp-tiny")
    with StopSignal(copied) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert copied.stop_requested() and signals.name == "SIGTERM"
        time.sleep(2.1)
        with pytest.raises(InterruptedRunError, match="twice"):
            os.kill(os.getpid(), signal.SIGTERM)
    copied.stop_path.unlink()
    monkeypatch.delenv("GFMP_JOB_ID")
    with StopSignal(copied), pytest.raises(InterruptedRunError, match="twice"):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
