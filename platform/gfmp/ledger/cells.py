"""Finished cells: content-addressed, committed whole, never run again."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import CorruptArtefactError, ExistsError
from gfmp.storage.atomic import atomic_write, read_json, staged_directory, write_json
from gfmp.storage.hashes import sha256_bytes
from gfmp.storage.seals import SEAL, sealed, unsealed
from gfmp.storage.workspace import Workspace

# Version 1 has no checksum over the numbers.
FORMAT_VERSION = 2
_UNSEALED_VERSION = 1
_RESULT, _PREDICTIONS = "result.json", "test_predictions.npy"
# Predictions of the test rows of other tasks, in the order of their names.
_OTHER, _OTHERS = "other_{}.npy", "others_sha256"


@dataclass(frozen=True)
class CellResult:
    """What a cell found.

    Attributes:
        cell: Its fingerprint.
        metrics: `test/<metric>` and `valid/<metric>`.
        facts: What else is worth knowing: steps, attempts, best_epoch, chosen penalty,
            seconds, flags such as `collapsed`. Never part of a result table.
        test_predictions: Probabilities of classes or labels, or values; float32, shape (N, O),
            rows in the order of the task's test split.
        history: One mapping per validation: step, loss, valid/<metric>.
        other_predictions: As `test_predictions`, of the test rows of other tasks, by task name.
    """

    cell: str
    metrics: Mapping[str, float]
    facts: Mapping[str, float | int | str | bool]
    test_predictions: NDArray[np.float32] = field(compare=False)
    history: tuple[Mapping[str, float], ...] = ()
    other_predictions: Mapping[str, NDArray[np.float32]] = field(
        default_factory=dict, compare=False
    )


class CellStore:
    """The finished cells of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.cells

    def path(self, fingerprint: str) -> Path:
        """Return the folder of a cell, there or not."""
        return self._folder / fingerprint[:2] / fingerprint

    def finished(self, fingerprint: str) -> bool:
        """Return True when the cell has a result."""
        return (self.path(fingerprint) / _RESULT).is_file()

    def finished_at(self, fingerprint: str) -> float:
        """Return when a finished cell was committed, as unix time in seconds."""
        return (self.path(fingerprint) / _RESULT).stat().st_mtime

    def put(self, result: CellResult, cell: Mapping[str, object]) -> None:
        """Publish a result with the cell that made it; the first one stays.

        Raises:
            StorageError: the disk refused.
        """
        predictions = _saved(result.test_predictions)
        others = {name: _saved(one) for name, one in sorted(result.other_predictions.items())}
        folder = self.path(result.cell)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(ExistsError), staged_directory(folder) as staging:
            atomic_write(staging / _PREDICTIONS, predictions)
            for place, content in enumerate(others.values()):
                atomic_write(staging / _OTHER.format(place), content)
            body: dict[str, object] = {
                "format_version": FORMAT_VERSION,
                "cell": dict(cell),
                "metrics": dict(result.metrics),
                "facts": _writable(result.facts),
                "history": [_writable(point) for point in result.history],
                "predictions_sha256": sha256_bytes(predictions),
            }
            if others:
                body[_OTHERS] = {name: sha256_bytes(one) for name, one in others.items()}
            write_json(staging / _RESULT, sealed(body))

    def get(self, fingerprint: str) -> CellResult:
        """Return the result of a finished cell.

        Raises:
            CorruptArtefactError: its files are not as they were written.
            FileNotFoundError: it has none; ask `finished` first.
        """
        folder = self.path(fingerprint)
        if not self.finished(fingerprint):
            raise FileNotFoundError(folder / _RESULT)
        try:
            return _read(folder, fingerprint)
        except (CorruptArtefactError, OSError, KeyError, TypeError, ValueError) as fault:
            reason = fault.args[0] if isinstance(fault, ValueError) else "its files were changed"
            raise CorruptArtefactError(
                f"cell {fingerprint[:12]} is not as it was written: {reason}",
                where=str(folder),
                why="results are published whole and never change",
                fix=f"remove that folder and run the sweep again with --resume: {folder}",
            ) from fault


def _read(folder: Path, fingerprint: str) -> CellResult:
    stored = read_json(folder / _RESULT)
    data = (folder / _PREDICTIONS).read_bytes()
    value, version = unsealed(stored), stored["format_version"]
    if version != (FORMAT_VERSION if SEAL in stored else _UNSEALED_VERSION):
        raise ValueError(f"its format version is {version!r}")
    if sha256_bytes(data) != value["predictions_sha256"]:
        raise ValueError("its predictions do not hash to what its result says")
    history = value["history"]
    if not isinstance(history, list):
        raise TypeError("its history is no list")
    return CellResult(
        cell=fingerprint,
        metrics=_numbers(value["metrics"]),
        facts=_mapping(value["facts"]),
        test_predictions=np.load(io.BytesIO(data), allow_pickle=False),
        history=tuple(_numbers(point) for point in history),
        other_predictions=_others(folder, _mapping(value.get(_OTHERS, {}))),
    )


def _saved(predictions: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, predictions.astype(np.float32))
    return buffer.getvalue()


def _others(
    folder: Path, sums: Mapping[str, float | int | str | bool]
) -> dict[str, NDArray[np.float32]]:
    found = {}
    for place, name in enumerate(sorted(sums)):
        data = (folder / _OTHER.format(place)).read_bytes()
        if sha256_bytes(data) != sums[name]:
            raise ValueError(f"its predictions of {name} do not hash to what its result says")
        found[name] = np.load(io.BytesIO(data), allow_pickle=False)
    return found


def _mapping(value: object) -> dict[str, float | int | str | bool]:
    if not isinstance(value, dict):
        raise TypeError("not a mapping")
    return value


def _numbers(value: object) -> dict[str, float]:
    return {name: float(number) for name, number in _mapping(value).items()}


def _writable(values: Mapping[str, float | int | str | bool]) -> dict[str, object]:
    # JSON has no word for NaN; a loss that is one must not cost the whole result.
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
