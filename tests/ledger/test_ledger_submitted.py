"""What was handed to a cluster is found again by name, the newest first; a record is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gfmp.errors import CorruptArtefactError
from gfmp.ledger.submission import job_of, record
from gfmp.ledger.submitted import Submitted, recall, remember, submissions
from gfmp.spec.cluster import JobsConnection
from gfmp.storage.workspace import Workspace

THERE = JobsConnection(kind="jobs_api", address="https://h", workspace="/mnt/w")


def submitted(job: str, name: str, created: str) -> Submitted:
    """Return a submission."""
    return Submitted(job, name, "pretrain", created, THERE)


def test_the_newest_of_a_name_is_meant_and_an_id_means_itself(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    assert submissions(workspace) == () and recall(workspace, "a") is None
    first = submitted("gfmp-a", "a", "2026-01-01T00:00:00+00:00")
    second = submitted("gfmp-a-20260102-000000", "a", "2026-01-02T00:00:00+00:00")
    for one in (second, first):
        remember(workspace, one)
    assert submissions(workspace) == (first, second)
    assert recall(workspace, "a") == second and recall(workspace, "gfmp-a") == first
    assert recall(workspace, "gfmp") is None


@pytest.mark.parametrize("change", [{"format_version": 2}, {"connection": {}}, {"id": 3}])
def test_a_changed_record_is_told(tmp_path: Path, change: dict[str, object]) -> None:
    workspace = Workspace(tmp_path)
    remember(workspace, submitted("gfmp-a", "a", "2026-01-01T00:00:00+00:00"))
    path = workspace.submissions / "gfmp-a.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CorruptArtefactError, match="not understood") as caught:
        recall(workspace, "a")
    assert caught.value.problems[0].where == str(path)


def test_a_run_knows_the_job_that_created_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GFMP_JOB_ID", "gfmp-a")
    record(tmp_path)
    assert job_of(tmp_path) == "gfmp-a"
    monkeypatch.delenv("GFMP_JOB_ID")
    record(tmp_path)
    assert job_of(tmp_path) == "" and "job" not in (tmp_path / "submission.json").read_text()
