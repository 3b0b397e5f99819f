"""A small project of its own: a corpus from two FASTA files, a job, a workspace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GFMP = str(Path(sys.executable).with_name("gfmp"))

CORPUS = """\
kind: corpus
name: small
sources:
  - species: Synthetica prima
    assembly: S1
    format: fasta
    files: [{path: one.fa}]
  - species: Synthetica secunda
    assembly: S2
    format: fasta
    files: [{path: two.fa}]
    valid: [{contig: chr2}]
"""

JOB = """\
kind: pretrain
name: small
seed: 7
corpus: small
vocabularies: [{name: bpe64}, {name: kmer3}]
model: {layers: 2, width: 64, heads: 2, intermediate: 128}
steps: 40
sampling: {global_batch_sequences: 12, max_tokens: 256}
optimiser: {learning_rate: 2e-3, warmup_steps: 4}
evaluation: {every_steps: 20, windows: 4, final_hidden_bases: 2000}
checkpoint: {every_steps: 5, keep_last: 2, keep_best: 0}
compute: {workers: 2, zero_stage: 1, threads_per_worker: 1}
"""


@dataclass(frozen=True)
class Project:
    """A folder with specs/, jobs/ and a workspace; commands run in it."""

    folder: Path

    @property
    def job(self) -> Path:
        return self.folder / "jobs" / "small.yaml"

    @property
    def runs(self) -> Path:
        return self.folder / "workspace" / "runs"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `gfmp ARGUMENTS` in the project; output goes to a file beside it."""
        log = (self.folder / "output.txt").open("a")
        environment = {**os.environ, "GFMP_WORKSPACE": str(self.folder / "workspace")}
        return subprocess.Popen(
            [GFMP, *arguments],
            cwd=self.folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> int:
        """Run `gfmp ARGUMENTS` to its end and return the exit status."""
        return self.start(*arguments).wait(timeout=600)

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def known_runs(self) -> list[Path]:
        """Return the folders of all runs, the newest last."""
        headers = self.runs.glob("[!.]*/run.json")
        return [p.parent for p in sorted(headers, key=lambda p: p.stat().st_mtime_ns)]

    def next_run(self, process: subprocess.Popen[str]) -> Path:
        """Return the folder of the run `process` creates; call it right after the start."""
        before = len(self.known_runs())
        while len(self.known_runs()) == before:
            assert process.poll() is None, f"ended before a run began\n{self.output}"
            time.sleep(0.1)
        return self.known_runs()[-1]

    def wait_for_step(self, step: int, process: subprocess.Popen[str]) -> None:
        """Return when the ledger of the newest run holds `step`."""
        run = self.known_runs()[-1]
        while not any(e["fields"]["step"] >= step for e in events(run, "step")):
            assert process.poll() is None, f"ended before step {step}\n{self.output}"
            time.sleep(0.05)


def events(run: Path, kind: str) -> list[dict[str, dict[str, float]]]:
    """Read the events of one kind straight from the files of a ledger."""
    lines = [
        line
        for path in sorted((run / "ledger").glob("*.jsonl"))
        for line in path.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]
    found = [json.loads(line) for line in lines]
    return [event for event in found if event["kind"] == kind]


def make_project(folder: Path) -> Project:
    """Write the project; its genomes hold repeats, so that there is something to learn."""
    for name in ("specs/corpora", "jobs"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(1)
    motifs = ["".join(rng.choice(list("ACGT"), 40)) for _ in range(30)]
    for name, contigs in (("one", 1), ("two", 2)):
        with (folder / "specs" / "corpora" / f"{name}.fa").open("w") as handle:
            for number in range(1, contigs + 1):
                # 90,000 bases a contig, and no two contigs alike.
                body = "".join(
                    "".join(rng.choice(list("ACGT"), 20)) + motifs[rng.integers(30)]
                    for _ in range(1500)
                )
                handle.write(f">chr{number}\n{body}\n")
    (folder / "specs" / "corpora" / "small.yaml").write_text(CORPUS)
    (folder / "jobs" / "small.yaml").write_text(JOB)
    return Project(folder)
