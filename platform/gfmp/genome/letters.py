"""The letters of a FASTA file in one flat file: any stretch of any contig, in constant memory.

A compressed reference has no random access, and a plain one only by its line lengths. The copy has
one byte a base, upper case, U as T; it is made once for each file and kept by its digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gfmp.errors import CorruptArtefactError, DataError, ExistsError
from gfmp.genome.alphabet import IUPAC_LETTERS
from gfmp.genome.blocks import Block
from gfmp.genome.fasta import read_fasta
from gfmp.genome.locations import Location, checked_digest, describe, open_location
from gfmp.genome.selection import PinnedFile
from gfmp.storage.atomic import read_json, staged_directory, streamed_write, write_json

FORMAT_VERSION = 1
_LETTERS, _INDEX = "letters.bin", "index.json"
_KEPT = b"ACGTUN" + IUPAC_LETTERS
_KNOWN = _KEPT + _KEPT.lower()
_UPPER = bytes(range(256)).upper().translate(bytes.maketrans(b"U", b"T"))
# What is read at once; sorted requests then touch the disk once a mebibyte.
_WINDOW_BYTES = 1 << 20
_FOLDER_CHARACTERS = 16


@dataclass(frozen=True)
class _Place:
    """Where a contig lies in the flat file."""

    offset: int
    length: int


class Letters:
    """The contigs of one reference; not for several threads at once.

    Attributes:
        sha256: Digest of the file it was made from.
        lengths: Bases of each contig by its name.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder that `find_letters` published.

        Raises:
            CorruptArtefactError: it is not as it was written.
        """
        index = read_json(folder / _INDEX)
        contigs = index.get("contigs")
        if index.get("format_version") != FORMAT_VERSION or not isinstance(contigs, dict):
            raise _damaged(folder / _INDEX, "it is of another format")
        self._places = {name: _Place(*place) for name, place in contigs.items()}
        self.sha256 = str(index["sha256"])
        self.lengths: Mapping[str, int] = {n: place.length for n, place in self._places.items()}
        self._path = folder / _LETTERS
        total = sum(self.lengths.values())
        if not self._path.is_file() or self._path.stat().st_size != total:
            raise _damaged(self._path, f"it does not hold {total:,} bytes")
        self._stream: IO[bytes] = self._path.open("rb")
        self._low, self._buffer = 0, b""

    def fetch(self, contig: str, start: int, end: int) -> bytes:
        """Return the letters [start, end) of a contig, 0-based, upper case."""
        place = self._places[contig]
        assert 0 <= start <= end <= place.length, "a stretch lies on its contig"
        low, high = place.offset + start, place.offset + end
        if low < self._low or high > self._low + len(self._buffer):
            self._low = max(0, low - _WINDOW_BYTES // 8)
            self._stream.seek(self._low)
            self._buffer = self._stream.read(max(_WINDOW_BYTES, high - self._low))
        return self._buffer[low - self._low : high - self._low]

    def close(self) -> None:
        """Release the file; may be called twice."""
        self._stream.close()


def find_letters(file: PinnedFile, folder: Path) -> Letters:
    """Open the letters of a FASTA file, after copying them below `folder` if nobody did before.

    Args:
        file: The FASTA, plain or gzip.
        folder: Keeps one copy for each content.

    Raises:
        DataError: the file is not FASTA or damaged, holds something that is no base, or differs
            from its pin.
        MissingInputError: there is no such file.
        StorageError: the disk refused.
    """
    sha256 = checked_digest(file.location, file.sha256)
    final = folder / sha256[:_FOLDER_CHARACTERS]
    if not (final / _INDEX).is_file():
        _publish(file.location, sha256, final)
    found = Letters(final)
    if found.sha256 != sha256:
        raise _damaged(final, f"it was made from {found.sha256[:12]}")
    return found


def _publish(location: Location, sha256: str, final: Path) -> None:
    try:
        with staged_directory(final) as staging:
            contigs = _copy(location, staging / _LETTERS)
            index = {"format_version": FORMAT_VERSION, "sha256": sha256, "contigs": contigs}
            write_json(staging / _INDEX, index)
    except ExistsError:
        return  # somebody else made the same copy at the same time


def _copy(location: Location, path: Path) -> dict[str, tuple[int, int]]:
    contigs: dict[str, tuple[int, int]] = {}
    total = 0
    with open_location(location) as stream, streamed_write(path) as out:
        for block in _checked(read_fasta(stream, describe(location))):
            offset, length = contigs.get(block.contig, (total, 0))
            contigs[block.contig] = offset, length + len(block.bases)
            total += len(block.bases)
            out.write(block.bases.translate(_UPPER))
    return contigs


def _checked(blocks: Iterator[Block]) -> Iterator[Block]:
    for block in blocks:
        if strange := block.bases.translate(None, _KNOWN):
            index = block.bases.index(strange[:1])
            raise DataError(
                f"{chr(strange[0])!r} is no base",
                where=block.locate(index),
                why="a reference holds A, C, G, T, N and the other letters of IUPAC",
                fix="name the FASTA of the assembly, or fetch it again",
            )
        yield block


def _damaged(path: Path, how: str) -> CorruptArtefactError:
    return CorruptArtefactError(
        f"the letters of a reference are damaged: {how}",
        where=str(path),
        why="gfmp publishes them whole and never changes them",
        fix="remove the folder: the next job makes it again",
    )
