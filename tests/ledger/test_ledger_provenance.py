"""Provenance says which code ran and never gives a secret away."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gfmp.ledger import provenance
from gfmp.ledger.provenance import (
    REDACTED,
    Git,
    collect,
    git_of,
    redacted,
    redacted_arguments,
    without_secrets,
)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    command = ("git", "-C", str(folder), *identity, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "repository" / "package" / "__init__.py"
    path.parent.mkdir(parents=True)
    path.write_text("x = 1\n")
    git(path.parent, "init", "-q", "..")
    git(path.parent, "add", "__init__.py")
    git(path.parent, "commit", "-q", "-m", "first")
    return path


def test_a_tracked_file_has_a_revision_and_a_state(source: Path) -> None:
    revision = git(source.parent, "rev-parse", "HEAD")
    assert git_of(source) == Git(revision, "clean")
    (source.parent / "untracked.py").touch()
    assert git_of(source) == Git(revision, "clean")
    source.write_text("x = 2\n")
    assert git_of(source) == Git(revision, "dirty")


def test_a_file_in_somebody_elses_repository_is_unknown(source: Path) -> None:
    installed = source.parent / "site-packages" / "__init__.py"
    installed.parent.mkdir()
    installed.touch()
    assert git_of(installed) == Git("unknown", "unknown")


def test_no_git_and_no_repository_are_unknown(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_of(tmp_path / "plain.py") == Git("unknown", "unknown")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_of(source) == Git("unknown", "unknown")


def test_secrets_are_redacted_and_ordinary_words_are_not() -> None:
    arguments = (
        "gfmp",
        "--token",
        "s3cret",
        "--api-key=s3cret",
        "https://user:s3cret@host/x?access_token=s3cret&y=1",
        "WANDB_PASSWORD=s3cret",
        "--set",
        "sampling.max_tokens=512",
        "tokenizer=bpe",
    )
    kept = redacted_arguments(arguments)
    assert "s3cret" not in " ".join(kept)
    assert kept[4] == "https://[redacted]@host/x?access_token=[redacted]&y=1"
    assert kept[-2:] == ("sampling.max_tokens=512", "tokenizer=bpe")
    assert redacted("postgresql://me:pw@db/mlflow") == "postgresql://[redacted]@db/mlflow"


def test_only_a_short_list_of_variables_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("SOME_TOKEN", "s3cret")
    found = collect(("gfmp", "submit"))
    assert found.environment["OMP_NUM_THREADS"] == "2"
    assert set(found.environment) <= set(provenance.ENVIRONMENT)
    assert "s3cret" not in repr(found)
    assert found.libraries["numpy"]
    assert found.command_line == ("gfmp", "submit")


def test_the_lock_file_beside_the_sources_is_hashed(tmp_path: Path) -> None:
    source = tmp_path / "platform" / "gfmp"
    source.mkdir(parents=True)
    assert provenance._lock_hash(source) == "unknown"
    (tmp_path / "requirements.lock").write_text("numpy==2.4\n")
    first = provenance._lock_hash(source)
    (tmp_path / "requirements.lock").write_text("numpy==2.5\n")
    assert len(first) == 64
    assert provenance._lock_hash(source) != first


def test_values_of_secrets_are_found_wherever_they_stand() -> None:
    environment = {"AWS_SECRET_ACCESS_KEY": "hunter2-hunter2", "GFMP_WORKSPACE": "/somewhere"}
    text = "http://u:p@host failed for hunter2-hunter2 in /somewhere; token=abc"
    said = without_secrets(text, environment)
    assert said == f"http://{REDACTED}@host failed for {REDACTED} in /somewhere; token={REDACTED}"
    # A short value is no secret, whatever its name: nobody could read the text without it.
    assert without_secrets("mode 0 is set", {"RAY_AUTH_TOKEN": "0"}) == "mode 0 is set"
