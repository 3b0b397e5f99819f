"""Predictions of a fine-tuned model, with the confidence that its validation rows bear out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from gfmp.errors import CorruptArtefactError, MissingInputError, RefusedError
from gfmp.inference.calibration import FORMAT_VERSION, Calibration, fit
from gfmp.inference.found import Found
from gfmp.inference.loaded import Loaded
from gfmp.learners.finetuned import Finetuned
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.hashes import fingerprint
from gfmp.storage.seals import sealed, unsealed
from gfmp.tasks.store import TaskStore
from gfmp.tasks.task import Rows, Target

# Validation rows beyond these are thinned out evenly: a temperature is one number.
_MOST_ROWS, _MOST_NUMBERS = 20_000, 20_000_000
_FOLDER_CHARACTERS = 16


@dataclass(frozen=True)
class Predictions:
    """What a model says about N sequences; O classes, labels or values.

    Attributes:
        target: What is predicted; `target.names` are the O names, `target.kind` says whether they
            are classes, labels or values.
        values: Probabilities, or values in units of the target; float32, shape (N, O).
        calibrated: Probabilities after the temperature of `calibration`; the same as `values` for
            values, or without a calibration; float32, shape (N, O).
        calibration: What the confidence rests on; None when it was not asked for.
    """

    target: Target
    values: NDArray[np.float32]
    calibrated: NDArray[np.float32]
    calibration: Calibration | None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the O columns."""
        return self.target.names

    @property
    def predicted(self) -> tuple[str, ...]:
        """The most probable class of each sequence; of labels and values there is none."""
        if not self.target.classifies:
            return ()
        return tuple(self.names[place] for place in self.values.argmax(axis=1).tolist())

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Calibrated probability of `predicted`, shape (N,); empty without classes."""
        return self.calibrated.max(axis=1) if self.target.classifies else np.zeros(0, np.float32)

    @property
    def interval(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Both ends of the 90 % intervals of values, shape (N, O) each; equal without them."""
        widths = self.calibration.half_width if self.calibration else ()
        half = np.array(widths or [0.0] * len(self.names), dtype=np.float32)
        return self.values - half, self.values + half


def predictions(
    made: Finetuned, outputs: NDArray[np.float32], calibration: Calibration | None
) -> Predictions:
    """Turn what the head says into predictions.

    Args:
        made: Whose head.
        outputs: As `Loaded.outputs` gives them, shape (N, O).
        calibration: How sure to be; None leaves that out.
    """
    values = _predicted(made, outputs)
    calibrated = values
    if calibration is not None and made.target.kind != "regression":
        calibrated = _predicted(made, outputs / np.float32(calibration.temperature))
    return Predictions(made.target, values, calibrated, calibration)


def _predicted(made: Finetuned, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return made.objective.predictions(torch.from_numpy(outputs))


def columns(found: Predictions) -> Iterator[tuple[str, pa.Array]]:
    """Yield the columns of a table of predictions, by name.

    `p_<name>` are probabilities as the model says them. Classes have `predicted` and, calibrated,
    `confidence`; labels have `calibrated_<name>`. Values are `value_<name>`, with the ends of their
    90 % interval in `low_<name>` and `high_<name>`.
    """
    kind = found.target.kind
    head = "value_" if kind == "regression" else "p_"
    yield from _each(head, found, found.values)
    if found.target.classifies:
        yield "predicted", pa.array(found.predicted, pa.string())
    if found.calibration is None:
        return
    if kind == "regression":
        low, high = found.interval
        yield from _each("low_", found, low)
        yield from _each("high_", found, high)
    elif kind == "multilabel":
        yield from _each("calibrated_", found, found.calibrated)
    else:
        yield "confidence", pa.array(found.confidence, pa.float32())


def _each(
    head: str, found: Predictions, values: NDArray[np.float32]
) -> Iterator[tuple[str, pa.Array]]:
    for place, name in enumerate(found.names):
        yield head + name, pa.array(np.ascontiguousarray(values[:, place]), pa.float32())


def calibration_of(loaded: Loaded) -> Calibration:
    """Return the calibration of a fine-tuned model; fitted once and kept in the workspace.

    Raises:
        UsageError: the model was only pretrained.
        RefusedError: it reads features beside the sequence.
        MissingInputError: its task is not prepared in the workspace.
        DataError: the task has too few validation rows.
        CorruptArtefactError: what was kept is damaged.
    """
    loaded.head()
    name = fingerprint(
        [FORMAT_VERSION, loaded.found.model.fingerprint, loaded.found.task.fingerprint]
    )
    path = loaded.found.workspace.calibrations / f"{name[:_FOLDER_CHARACTERS]}.json"
    if path.is_file():
        try:
            return Calibration.from_json(unsealed(read_json(path)))
        except ValueError as fault:
            raise CorruptArtefactError(
                f"the calibration cannot be read: {str(fault).splitlines()[0]}",
                where=str(path),
                why="gfmp writes it whole and never changes it",
                fix="remove it: it is fitted again",
            ) from fault
    fitted = _fitted(loaded)
    with contextlib.suppress(RefusedError):  # a workspace of others may be read-only
        write_json(path, sealed(fitted.to_json()))
    return fitted


def _fitted(loaded: Loaded) -> Calibration:
    found, made = loaded.found, loaded.head()
    rows = _task_rows(found)
    most = min(len(rows), _MOST_ROWS, max(1, _MOST_NUMBERS // made.target.num_outputs))
    places = np.unique(np.linspace(0, len(rows) - 1, most).astype(np.int64))
    outputs = loaded.outputs([rows.sequences[place] for place in places.tolist()])
    if made.target.kind == "regression":
        outputs = _predicted(made, outputs)
    where = f"task {found.task.name!r}, validation rows"
    return fit(outputs, rows.targets[places], made.target, where)


def _task_rows(found: Found) -> Rows:
    try:
        return TaskStore(found.workspace).get(found.task.name, found.task.fingerprint).valid
    except MissingInputError as fault:
        raise MissingInputError(
            fault.problems[0].message,
            where=fault.problems[0].where,
            why="the confidence of a model is calibrated on the validation rows of its task",
            fix="name the workspace it was trained in, or leave calibration out:"
            " --no-calibration, or predict(..., calibrated=False)",
        ) from fault
