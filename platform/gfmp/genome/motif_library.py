"""Libraries of known motifs: a file in a public format, or JASPAR as an installed package has it.

JASPAR 2024 (Rauluseviciute et al., Nucleic Acids Research 2024; profiles CC BY 4.0) is read from
the SQLite file of pyjaspar, which is found through its metadata and never imported.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gfmp.errors import CorruptArtefactError, MissingInputError, SpecError
from gfmp.genome.motif_files import read_motifs
from gfmp.genome.motifs import BASES, Motif
from gfmp.genome.packages import installed_file
from gfmp.storage.documents import did_you_mean
from gfmp.storage.hashes import fingerprint

PACKAGE, VERSION, EXTRA = "pyjaspar", "4.0.0", "motifs"
_FILE = "pyjaspar/data/JASPAR2024.sqlite"
_JASPAR = "jaspar"
GROUPS = ("fungi", "insects", "nematodes", "plants", "urochordates", "vertebrates")
NAMES = (_JASPAR, *(f"{_JASPAR}_{group}" for group in GROUPS))
_CREDIT = "JASPAR 2024 CORE (Rauluseviciute et al., 2024), CC BY 4.0"
# The latest version of each profile.
_QUERY = """
SELECT m.BASE_ID || '.' || m.VERSION || ' ' || m.NAME, d.col, d.row, d.val
FROM MATRIX m JOIN MATRIX_DATA d ON d.ID = m.ID
WHERE m.COLLECTION = 'CORE'
  AND m.VERSION = (SELECT MAX(VERSION) FROM MATRIX
                   WHERE BASE_ID = m.BASE_ID AND COLLECTION = 'CORE')
  AND m.ID IN (SELECT ID FROM MATRIX_ANNOTATION WHERE TAG = 'tax_group' AND VAL = ?)
ORDER BY m.BASE_ID, d.col, d.row
"""


@dataclass(frozen=True)
class MotifLibrary:
    """Known motifs.

    Attributes:
        name: What it is called: `jaspar_insects`, or a file name.
        motifs: Its motifs.
        credit: Source and licence, as far as they are known.
    """

    name: str
    motifs: tuple[Motif, ...]
    credit: str

    @property
    def fingerprint(self) -> str:
        """sha256 of names and counts."""
        return fingerprint([[one.name, one.counts.tolist()] for one in self.motifs])


@dataclass(frozen=True)
class Match:
    """A motif of a library that fits.

    Attributes:
        target: Its name.
        p: Tomtom's p-value.
        q: False discovery rate among all motifs of the library, for this motif alone.
        shift: Place of the target at which the motif begins; negative when it begins before it.
        reverse: Whether the target fits on its other strand; `shift` counts along that.
        overlap: Places that both have.
    """

    target: str
    p: float
    q: float
    shift: int
    reverse: bool
    overlap: int


def read_library(name: str, base: Path, where: str = "") -> MotifLibrary:
    """Read a library.

    Args:
        name: One of `NAMES`, or a path to a file (with a / or an ending).
        base: Folder that relative paths start from.
        where: Where the name was written.

    Raises:
        SpecError: there is no library of that name.
        MissingInputError: the package is not installed, or the file is not there.
        DataError: the file is not what its format says.
        CorruptArtefactError: the package's file is damaged.
    """
    if name in NAMES:
        groups = GROUPS if name == _JASPAR else (name.removeprefix(f"{_JASPAR}_"),)
        return MotifLibrary(name, _profiles(groups), _CREDIT)
    if "/" not in name and "." not in name:
        raise SpecError(
            f"library: there is no library {name!r}",
            where=where,
            why=f"known are {', '.join(NAMES)}, and files by their paths",
            fix=did_you_mean(name, NAMES) or "give the path of a MEME or JASPAR file",
        )
    path = base / Path(name).expanduser()
    if not path.is_file():
        raise MissingInputError(
            f"there is no file {path}",
            where=where,
            why="relative paths start from the folder of the job file",
            fix=f"correct the path, or use {_JASPAR}_vertebrates",
        )
    return MotifLibrary(path.name, read_motifs(path), str(path.name))


def _profiles(groups: Sequence[str]) -> tuple[Motif, ...]:
    try:
        path = installed_file(PACKAGE, VERSION, _FILE)
    except MissingInputError as fault:
        problem = fault.problems[0]
        raise MissingInputError(
            problem.message,
            where=problem.where,
            why="JASPAR's profiles are read from this package",
            fix=f'pip install "gfmp[{EXTRA}]", or give the path of a MEME or JASPAR file',
        ) from fault
    cells: dict[str, dict[tuple[int, str], float]] = {}
    try:
        for group in groups:
            for name, column, row, value in _rows(path, group):
                cells.setdefault(name, {})[column, row] = value
    except sqlite3.Error as fault:
        raise CorruptArtefactError(
            f"JASPAR cannot be read: {fault}",
            where=str(path),
            why="the file is part of an installed package and never changes",
            fix=f"pip install --force-reinstall '{PACKAGE}=={VERSION}'",
        ) from fault
    return tuple(_motif(name, found) for name, found in sorted(cells.items()))


def _rows(path: Path, group: str) -> list[tuple[str, int, str, float]]:
    uri = f"{path.as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        found = connection.execute(_QUERY, (group,)).fetchall()
    return [(str(name), int(column), str(base), float(n)) for name, column, base, n in found]


def _motif(name: str, cells: dict[tuple[int, str], float]) -> Motif:
    counts = np.zeros((max(column for column, _ in cells), len(BASES)))
    for (column, base), count in cells.items():
        counts[column - 1, BASES.index(base)] = count
    return Motif(name, counts)
