"""A tiny pretrained run, a fine-tuned one, and variants on a made-up reference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from gfmp.inference.effects import (
    Job,
    Progress,
    ScoredFile,
    open_variants,
    scorers_of,
    shards_of,
)
from gfmp.inference.names import look_up
from gfmp.inference.results import Results
from gfmp.inference.survey import Survey
from gfmp.learners.compute import Compute
from gfmp.learners.finetuned import Finetuned, save
from gfmp.learners.head import HeadShape, TaskModel
from gfmp.learners.initial import from_pretrained
from gfmp.learners.objective import Labels
from gfmp.ledger.header import NewRun
from gfmp.ledger.run import Run
from gfmp.ledger.store import RunStore
from gfmp.model.masked import build
from gfmp.plan.cells import Cell, Ingredient
from gfmp.plan.variant_effect import EffectPlan, resolve_effects
from gfmp.spec.learner import Finetuning
from gfmp.spec.load import validate
from gfmp.spec.model import Architecture
from gfmp.spec.variant_effect import VariantEffectSpec
from gfmp.storage.atomic import write_json
from gfmp.storage.documents import Document, load_document
from gfmp.storage.workspace import Workspace
from gfmp.tasks.task import Target
from gfmp.training.manifest import (
    ENSEMBLE_FILE,
    WEIGHTS_FILE,
    Cursor,
    Manifest,
    directory_name,
    stored_file,
    write_manifest,
)
from gfmp.training.pretrained import find_pretrained
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import Vocabulary

TINY = Architecture(layers=2, width=16, heads=2, intermediate=24)
CPU = Compute.of("cpu", 1)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
LIKELIHOODS = (
    {"kind": "likelihood", "model": "tiny", "vocabulary": "kmer3"},
    {"kind": "likelihood", "model": "tiny", "vocabulary": "pairs"},
)
EMBEDDINGS = (
    {"kind": "embedding", "model": "tiny", "vocabulary": "kmer3", "near_bp": 4},
    {"kind": "embedding", "model": "tiny", "vocabulary": "pairs", "pool": "window"},
)
PROFILE = {"kind": "profile", "model": "marks"}


def random_dna(length: int, seed: int) -> str:
    """Draw letters of ACGT."""
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length).tolist())


def vocabularies() -> tuple[Vocabulary, Vocabulary]:
    """Return overlapping 3-mers and byte pairs learned from a little DNA."""
    families = FamilyRegistry.discover()
    kmers = Recipe("kmer3", "kmer", {"k": 3, "stride_bp": 1, "mask_span_tokens": 6})
    pairs = Recipe("pairs", "bpe", {"size": 60}, sample_bp=10_000)
    sample = [random_dna(10_000, 9).encode()]
    return (
        families.get("kmer").build(kmers, ()),
        families.build(pairs, sample),
    )


def finished(workspace: Workspace, name: str, kind: str) -> Run:
    """Write a run that is finished."""
    new = NewRun(name, kind, 0, "e" * 64, b"kind: x\n", {"what": {}, "cells": []}, ("gfmp",))
    run = RunStore(workspace).create(new)
    with run.open_writer("driver") as ledger:
        ledger.append("started", {"segment": 0})
        ledger.append("finished", {"seconds": 0.0})
    return run


def pretrained_run(workspace: Workspace, seed: int = 5, scale: float = 3.0) -> Run:
    """Write a finished pretraining run named `tiny` with one checkpoint.

    Fresh weights are so small that every word is as likely; scaled, they say something.
    """
    run = finished(workspace, "tiny", "pretrain")
    ensemble = Ensemble.of(vocabularies())
    model = build(TINY, ensemble.size, (), "fp32", seed)
    path = run.checkpoints_path / directory_name(7)
    path.mkdir(parents=True)
    state = {name: scale * p.detach() if p.ndim > 1 else p.detach() for name, p in _named(model)}
    save_file({name: p.contiguous() for name, p in state.items()}, path / WEIGHTS_FILE)
    write_json(path / ENSEMBLE_FILE, ensemble.to_json())
    files = {name: stored_file(path / name) for name in (WEIGHTS_FILE, ENSEMBLE_FILE)}
    what: dict[str, object] = {"architecture": TINY.model_dump(mode="json")}
    write_manifest(path, Manifest(Cursor(7, "0"), "w", what, ensemble.fingerprint, None, {}, files))
    return run


def _named(model: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(name, parameter) for name, parameter in model.named_parameters()]


def finetuned_run(workspace: Workspace, num_labels: int = 5, features: tuple[str, ...] = ()) -> Run:
    """Write a finished fine-tuning run whose model predicts some labels.

    It is named `marks`, or `tissues` when the model reads features beside the sequence.
    """
    run = finished(workspace, "tissues" if features else "marks", "finetune")
    initial = from_pretrained(find_pretrained("tiny", workspace))
    vocabulary = initial.ensemble.vocabularies[0]
    model = TaskModel(initial.encoder(0), HeadShape(num_labels, num_features=len(features)), CPU)
    model.draw_head(3)
    with torch.no_grad():
        model.head.weight.mul_(8.0)
    target = Target("multilabel", tuple(f"mark{i}" for i in range(num_labels)))
    cell = Cell(
        task=Ingredient("marks", "t" * 64),
        vocabulary=Ingredient(vocabulary.name, vocabulary.fingerprint),
        initial=Ingredient(initial.name, initial.fingerprint),
        learner=Finetuning(kind="finetune"),
        label_percent=100.0,
        seed=0,
        subset="s" * 64,
        num_rows=10,
    )
    objective = Labels(torch.ones(num_labels))
    made = Finetuned(model, objective, initial, vocabulary.name, target, cell, features)
    save(run.path / "models" / cell.fingerprint[:16], made)
    return run


@dataclass
class Watching:
    """A watcher that remembers, and stops after so many shards."""

    stop_after: int = 10**9
    surveys: list[Survey] = field(default_factory=list)
    shards: list[int] = field(default_factory=list)
    progress: Progress | None = None

    def surveyed(self, survey: Survey) -> None:
        """Remember."""
        self.surveys.append(survey)

    def progressed(self, progress: Progress) -> None:
        """Remember."""
        self.progress = progress

    def committed(self, number: int, num_bytes: int, progress: Progress) -> None:
        """Remember."""
        assert num_bytes > 0 and progress.records > 0
        self.shards.append(number)

    def stopping(self) -> bool:
        """Return True after enough shards."""
        return len(self.shards) >= self.stop_after


@dataclass(frozen=True)
class World:
    """A folder with a reference, a workspace with models, and jobs on them.

    Attributes:
        folder: Holds everything.
        contigs: Letters of the reference.
    """

    folder: Path
    contigs: Mapping[str, str]

    @classmethod
    def made(cls, folder: Path) -> World:
        """Write the reference and both models."""
        contigs = {"chr1": random_dna(900, 1), "chr2": random_dna(300, 2), "tiny": "AC"}
        text = "".join(f">{name}\n{letters}\n" for name, letters in contigs.items())
        (folder / "ref.fa").write_text(text)
        world = cls(folder, contigs)
        pretrained_run(world.workspace)
        finetuned_run(world.workspace)
        return world

    @property
    def workspace(self) -> Workspace:
        """Where the models are."""
        return Workspace.at(str(self.folder / "workspace"))

    def row(self, contig: str, position: int, alt: str = "", info: str = ".") -> str:
        """Return a record with a true REF and, by default, another letter for it."""
        ref = self.contigs[contig][position - 1]
        other = "A" if ref != "A" else "C"
        return f"{contig}\t{position}\t.\t{ref}\t{alt or other}\t.\tPASS\t{info}\n"

    def document(self, vcf: str, **settings: object) -> Document:
        """Write a VCF of these rows and a job on it."""
        (self.folder / "v.vcf").write_text("##fileformat=VCFv4.3\n" + COLUMNS + vcf)
        job = {"kind": "variant_effect", "name": "x", "variants": "v.vcf", "reference": "ref.fa"}
        path = self.folder / "job.yaml"
        body = {**job, "window_bp": 64, "scorers": list(LIKELIHOODS[:1]), **settings}
        path.write_text(json.dumps(body))
        return load_document(path)

    def plan(self, vcf: str, **settings: object) -> EffectPlan:
        """Plan a job on a VCF of these rows."""
        document = self.document(vcf, **settings)
        spec = validate(document, VariantEffectSpec)
        facts = look_up(spec, document, self.workspace)
        assert not facts.missing, facts.missing
        return resolve_effects(spec, facts, document.where)

    def survey(self, plan: EffectPlan) -> Survey:
        """Read the VCF of a plan once."""
        return open_variants(plan, self.workspace).survey(lambda records, seconds: None)

    def scored(
        self, plan: EffectPlan, folder: Path, watching: Watching | None = None
    ) -> ScoredFile:
        """Score what is not committed in `folder` yet."""
        file = open_variants(plan, self.workspace)
        survey = file.survey(lambda records, seconds: None)
        with CPU.engaged():
            scorers = scorers_of(plan, self.workspace, CPU)
            job = Job(plan, file, shards_of(plan, folder / "shards"))
            return job.run(scorers, survey, watching or Watching())

    def results(self, plan: EffectPlan, folder: Path) -> Path:
        """Score all and write the results; return their folder."""
        assert self.scored(plan, folder).complete
        file = open_variants(plan, self.workspace)
        Results(plan, shards_of(plan, folder / "shards")).write(folder / "variants", file)
        return folder / "variants"
