"""A small project with everything built: corpus, vocabularies, job, run; no Ray in sight."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gfmp.cluster.build import Builder
from gfmp.cluster.submit import Submission, _prepared
from gfmp.genome.corpus import Corpus
from gfmp.genome.ingest import build_corpus
from gfmp.ledger.events import Event
from gfmp.ledger.run import Run
from gfmp.plan.resolve import resolve
from gfmp.plan.survey import find_corpus, survey
from gfmp.plan.values import Plan
from gfmp.spec.load import load_spec, overridden, validate
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.documents import Document
from gfmp.storage.workspace import Workspace

NUM_GENOMES = 4
CONTIG_BP = 9_000
GENOME = """\
  - species: Synthetica {i}
    assembly: S{i}
    format: fasta
    files: [{{path: {i}.fa}}]
    valid: [{{contig: c{i}, start: 6000}}]
"""
JOB = """\
# A comment that a run keeps.
kind: pretrain
name: tiny
seed: 3
corpus: small
vocabularies: [{name: bpe64}, {name: kmer3}]
model: {layers: 1, width: 16, heads: 1, intermediate: 16}
steps: 10
sampling: {global_batch_sequences: 6, max_tokens: 128}
optimiser: {learning_rate: 1e-3}
compute: {device: cpu, threads_per_worker: 1}
"""


@dataclass
class Lines:
    """A console that keeps what it is told."""

    said: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Keep a line."""
        self.said.append(line)

    def event(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)


@dataclass(frozen=True)
class World:
    """A project folder and its workspace."""

    folder: Path

    @property
    def job(self) -> Path:
        """The job file."""
        return self.folder / "job.yaml"

    @property
    def workspace(self) -> Workspace:
        """Where everything is built."""
        return Workspace(self.folder / "workspace")

    def document(self, *assignments: str) -> Document:
        """Read the job, changed by `--set`."""
        _, document = load_spec(self.job, {"pretrain": PretrainSpec})
        return overridden(document, assignments) if assignments else document

    def plan(self, *assignments: str) -> Plan:
        """Plan the job."""
        document = self.document(*assignments)
        spec = validate(document, PretrainSpec)
        return resolve(spec, survey(spec, self.job, self.workspace).known)

    def submission(self, *assignments: str) -> Submission:
        """Make the job ready to become a run, also beside another one of the same job."""
        document = self.document(*assignments)
        spec = validate(document, PretrainSpec)
        return Submission(
            spec,
            document,
            self.plan(*assignments),
            self.workspace,
            ("gfmp", "submit", "job.yaml", "--new"),
            again=True,
        )

    def run(self, *assignments: str) -> Run:
        """Create a run of the job; nothing is trained."""
        return _prepared(self.submission(*assignments), Lines().say)[1]

    def corpus(self) -> Corpus:
        """Build the corpus of the job, or open it."""
        target = find_corpus("small", self.job, self.workspace)
        return build_corpus(target.settings, target.path)

    def built(self) -> World:
        """Build everything the job names."""
        corpus = self.corpus()
        builder = Builder(self.workspace, Lines().say)
        spec = validate(self.document(), PretrainSpec)
        for recipe in survey(spec, self.job, self.workspace).recipes:
            builder.vocabulary(recipe, lambda: corpus)
        return self


def make_world(folder: Path, seed: int = 0) -> World:
    """Write the project; nothing is built yet."""
    corpora = folder / "specs" / "corpora"
    corpora.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(NUM_GENOMES):
        letters = "".join(rng.choice(list("ACGT"), CONTIG_BP, p=(0.4, 0.1, 0.2, 0.3)))
        (corpora / f"{i}.fa").write_text(f">c{i}\n{letters}\n")
    sources = "".join(GENOME.format(i=i) for i in range(NUM_GENOMES))
    (corpora / "small.yaml").write_text(f"kind: corpus\nname: small\nsources:\n{sources}")
    (folder / "job.yaml").write_text(JOB)
    return World(folder)
