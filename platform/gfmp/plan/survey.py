"""What exists right now: the corpus, the vocabularies and the machine a plan is made for.

This is the one module of the room that reads files; the decisions are taken by `resolve` on the
values it returns.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from gfmp.genome.corpus import Corpus
from gfmp.genome.sources import IngestSettings
from gfmp.plan.calibration import remembered
from gfmp.plan.facts import CorpusFacts, Known, Machine, VocabularyFacts
from gfmp.plan.growth import completed, grown_vocabularies
from gfmp.plan.parent import Parent
from gfmp.spec.corpus import CorpusSpec, ingest_settings
from gfmp.spec.load import load_spec
from gfmp.spec.model import Architecture, ModelSpec
from gfmp.spec.pretrain import PretrainSpec
from gfmp.spec.project import find_named, named_folders
from gfmp.storage.workspace import Workspace
from gfmp.vocabulary.ensemble import Ensemble, union_bounds
from gfmp.vocabulary.family import Family, Recipe
from gfmp.vocabulary.growth import RowCounts
from gfmp.vocabulary.registry import FamilyRegistry, find_recipe
from gfmp.vocabulary.store import VocabularyStore


@dataclass(frozen=True)
class CorpusTarget:
    """A corpus spec and the folder its corpus has, or will have, in the workspace."""

    settings: IngestSettings
    path: Path

    @property
    def built(self) -> bool:
        """True when a published corpus stands there."""
        return (self.path / "manifest.json").is_file()


@dataclass(frozen=True)
class Survey:
    """Everything `resolve` needs, and what has to be built first.

    Attributes:
        recipes: Recipe of every vocabulary that is not registered yet.
        ensemble: The ensemble; absent while a vocabulary is not registered.
    """

    known: Known
    corpus: CorpusTarget
    recipes: tuple[Recipe, ...]
    ensemble: Ensemble | None


def find_corpus(name: str, start: Path, workspace: Workspace) -> CorpusTarget:
    """Read the corpus spec `name` (see `spec.project.find_named`) and say where it is built.

    Raises:
        MissingInputError: no such spec, or files it names do not exist.
        SpecError: the spec is wrong.
    """
    spec, document = load_spec(find_named("corpora", name, start), {"corpus": CorpusSpec})
    settings = ingest_settings(spec, document)
    return CorpusTarget(settings, workspace.corpora / spec.name / settings.fingerprint[:16])


def survey(
    spec: PretrainSpec, job_path: Path, workspace: Workspace, parent: Parent | None = None
) -> Survey:
    """Look up everything a pretraining spec names.

    Args:
        spec: What a person asks.
        job_path: Where names of other files are looked up from.
        workspace: Where artefacts are.
        parent: What `init_from` means; see `training.parent`.

    Raises:
        MissingInputError: something is neither built nor can be built.
        SpecError: a spec it refers to is wrong.
    """
    corpus = find_corpus(spec.corpus, job_path, workspace)
    families = FamilyRegistry.discover()
    folders = (*families.recipe_folders, *named_folders("vocabularies", job_path))
    store = VocabularyStore(workspace.vocabularies)
    registered = {name: store.get(name) for name in store.names()}
    registered |= grown_vocabularies(spec, parent)
    uses = completed(spec, parent).vocabularies
    found: list[VocabularyFacts] = []
    recipes: list[Recipe] = []
    for use in uses:
        if use.name in registered:
            found.append(VocabularyFacts.of(registered[use.name]))
        else:
            recipe = find_recipe(use.name, families, folders)
            recipes.append(recipe)
            found.append(_expected(families.get(recipe.family), recipe))
    # Nothing is left of an ensemble whose every vocabulary was removed; `resolve` says so.
    complete = bool(uses) and not recipes
    ensemble = Ensemble.of(tuple(registered[u.name] for u in uses)) if complete else None
    rows = union_bounds([(f.rows_low, f.rows_high) for f in found])
    known = Known(
        architecture=_architecture(spec, job_path, parent),
        corpus=_corpus_facts(corpus),
        vocabularies=tuple(found),
        ensemble_fingerprint=ensemble.fingerprint if ensemble else "",
        ensemble_rows=(ensemble.size, ensemble.size) if ensemble else rows,
        machine=this_machine(),
        parent=parent,
        growth=RowCounts.of(parent.ensemble, ensemble) if parent and ensemble else None,
        calibrations=remembered(workspace),
    )
    return Survey(known, corpus, tuple(recipes), ensemble)


def _expected(family: Family, recipe: Recipe) -> VocabularyFacts:
    """Say what is known of a vocabulary before it is built."""
    how = f"family {recipe.family}, recipe {recipe.name}"
    if not family.needs_corpus:
        # It costs milliseconds to make, so its numbers are exact.
        return replace(VocabularyFacts.of(family.build(recipe, ())), built=False, how=how)
    low, high = family.size_bounds(recipe)
    return VocabularyFacts(
        name=recipe.name,
        rows_low=low,
        rows_high=high,
        # log4(rows) bases would be hidden in a token of random DNA; trained BPE reaches 87 % of
        # it on bacterial and yeast genomes (5.2 of 6.0 at 4,096 rows).
        bp_per_token=0.87 * math.log(high, 4),
        window=recipe.window(shortest_bp=1),
        overlapping=False,
        mask_span_tokens=1,
        built=False,
        how=f"{how}, {recipe.sample_bp:,} bp of corpus {recipe.corpus or 'of the job'}",
    )


def _corpus_facts(target: CorpusTarget) -> CorpusFacts:
    sources = target.settings.sources
    if not target.built:
        how = f"ingest of {len(sources)} files of {len({s.assembly for s in sources})} assemblies"
        return CorpusFacts(target.settings.name, "", 0, 0, how)
    corpus = Corpus.open(target.path)
    return CorpusFacts(
        name=target.settings.name,
        content_hash=corpus.fingerprint,
        train_bases=sum(group.bases for group in corpus.row_groups("train")),
        valid_bases=sum(group.bases for group in corpus.row_groups("valid")),
        how="built",
    )


def this_machine() -> Machine:
    """Measure the machine gfmp runs on, without torch: CPU cores, memory, NVIDIA devices."""
    return Machine(
        cpu_cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        gpus=len(list(Path("/proc/driver/nvidia/gpus").glob("*"))),
        gpu_memory_bytes=0,
    )


def _architecture(spec: PretrainSpec, job_path: Path, parent: Parent | None) -> Architecture:
    if parent and not spec.model:
        return parent.architecture
    if isinstance(spec.model, Architecture):
        return spec.model
    model, _ = load_spec(find_named("models", spec.model, job_path), {"model": ModelSpec})
    return model.architecture
