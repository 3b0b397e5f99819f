"""Rows that are one-hot arrays (DeepSEA's .mat files, Xpresso's .h5 files), in blocks of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError
from gfmp.genome.alphabet import reverse_complement
from gfmp.spec.task import TargetSpec
from gfmp.spec.task_formats import ArraysSource
from gfmp.tasks.formats.hdf5 import ROWS_IN_BLOCK, ArrayFile, open_arrays, texts_of
from gfmp.tasks.inputs import InputFile
from gfmp.tasks.labels import checked_values
from gfmp.tasks.pool import Pool, joined
from gfmp.tasks.sparse import Targets, of_dense, stacked
from gfmp.tasks.task import Rows

_NUM_LETTERS = 4


@dataclass(frozen=True)
class _Layout:
    """Where rows, letters and positions are among the axes of a sequence array and its targets.

    Attributes:
        num_rows: Rows N.
        rows_last: True when the rows are the last axis of both.
        letters: Axis of the four letters once rows come first: 1 or 2.
    """

    num_rows: int
    rows_last: bool
    letters: int

    def block(self, array: Any, rows: slice) -> NDArray[np.generic]:  # noqa: ANN401 - h5py
        """Return some rows of a sequence array, shape (B, positions, 4)."""
        part = np.asarray(array[..., rows] if self.rows_last else array[rows])
        part = np.moveaxis(part, -1, 0) if self.rows_last else part
        letters = _NUM_LETTERS - 1 - self.letters if self.rows_last else self.letters
        return np.moveaxis(part, letters, 2)

    def targets(self, array: Any, rows: slice) -> NDArray[np.generic]:  # noqa: ANN401 - h5py
        """Return the targets of some rows, shape (B, K)."""
        if len(array.shape) == 1:
            return np.asarray(array[rows])[:, None]
        return np.asarray(array[:, rows]).T if self.rows_last else np.asarray(array[rows])


def read_arrays(source: ArraysSource, files: Sequence[InputFile], target: TargetSpec) -> Pool:
    """Read every row of the arrays.

    Raises:
        MissingInputError: scipy or h5py is not installed.
        DataError: an array is missing, has another shape than the target says, has two letters
            at one position, a target that cannot be, or a second half that is not the reverse
            complement of the first where that is declared.
    """
    parts: list[Pool] = []
    for file in files:
        names = tuple(
            name.replace("{split}", file.role)
            for name in (source.sequence_array, source.target_array, source.id_array)
            if name
        )
        with open_arrays(file.path, names) as opened:
            parts.append(_read(opened, source, target, (file.role, names)))
    return joined(parts)


def _read(
    opened: ArrayFile, source: ArraysSource, target: TargetSpec, role: tuple[str, tuple[str, ...]]
) -> Pool:
    split, (sequence_name, target_name, *id_names) = role
    sequences, targets = opened.array(sequence_name), opened.array(target_name)
    layout = _layout(opened, (sequence_name, target_name), target)
    count = layout.num_rows // 2 if source.forward_half else layout.num_rows
    reader = _Letters(opened, sequence_name, source, layout)
    letters: list[bytes] = []
    values: list[Targets] = []
    for at in range(0, count, ROWS_IN_BLOCK):
        rows = slice(at, min(at + ROWS_IN_BLOCK, count))
        block = reader.decoded(sequences, rows)
        if source.forward_half:
            other = slice(rows.start + count, rows.stop + count)
            reader.check_other_strand(block, reader.decoded(sequences, other), rows.start)
        letters += [row.tobytes() for row in reader.cropped(block)]
        where = f"{opened.path}!{target_name}"
        values.append(_targets(layout.targets(targets, rows), target, where, rows.start))
    ids = texts_of(np.asarray(opened.array(id_names[0])).ravel()[:count]) if id_names else None
    origins = tuple(ids or (f"{opened.path.name}:{sequence_name}[{i}]" for i in range(count)))
    empty = ("",) * count
    left = (f"{count:,} reverse complements of the rows before them",)
    rows_of = Rows(tuple(letters), stacked(values), origins, empty)
    given = empty if split == "all" else (split,) * count
    return Pool(rows_of, empty, given, left_out=left if source.forward_half else ())


def _layout(opened: ArrayFile, names: tuple[str, str], target: TargetSpec) -> _Layout:
    """Tell the axes by their lengths; where both readings are possible, by who wrote the file."""
    shape = tuple(opened.array(names[0]).shape)
    wide = tuple(opened.array(names[1]).shape)
    num_outputs = 1 if target.kind in ("binary", "multiclass") else len(target.names)
    readings = [
        _Layout(rows, rows_last, letters)
        for rows_last in (opened.reversed_axes, not opened.reversed_axes)
        for rows, letters in _readings(shape, rows_last)
        if _fits(wide, rows, num_outputs, rows_last)
    ]
    if not readings:
        raise DataError(
            f"array {names[0]!r} has the shape {shape}, array {names[1]!r} {wide}",
            where=str(opened.path),
            why=f"one axis is the 4 letters, one the rows of both, and the target has "
            f"{num_outputs:,} outputs",
            fix="name the right arrays, or correct the names or groups of the target",
        )
    return readings[0]


def _readings(shape: tuple[int, ...], rows_last: bool) -> list[tuple[int, int]]:
    """Return (rows, axis of the letters once rows come first) that a shape allows."""
    if len(shape) != _NUM_LETTERS - 1:
        return []
    straight = shape[::-1] if rows_last else shape
    return [(straight[0], axis) for axis in (1, 2) if straight[axis] == _NUM_LETTERS]


def _fits(wide: tuple[int, ...], rows: int, num_outputs: int, rows_last: bool) -> bool:
    if len(wide) == 1:
        return wide == (rows,) and num_outputs == 1
    return wide == ((num_outputs, rows) if rows_last else (rows, num_outputs))


class _Letters:
    """Turns one-hot rows into letters."""

    def __init__(self, opened: ArrayFile, name: str, source: ArraysSource, layout: _Layout) -> None:
        self._where = f"{opened.path}!{name}"
        self._source = source
        self._layout = layout
        self._channels = np.frombuffer(source.channels.encode("ascii"), np.uint8)

    def decoded(self, array: Any, rows: slice) -> NDArray[np.uint8]:  # noqa: ANN401 - h5py
        """Return the letters of some rows, shape (B, positions); all zeros is N."""
        hot = self._layout.block(array, rows).astype(np.bool_)
        num_hot = hot.sum(axis=2)
        if (num_hot > 1).any():
            row, base = np.argwhere(num_hot > 1)[0]
            raise self._fault(
                f"row {rows.start + row:,} has two letters at base {base:,}",
                "a position has one letter, or none, which is N",
                "name the right array",
            )
        letters = self._channels[hot.argmax(axis=2)]
        return np.where(num_hot == 0, np.uint8(ord("N")), letters)

    def cropped(self, letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the part of the rows that is read, shape (B, positions)."""
        start, end, length = self._source.crop_start, self._source.crop_end, letters.shape[1]
        if start >= length or (end or 0) > length:
            raise self._fault(
                f"the sequences have {length:,} bases",
                f"crop_start is {start:,}, crop_end {end or length:,}",
                "correct source.crop_start and crop_end",
            )
        return letters[:, start:end]

    def check_other_strand(
        self, forward: NDArray[np.uint8], other: NDArray[np.uint8], first: int
    ) -> None:
        """Compare the second half with the reverse complements of the first."""
        flat = reverse_complement(forward.reshape(-1)).reshape(forward.shape)[::-1]
        wrong = (flat != other).any(axis=1)
        if wrong.any():
            raise self._fault(
                f"row {first + int(np.argmax(wrong)):,} has no reverse complement where it should",
                "source.forward_half says that the second half repeats the first, reversed",
                "leave source.forward_half out, or name the file it is true of",
            )

    def _fault(self, message: str, why: str, fix: str) -> DataError:
        return DataError(message, where=self._where, why=why, fix=fix)


def _targets(block: NDArray[np.generic], target: TargetSpec, where: str, first: int) -> Targets:
    if target.kind == "multilabel":
        if not np.isin(block, (0, 1)).all():
            row = int(np.argmax(~np.isin(block, (0, 1)).all(axis=1)))
            raise DataError(
                f"row {first + row:,} has a label that is neither 0 nor 1",
                where=where,
                why="labels are 0 or 1",
                fix="name the right array",
            )
        return of_dense(block == 1)
    return checked_values(block, target, where, first)
