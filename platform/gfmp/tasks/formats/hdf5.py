"""Arrays in files of MATLAB and HDF5, read in blocks of rows where the format allows it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import DataError, MissingInputError
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.sparse import SparseLabels, Targets, of_dense, stacked

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MATLAB_HEADER_BYTES = 512
ROWS_IN_BLOCK = 4096


@dataclass(frozen=True)
class ArrayFile:
    """An opened file of named arrays.

    Attributes:
        path: The file.
        arrays: Name to array; slicing one reads only that part where the format allows it.
        reversed_axes: MATLAB 7.3 stores its arrays column by column, so that HDF5 shows their
            axes in reverse.
    """

    path: Path
    arrays: Mapping[str, Any]
    reversed_axes: bool

    def array(self, name: str) -> Any:  # noqa: ANN401 - h5py and scipy have no types
        """Return an array by name.

        Raises:
            DataError: the file has none of that name.
        """
        names = sorted(str(known) for known in self.arrays if not str(known).startswith("__"))
        if name not in names:
            raise DataError(
                f"there is no array {name!r}",
                where=str(self.path),
                why=f"it holds {', '.join(names[:20]) or 'none'}",
                fix=did_you_mean(name, names) or "name the right array, or the right file",
            )
        return self.arrays[name]


@contextlib.contextmanager
def open_arrays(path: Path, wanted: tuple[str, ...]) -> Iterator[ArrayFile]:
    """Open a file of MATLAB 5 or HDF5 (MATLAB 7.3 among it), told by its content.

    Args:
        path: The file.
        wanted: Arrays that will be read; MATLAB 5 has no other way than whole arrays.

    Raises:
        MissingInputError: the library that reads it is not installed; names the extra.
        DataError: the file is neither, or is damaged.
    """
    with path.open("rb") as stream:
        head = stream.read(_MATLAB_HEADER_BYTES + len(_HDF5_SIGNATURE))
    matlab = head.startswith(b"MATLAB")
    if head.startswith(_HDF5_SIGNATURE) or head[_MATLAB_HEADER_BYTES:] == _HDF5_SIGNATURE:
        _needs("h5py", path)
        with _damage(path), _hdf5(path) as opened:
            yield ArrayFile(path, opened, matlab)
    elif matlab:
        _needs("scipy", path)
        with _damage(path):
            yield ArrayFile(path, _matlab(path, wanted), False)
    else:
        raise DataError(
            "this is neither a file of MATLAB nor of HDF5",
            where=str(path),
            why="source.format is arrays",
            fix="name the right file, or fetch it again",
        )


def labels_of(path: Path, name: str, shape: tuple[int, int]) -> SparseLabels:
    """Return a 0/1 array of HDF5, row i for row i of a table, shape (N, K).

    Raises:
        MissingInputError: h5py is not installed.
        DataError: the file has no such array, or one of another shape.
    """
    with open_arrays(path, (name,)) as opened:
        array = opened.array(name)
        if tuple(array.shape) != shape:
            raise DataError(
                f"array {name!r} has the shape {tuple(array.shape)}",
                where=str(path),
                why=f"its table has {shape[0]:,} rows, and the target {shape[1]:,} labels",
                fix="fetch both files again, or correct target.groups",
            )
        parts: list[Targets] = [
            of_dense(np.asarray(array[at : at + ROWS_IN_BLOCK]) == 1)
            for at in range(0, max(shape[0], 1), ROWS_IN_BLOCK)
        ]
    whole = stacked(parts)
    assert isinstance(whole, SparseLabels), "sparse parts make a sparse whole"
    return whole


def texts_of(values: NDArray[np.generic]) -> list[str]:
    """Return names as text, whatever way they are stored in."""
    return [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values.tolist()]


def _hdf5(path: Path) -> Any:  # noqa: ANN401 - h5py has no types
    import h5py

    return h5py.File(path, "r")


def _matlab(path: Path, wanted: tuple[str, ...]) -> dict[str, Any]:
    from scipy.io import loadmat, whosmat

    known = {name for name, _, _ in whosmat(path)}
    found: dict[str, Any] = dict.fromkeys(known)
    found |= loadmat(path, variable_names=[name for name in wanted if name in known])
    return found


def _needs(library: str, path: Path) -> None:
    if find_spec(library) is None:
        extra = "readers" if library == "h5py" else "train"
        raise MissingInputError(
            f"{library} is not installed",
            where=str(path),
            why=f"this file is read by {library}",
            fix=f"pip install 'gfmp[{extra}]'",
        )


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError) as fault:
        raise DataError(
            f"the file cannot be read: {str(fault).splitlines()[0] if str(fault) else fault!r}",
            where=str(path),
            why="it begins as a file of MATLAB or HDF5, and does not go on as one",
            fix="fetch the file again",
        ) from fault
