"""Which trained models a variant-effect job names, found in the workspace without torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError, MissingInputError, Problem
from gfmp.genome.locations import LocalFile, checked_digest
from gfmp.inference.sequence_only import check_sequence_only, features_of
from gfmp.ledger.run import MODEL_FILE, Run
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Ingredient
from gfmp.plan.variant_effect import EffectFacts, FileFacts, ModelFacts
from gfmp.spec.variant_effect import (
    AnyScorer,
    ProfileScorer,
    ReferenceSpec,
    VariantEffectSpec,
    VcfSpec,
)
from gfmp.spec.vocabularies import parts
from gfmp.storage.atomic import read_json
from gfmp.storage.documents import Document
from gfmp.storage.hashes import fingerprint
from gfmp.storage.workspace import Workspace
from gfmp.tasks.task import Target
from gfmp.training.pretrained import find_pretrained
from gfmp.vocabulary.ensemble import Ensemble

_ENSEMBLE, _WEIGHTS = "ensemble.json", "model.safetensors"


def look_up(spec: VariantEffectSpec, document: Document, workspace: Workspace) -> EffectFacts:
    """Find everything a variant-effect spec names; what is not there is in `missing`.

    Paths are relative to the folder of the job file.

    Raises:
        CorruptArtefactError: a model is damaged.
        RefusedError: a model reads features beside the sequence.
        DataError: a file differs from its pin.
    """
    missing: list[Problem] = []
    return EffectFacts(
        variants=_file(document, "variants", spec.variants, missing),
        reference=_file(document, "reference", spec.reference, missing),
        models=_models(spec.scorers, workspace, missing),
        cpu_cores=os.cpu_count() or 1,
        missing=tuple(missing),
    )


def _file(
    document: Document, key: str, named: VcfSpec | ReferenceSpec, missing: list[Problem]
) -> FileFacts:
    path = (document.path.parent / named.path).resolve()
    if path.is_file():
        return FileFacts(str(path), checked_digest(LocalFile(str(path)), named.sha256))
    problem = Problem(
        f"{key}: there is no file {path}",
        where=document.where((key,)),
        why="paths are relative to the folder of the job file",
        fix=f"put it there, correct the job, or --set {key}=PATH",
    )
    missing.append(problem)
    return FileFacts(str(path), "")


def _models(
    scorers: tuple[AnyScorer, ...], workspace: Workspace, missing: list[Problem]
) -> Mapping[tuple[str, str], ModelFacts]:
    found: dict[tuple[str, str], ModelFacts] = {}
    for scorer in scorers:
        key = (scorer.kind, scorer.model)
        if key in found:
            continue
        profile = isinstance(scorer, ProfileScorer)
        try:
            found[key] = (finetuned_facts if profile else _pretrained)(scorer.model, workspace)
        except MissingInputError as fault:
            missing.extend(p for p in fault.problems if p not in missing)
            found[key] = _unknown(key, scorers)
    return found


def _unknown(key: tuple[str, str], scorers: tuple[AnyScorer, ...]) -> ModelFacts:
    """Stand in for a model that is not there: it has what the scorers ask of it."""
    asked = [s for s in scorers if (s.kind, s.model) == key and not isinstance(s, ProfileScorer)]
    names = sorted({s.vocabulary for s in asked})
    known = tuple(Ingredient(name) for name in names)
    return ModelFacts(Ingredient(key[1]), known, (1,) * len(known), probabilities=True)


def _pretrained(wanted: str, workspace: Workspace) -> ModelFacts:
    model = find_pretrained(wanted, workspace)
    known = model.ensemble.vocabularies
    return ModelFacts(
        Ingredient(model.run_id, model.fingerprint),
        tuple(Ingredient(v.name, v.fingerprint) for v in known),
        tuple(v.shortest_bp for v in known),
    )


def finetuned_folder(wanted: str, workspace: Workspace) -> tuple[str, Path]:
    """Return the run id and the model of the newest finished fine-tuning run of a name, or an id.

    Raises:
        MissingInputError: there is none, or it kept no model.
    """
    run = RunStore(workspace).newest(wanted, "finetune")
    if not run.models:
        raise _no_model(run)
    return run.id, run.models[0]


def _no_model(run: Run) -> MissingInputError:
    return MissingInputError(
        f"run {run.id} kept no fine-tuned model",
        where=str(run.path),
        why=f"it is a {run.header.kind} run, and profiles are predicted by fine-tuned models",
        fix="gfmp submit a job of kind finetune, and name that",
    )


def finetuned_facts(wanted: str, workspace: Workspace) -> ModelFacts:
    """Return what a plan needs to know of a fine-tuned model; see `finetuned_folder`.

    Raises:
        MissingInputError: there is none.
        CorruptArtefactError: its description is damaged.
        RefusedError: it reads features beside the sequence.
    """
    run_id, folder = finetuned_folder(wanted, workspace)
    described = read_json(folder / MODEL_FILE)
    ensemble = Ensemble.from_json(read_json(folder / _ENSEMBLE), str(folder / _ENSEMBLE))
    try:
        target = TypeAdapter(Target).validate_python(described["target"])
        sums = TypeAdapter(dict[str, str]).validate_python(described["sha256"])
        names = parts(str(described["vocabulary"]))
        features = features_of(described)
        read = [next(v for v in ensemble.vocabularies if v.name == name) for name in names]
    except (KeyError, StopIteration, ValidationError) as fault:
        raise CorruptArtefactError(
            "the description of the fine-tuned model lacks something",
            where=str(folder / MODEL_FILE),
            why=str(fault).splitlines()[0] if str(fault) else "it reads an unknown vocabulary",
            fix="restore it from a backup, or submit its job again",
        ) from fault
    check_sequence_only(features, folder)
    identity = {"weights": sums.get(_WEIGHTS, ""), "ensemble": ensemble.fingerprint}
    identity["described"] = fingerprint({k: described.get(k) for k in ("mean", "deviation")})
    return ModelFacts(
        Ingredient(run_id, fingerprint(identity)),
        tuple(Ingredient(v.name, v.fingerprint) for v in read),
        tuple(v.shortest_bp for v in read),
        target.num_outputs,
        target.kind != "regression",
    )
