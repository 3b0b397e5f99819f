"""A fine-tuned model on disk: encoder, head and all that is needed to predict with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file

from gfmp.errors import CorruptArtefactError
from gfmp.learners.compute import Compute
from gfmp.learners.head import HeadShape, TaskModel
from gfmp.learners.initial import Initial
from gfmp.learners.objective import Objective, Values, objective_of
from gfmp.ledger.run import MODEL_FILE
from gfmp.model.encoder import Encoder
from gfmp.plan.cells import Cell
from gfmp.spec.learner import CONCAT, Finetuning
from gfmp.spec.model import Architecture
from gfmp.storage.atomic import read_json, staged_directory, write_json
from gfmp.storage.hashes import sha256_file
from gfmp.tasks.task import Target
from gfmp.vocabulary.ensemble import Ensemble

FORMAT_VERSION = 1
_WEIGHTS, _ENSEMBLE = "model.safetensors", "ensemble.json"


@dataclass(frozen=True)
class Finetuned:
    """A fine-tuned model, ready to predict.

    Attributes:
        model: Encoder and head, adapters merged.
        objective: Turns outputs into predictions.
        initial: Its vocabularies and how rows are laid out; carries no weights.
        vocabulary: Name of the vocabulary it reads, or the one name of several.
        target: What it predicts.
        cell: What it was made of.
        features: Names of the features it reads beside the sequence, in their order.
    """

    model: TaskModel
    objective: Objective
    initial: Initial
    vocabulary: str
    target: Target
    cell: Cell
    features: tuple[str, ...] = ()


def save(folder: Path, made: Finetuned) -> None:
    """Publish a model as `folder`; one that is there stays.

    Raises:
        ExistsError: the folder is there.
        StorageError: the disk refused.
    """
    values = made.objective if isinstance(made.objective, Values) else None
    with staged_directory(folder) as staging:
        state = {n: part.detach().cpu().contiguous() for n, part in made.model.state_dict().items()}
        save_file(state, staging / _WEIGHTS)
        write_json(staging / _ENSEMBLE, made.initial.ensemble.to_json())
        write_json(
            staging / MODEL_FILE,
            {
                "format_version": FORMAT_VERSION,
                "architecture": made.initial.architecture.model_dump(mode="json"),
                "vocabulary": made.vocabulary,
                "prompted": made.initial.prompted,
                "target": TypeAdapter(Target).dump_python(made.target, mode="json"),
                "mean": values.mean.tolist() if values else [],
                "deviation": values.deviation.tolist() if values else [],
                **({"features": list(made.features)} if made.features else {}),
                "cell": made.cell.to_json(),
                "sha256": {name: sha256_file(staging / name) for name in (_WEIGHTS, _ENSEMBLE)},
            },
        )


def load(folder: Path, compute: Compute) -> Finetuned:
    """Read a model written by `save`.

    Raises:
        CorruptArtefactError: a file is missing or not as it was written.
    """
    described = _described(folder)
    ensemble = Ensemble.from_json(read_json(folder / _ENSEMBLE), str(folder / _ENSEMBLE))
    try:
        architecture = Architecture.model_validate(described["architecture"])
        target = TypeAdapter(Target).validate_python(described["target"])
        cell = Cell.from_json(TypeAdapter(dict[str, object]).validate_python(described["cell"]))
        numbers = TypeAdapter(list[float])
        mean = numbers.validate_python(described["mean"])
        deviation = numbers.validate_python(described["deviation"])
        features = TypeAdapter(list[str]).validate_python(described.get("features", []))
    except (KeyError, ValidationError) as fault:
        raise _damaged(folder / MODEL_FILE, str(fault).splitlines()[0]) from fault
    shape = replace(_shape(cell, target), num_features=len(features))
    model = TaskModel(Encoder(architecture, ensemble.size), shape, compute)
    model.load_state_dict(load_file(folder / _WEIGHTS))
    return Finetuned(
        model=model.to(compute.device),
        objective=_objective(target, mean, deviation),
        initial=Initial(
            cell.initial.name,
            cell.initial.fingerprint,
            architecture,
            ensemble,
            None,
            prompted=described.get("prompted") is True,
        ),
        vocabulary=str(described["vocabulary"]),
        target=target,
        cell=cell,
        features=tuple(features),
    )


def _shape(cell: Cell, target: Target) -> HeadShape:
    join = cell.learner.join if isinstance(cell.learner, Finetuning) else CONCAT
    return HeadShape(target.num_outputs, len(cell.vocabularies), join)


def _objective(target: Target, mean: list[float], deviation: list[float]) -> Objective:
    if target.kind == "regression":
        return Values(torch.tensor(mean), torch.tensor(deviation))
    # Weights of classes and labels shape the loss only, never a prediction.
    nothing = torch.zeros((0, 1 if target.classifies else target.num_outputs))
    return objective_of(target, nothing.numpy(), "none")


def _described(folder: Path) -> Mapping[str, object]:
    if not (folder / MODEL_FILE).is_file():
        raise _damaged(folder, f"it has no {MODEL_FILE}")
    described = read_json(folder / MODEL_FILE)
    sums = described.get("sha256")
    if described.get("format_version") != FORMAT_VERSION or not isinstance(sums, dict):
        raise _damaged(folder / MODEL_FILE, "it is of another format")
    for name, expected in sums.items():
        if not (folder / name).is_file() or sha256_file(folder / name) != expected:
            raise _damaged(folder / name, "its bytes do not hash to what the model says")
    return described


def _damaged(path: Path, how: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        f"the fine-tuned model is damaged: {how}",
        where=str(path),
        why="gfmp publishes models whole and never changes them",
        fix="restore it from a backup, or submit its job again",
    )
