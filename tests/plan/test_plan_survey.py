"""The survey finds what exists, and says what a recipe would make of the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gfmp.errors import MissingInputError
from gfmp.genome.ingest import build_corpus
from gfmp.plan.resolve import resolve
from gfmp.plan.survey import survey, this_machine
from gfmp.spec.load import load_spec
from gfmp.spec.pretrain import PretrainSpec
from gfmp.storage.workspace import Workspace
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.store import VocabularyStore

JOB = """\
kind: pretrain
name: small
corpus: small
vocabularies: [{name: bpe64}, {name: kmer3}]
model: {layers: 1, width: 16, heads: 1, intermediate: 16}
steps: 2
sampling: {global_batch_sequences: 4}
optimiser: {learning_rate: 1e-3}
"""
SAMPLE = [
    np.random.default_rng(n).choice(list(b"ACGT"), 1000).astype("u1").tobytes() for n in range(40)
]
CORPUS = """\
kind: corpus
name: small
sources:
  - species: Synthetica prima
    assembly: S1
    format: fasta
    files: [{path: one.fa}]
    valid: [{contig: c, start: 9000}]
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    (tmp_path / "specs" / "corpora").mkdir(parents=True)
    (tmp_path / "specs" / "corpora" / "small.yaml").write_text(CORPUS)
    (tmp_path / "specs" / "corpora" / "one.fa").write_text(">c\n" + "ACGTTGCATT" * 2000 + "\n")
    (tmp_path / "job.yaml").write_text(JOB)
    return tmp_path / "job.yaml"


def test_before_and_after_building(job: Path) -> None:
    workspace = Workspace(job.parent / "workspace")
    spec, document = load_spec(job, {"pretrain": PretrainSpec})
    empty = survey(spec, job, workspace)
    assert not empty.corpus.built
    assert [recipe.name for recipe in empty.recipes] == ["bpe64", "kmer3"]
    assert empty.known.ensemble_rows[0] < empty.known.ensemble_rows[1]
    assert {item.name for item in resolve(spec, empty.known).to_build} == {
        "small", "bpe64", "kmer3",
    }  # fmt: skip

    build_corpus(empty.corpus.settings, empty.corpus.path)
    families = FamilyRegistry.discover()
    store = VocabularyStore(workspace.vocabularies)
    for name, sample in (("kmer3", []), ("bpe64", SAMPLE)):
        family = families.get("bpe" if sample else "kmer")
        recipe = family.recipe(name)
        assert isinstance(recipe, Recipe)
        store.register(family.build(recipe, sample), recipe)
    full = survey(spec, job, workspace)
    assert full.ensemble is not None
    assert full.known.ensemble_rows == (full.ensemble.size,) * 2
    assert full.known.corpus.train_bases == 9000
    plan = resolve(spec, full.known, document.where)
    assert plan.complete
    assert plan.what.ensemble == full.ensemble.fingerprint


def test_a_vocabulary_nobody_can_build(job: Path) -> None:
    job.write_text(JOB.replace("bpe64", "bqe64"))
    spec, _ = load_spec(job, {"pretrain": PretrainSpec})
    with pytest.raises(MissingInputError, match="bqe64"):
        survey(spec, job, Workspace(job.parent / "workspace"))


def test_this_machine_has_cores_and_memory() -> None:
    machine = this_machine()
    assert machine.cpu_cores >= 1
    assert machine.memory_bytes > 2**28
