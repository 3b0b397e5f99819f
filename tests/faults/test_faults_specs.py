"""Rows C1 and C2: what is wrong in a YAML file is told at once, whole, with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_measured import Measured, Worst, measured
from fault_project import JOB, Project, tree_hash
from fault_seen import Seen

# Two seconds are the promise, and Ray is not even imported; on a busy machine the same work takes
# half as much processor time again.
CPU_SECONDS = 3.0
PEAK_MIB = 300

MISTAKEN = """\
kind: pretrain
name: small
corpus: small
vocab: no
vocabularies: [{name: kmer3}]
model: {layers: 1, width: 16, heads: 1, intermediate: 32}
steps: -5
sampling: {global_batch_sequences: 8, max_tokens: 128}
optimiser:
  learning_rate: 1e-4
  learning_rate: 2e-4
  warmup_step: 4
  weight_decay: .nan
masking: {mask_fraction: 1.5}
precision: no
"""
EXPECTED = (
    "4:1 unknown key 'vocab'",
    "7:1 steps: -5 is not allowed",
    "11:3 the key 'learning_rate' stands twice",
    "12:3 unknown key 'optimiser.warmup_step'",
    "13:3 optimiser.weight_decay: nan is not allowed",
    "14:11 masking.mask_fraction: 1.5 is not allowed",
    "15:1 precision: 'no' is not allowed",
)


def _places(done: Measured, path: Path) -> set[str]:
    """Return `line:column message` of every problem in what was printed."""
    found = set()
    for problem in done.output.split("error[GFMP-C078]: ")[1:]:
        message, place = problem.split(" why: ")[0].split(" --> ")
        found.add(f"{place.split(f'{path.name}:')[1]} {message}")
    return found


@pytest.mark.ci
@pytest.mark.fault("C1")
def test_every_mistake_of_a_job_is_told_at_once(empty: Project, seen: Seen) -> None:
    path = empty.folder / "jobs" / "mistaken.yaml"
    path.write_text(MISTAKEN)
    before = tree_hash(empty.workspace)
    worst = Worst()
    for command in ("plan", "submit"):
        done = measured(empty, command, str(path))
        assert done.status == 78, done.output
        assert _places(done, path) == set(EXPECTED)
        assert "did you mean 'warmup_steps'?" in done.output
        assert "it stands first in line 10" in done.output
        worst.add(done)
        seen.exit(done.status)
    assert worst.cpu_seconds < CPU_SECONDS, worst
    assert tree_hash(empty.workspace) == before
    seen.outcome(f"{len(EXPECTED)} of {len(EXPECTED)} told with line and column; {worst}")
    seen.lost(files=0)


@pytest.mark.ci
@pytest.mark.fault("C1")
def test_numbers_are_numbers_and_words_are_words(empty: Project, seen: Seen) -> None:
    empty.job.write_text(JOB.replace("learning_rate: 2e-3", "learning_rate: 1e-4"))
    done = empty.run("plan", str(empty.job), "--json")
    assert done.status == 0, done.output
    assert json.loads(done.output)["what"]["optimiser"]["learning_rate"] == 0.0001
    empty.job.write_text(JOB.replace("corpus: small", "corpus: no"))
    done = empty.run("plan", str(empty.job))
    assert done.status == 66, done.output
    assert "specs/corpora/no.yaml" in "".join(done.output.split())
    seen.outcome("1e-4 is a number, no is a word")
    seen.lost(files=0)


def _bomb(canary: Path) -> str:
    levels = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for name, below in zip("bcdefgh", "abcdefg", strict=True):
        levels.append(f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]")
    return "\n".join(levels) + "\n"


def _code(canary: Path) -> str:
    return f"kind: !!python/object/apply:os.system ['touch {canary}']\n"


HOSTILE: dict[str, tuple[Callable[[Path], str], str]] = {
    "bomb": (_bomb, ":1:4 why: the rule is: specs repeat, never alias"),
    "code": (_code, ":1:7 why: the rule is: specs hold data, never code"),
    "deep": (lambda _: "kind: " + "[" * 2000 + "]" * 2000, "nested 33 levels deep"),
    "deep-block": (lambda _: "".join(f"{' ' * i}k:\n" for i in range(500)), "33 levels deep"),
    "huge": (lambda _: "kind: pretrain\n" * 3_500_000, "1 MiB at most"),
    "documents": (lambda _: "kind: pretrain\n---\nkind: corpus\n", ":2:1"),
    "tab": (lambda _: "kind: pretrain\nmodel:\n\tlayers: 1\n", ":3:1"),
    "control": (lambda _: "kind: pre\x07train\n", ":1:10"),
    "values": (lambda _: "kind: [" + "1," * 500_000 + "1]\n", "100,000 at most"),
    "words": (lambda _: "kind: pretrain\nname: " + "x" * 1_000_000, "steps' is missing"),
    "keys": (
        lambda _: "kind: pretrain\n" + "".join(f"k{i}: 1\n" for i in range(45_000)),
        "... and 44,995 more",
    ),
    "twice": (lambda _: "kind: pretrain\n" * 45_000, "stands twice"),
    "digits": (lambda _: "kind: pretrain\nsteps: " + "7" * 1_000_000, ":2:8"),
}


@pytest.mark.ci
@pytest.mark.fault("C2")
def test_hostile_documents_cost_little_and_do_nothing(empty: Project, seen: Seen) -> None:
    canary = empty.folder / "canary"
    before = tree_hash(empty.workspace)
    worst = Worst()
    for name, (make, words) in HOSTILE.items():
        path = empty.folder / "jobs" / f"{name}.yaml"
        path.write_text(make(canary))
        done = measured(empty, "submit", str(path))
        assert done.status == 78, (name, done.output)
        assert words in done.output, (name, done.output)
        assert f"{name}.yaml:" in done.output
        assert len(done.output) < 10_000
        assert done.cpu_seconds < CPU_SECONDS, (name, done.cpu_seconds)
        assert done.peak_mib < PEAK_MIB, (name, done.peak_mib)
        worst.add(done)
        seen.exit(done.status)
    assert not canary.exists()
    assert tree_hash(empty.workspace) == before
    seen.outcome(f"{len(HOSTILE)} refused with their line, nothing executed; {worst}")
    seen.lost(files=0)
