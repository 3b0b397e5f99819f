"""What a person sees who makes a mistake: the place, the rule, the fix, in time, before Ray."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

GFMP = str(Path(sys.executable).with_name("gfmp"))
JOB = """\
kind: pretrain
name: mistaken
corpus: small
vocabularies: [{name: kmer3}]
model: {layers: 1, width: 16, heads: 1, intermediate: 16}
steps: 2
sampling: {global_batch_sequences: 4}
optimiser: {learning_rate: 1e-3}
"""
CORPUS = """\
kind: corpus
name: small
sources:
  - species: Synthetica prima
    assembly: S1
    format: fasta
    files: [{path: one.fa}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "specs" / "corpora").mkdir(parents=True)
    (tmp_path / "specs" / "corpora" / "small.yaml").write_text(CORPUS)
    (tmp_path / "specs" / "corpora" / "one.fa").write_text(">c1\n" + "ACGTTGCA" * 500 + "\n")
    return tmp_path


def _gfmp(folder: Path, *arguments: str) -> tuple[int, str, float]:
    """Return status, stderr and the processor seconds it took: alike on a busy machine."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [GFMP, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    return done.returncode, done.stderr, seconds


@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        (("steps: 2", "stepps: 2"), 78, ("job.yaml:6:1", "'stepps'", "did you mean 'steps'?")),
        (("corpus: small", "corpus: smal"), 66, ("specs/corpora/smal.yaml", "'small'")),
        (("name: kmer3", "name: kmerr3"), 66, ("'kmerr3'", "families are")),
        (("steps: 2", "steps: 2\nsteps: 3"), 78, ("job.yaml:7:1", "stands twice")),
        (("learning_rate: 1e-3", "learning_rate: 0"), 78, ("job.yaml:8:13", "greater than 0")),
    ],
)
@pytest.mark.parametrize("command", ["plan", "submit"])
def test_a_mistake_in_a_job(
    project: Path, command: str, change: tuple[str, str], status: int, expected: tuple[str, ...]
) -> None:
    (project / "job.yaml").write_text(JOB.replace(*change))
    found, text, seconds = _gfmp(project, command, "job.yaml")
    assert found == status, text
    folded = " ".join(text.split())
    assert all(part in folded for part in expected), text
    assert max(map(len, text.splitlines())) <= 100
    assert seconds < 2
    assert not (project / "workspace" / "runs").exists()


def test_a_missing_genome_is_found_where_it_is_named(project: Path) -> None:
    (project / "job.yaml").write_text(JOB)
    (project / "specs" / "corpora" / "one.fa").rename(project / "specs" / "corpora" / "won.fa")
    found, text, _ = _gfmp(project, "submit", "job.yaml")
    assert found == 66
    folded = " ".join(text.split())
    assert "specs/corpora/small.yaml:7:14" in folded
    assert "did you mean 'won.fa'?" in folded


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("submit",), 2, "--resume"),
        (("plan", "nothing.yaml"), 66, "nothing.yaml"),
        (("runs", "show", "nothing"), 66, "nothing"),
        (("register-vocab", "../../x"), 77, "not allowed"),
        (("register-vocab", "kmer6", "--from", "nothing.json"), 66, "nothing.json"),
        (("vocab", "show", "kmer6"), 66, "kmer6"),
        (("plann",), 2, "No such command"),
        (("submit", "--resume", "nothing"), 66, "nothing"),
    ],
)
def test_a_mistake_on_the_command_line(
    tmp_path: Path, arguments: tuple[str, ...], status: int, word: str
) -> None:
    found, text, _ = _gfmp(tmp_path, *arguments)
    assert (found, word in text) == (status, True), text


def test_a_dead_cluster_is_named_at_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "job.yaml").write_text(JOB)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    found, text, seconds = _gfmp(project, "submit", "job.yaml")
    assert found == 69
    assert "RAY_ADDRESS" in text
    assert seconds < 10


def test_help_is_quick(tmp_path: Path) -> None:
    times = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run([GFMP, "--help"], cwd=tmp_path, capture_output=True, check=True)
        times.append(time.monotonic() - began)
    assert min(times) < 0.5
