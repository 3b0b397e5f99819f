"""What a motif job names, found in the workspace without torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from gfmp.errors import CorruptArtefactError, MissingInputError
from gfmp.genome.motif_library import NAMES, MotifLibrary, read_library
from gfmp.inference.motif_match import require_matcher
from gfmp.inference.motif_sides import output_of, sides_of
from gfmp.inference.sequence_only import check_sequence_only, features_of
from gfmp.ledger.run import MODEL_FILE, Run
from gfmp.ledger.store import RunStore
from gfmp.plan.cells import Cell, Ingredient
from gfmp.plan.motifs import ModelFacts, MotifFacts, RowFacts
from gfmp.spec.motifs import MotifsSpec
from gfmp.storage.atomic import read_json
from gfmp.storage.documents import Document
from gfmp.storage.hashes import fingerprint
from gfmp.storage.workspace import Workspace
from gfmp.tasks.store import TaskStore
from gfmp.tasks.task import Target, Task
from gfmp.vocabulary.ensemble import Ensemble

_ENSEMBLE = "ensemble.json"
_DESCRIBING = ("sha256", "architecture", "vocabulary", "prompted", "target", "mean", "deviation")


@dataclass(frozen=True)
class Described:
    """A fine-tuned model as its folder describes it.

    Attributes:
        model: Run id or folder name, and the hash of what decides its predictions.
        folder: Where it lies.
        target: What it predicts.
        cell: What it was made of.
        features: Names of what it reads beside the sequence.
    """

    model: Ingredient
    folder: Path
    target: Target
    cell: Cell
    features: tuple[str, ...]


def look_up(spec: MotifsSpec, document: Document, workspace: Workspace) -> MotifFacts:
    """Find everything a motif job names.

    Raises:
        MissingInputError: the model, its task or the library is not there, or memelite is not
            installed though there is a library.
        SpecError: the model has no such output, or there is no such library.
        CorruptArtefactError: the model's description is damaged.
        DataError: the library is not what its format says.
        RefusedError: the model reads features beside the sequence.
    """
    base = document.path.parent
    library = known_motifs(spec.library, base, document.where(("library",)))
    described = find_model(spec.model, base, workspace, document.where(("model",)))
    check_sequence_only(described.features, described.folder)
    output = output_of(described.target, spec.output, document.where(("output",)))
    task = task_of(described, workspace)
    rows = task.rows(spec.split)
    here, there = sides_of(described.target, output, rows.matrix)
    lengths = [len(sequence) for sequence in rows.sequences]
    listed = _listed(spec.library, base)
    return MotifFacts(
        model=_facts(described, output),
        rows=RowFacts(len(here), len(there), float(np.mean(lengths)) if lengths else 0.0),
        library=Ingredient(listed, library.fingerprint) if library else Ingredient(),
        num_known=len(library.motifs) if library else 0,
        cpu_cores=os.cpu_count() or 1,
    )


def known_motifs(name: str, base: Path, where: str = "") -> MotifLibrary | None:
    """Return the library of a job; None when it names none.

    Raises:
        MissingInputError, SpecError, DataError: see `look_up`.
    """
    if not name:
        return None
    require_matcher()
    return read_library(name, base, where)


def _listed(name: str, base: Path) -> str:
    """Return a library so that it is found from anywhere: its name, or its whole path."""
    return name if name in NAMES or not name else str((base / Path(name).expanduser()).resolve())


def task_of(described: Described, workspace: Workspace) -> Task:
    """Return the task a model was trained on, as it was prepared then.

    Raises:
        MissingInputError: it is not in this workspace.
    """
    task = described.cell.task
    return TaskStore(workspace).get(task.name, task.fingerprint)


def _facts(described: Described, output: int) -> ModelFacts:
    path = described.folder / _ENSEMBLE
    known = {v.name: v for v in Ensemble.from_json(read_json(path), str(path)).vocabularies}
    return ModelFacts(
        model=described.model,
        folder=str(described.folder),
        task=described.cell.task,
        vocabularies=tuple(
            Ingredient(name, known[name].fingerprint) for name in described.cell.vocabularies
        ),
        output=described.target.names[output],
        output_index=output,
        kind=described.target.kind,
    )


def find_model(wanted: str, base: Path, workspace: Workspace, where: str = "") -> Described:
    """Find a fine-tuned model.

    Args:
        wanted: Name of fine-tuning runs (the newest finished one), the id of one, or the folder of
            a model, ending in /.
        base: Folder that relative paths start from.
        workspace: Holds the runs.
        where: Where it was named.

    Raises:
        MissingInputError: there is none.
        CorruptArtefactError: its description is damaged.
    """
    if wanted.endswith("/"):
        folder = (base / Path(wanted).expanduser()).resolve()
        if not (folder / MODEL_FILE).is_file():
            raise MissingInputError(
                f"there is no fine-tuned model in {folder}",
                where=where,
                why=f"the folder of one holds {MODEL_FILE}, as `models/` of a fine-tuning run does",
                fix="correct the path, or name a fine-tuning run",
            )
        return _described(folder, folder.name)
    run = _run(wanted, workspace, where)
    if not run.models:
        raise MissingInputError(
            f"run {run.id} kept no fine-tuned model",
            where=where or str(run.path),
            why=f"it is a {run.header.kind} run; a job of kind finetune keeps its model",
            fix="gfmp submit a job of kind finetune, and name that",
        )
    return _described(run.models[0], run.id)


def _run(wanted: str, workspace: Workspace, where: str) -> Run:
    try:
        return RunStore(workspace).newest(wanted, "finetune")
    except MissingInputError as fault:
        first = fault.problems[0]
        raise MissingInputError(
            f"there is no fine-tuned model {wanted!r}",
            where=where,
            why=f"it is the name or id of a fine-tuning run; {first.why}",
            fix=f"gfmp submit jobs/finetune.yaml --set name={wanted}, or name one that is there",
        ) from fault


def _described(folder: Path, name: str) -> Described:
    path = folder / MODEL_FILE
    body: Mapping[str, object] = read_json(path)
    try:
        target = TypeAdapter(Target).validate_python(body["target"])
        cell = Cell.from_json(TypeAdapter(dict[str, object]).validate_python(body["cell"]))
        features = features_of(body)
        identity = fingerprint([[key, body[key]] for key in _DESCRIBING])
    except (KeyError, ValidationError) as fault:
        raise CorruptArtefactError(
            "the description of the fine-tuned model lacks something",
            where=str(path),
            why=str(fault).splitlines()[0],
            fix="restore it from a backup, or submit its job again",
        ) from fault
    return Described(Ingredient(name, identity), folder, target, cell, features)
