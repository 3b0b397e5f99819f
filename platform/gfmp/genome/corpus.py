"""A published corpus: opened after a light check, read row group by row group."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import CorruptArtefactError, Problem
from gfmp.genome.contigs import ContigEntry, ContigsEntry, ContigTable
from gfmp.genome.coordinates import CoordinatesEntry, read_lift
from gfmp.genome.lifts import Lift
from gfmp.genome.manifest import MANIFEST_NAME, Manifest, ShardEntry, listed_contigs
from gfmp.genome.shards import Row, footer_crc32, read_rows, rows_crc32
from gfmp.genome.splits import Split
from gfmp.storage.hashes import sha256_file

_WHY = "a published corpus never changes, so something else touched it"
_FIX = "restore the corpus from a copy, or remove its folder and build it again"


@dataclass(frozen=True)
class RowGroup:
    """The unit of reading.

    Attributes:
        shard: Path of the shard, relative to the corpus.
        index: Row group in the shard, from 0.
        split: The split of all its rows.
        rows: Number of pieces.
        bases: Bases in the cores of its pieces.
    """

    shard: str
    index: int
    split: str
    rows: int
    bases: int


@dataclass(frozen=True)
class Piece:
    """Consecutive bases of one contig.

    Attributes:
        species: Scientific name.
        assembly: Assembly or strain.
        contig: Record name.
        start: 0-based contig position of the first base; of the haplotype where variants moved
            positions, see `Corpus.lift`.
        bases: Length of the core; every base of a split lies in exactly one core.
        sequence: Core, then halo: the following bases of the contig within the same split.
    """

    species: str
    assembly: str
    contig: str
    start: int
    bases: int
    sequence: bytes


@dataclass(frozen=True)
class Corpus:
    """A corpus folder whose shards are all there.

    Attributes:
        path: The folder.
        manifest: What it holds.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> Corpus:
        """Open a corpus after checking names, sizes and footers of its shards, not its bases.

        Raises:
            MissingInputError: there is no manifest.
            CorruptArtefactError: a shard is missing, differs in size or footer, or a file that
                does not belong is there; lists them all.
        """
        manifest = Manifest.read(path)
        problems = [
            *_strangers(path, manifest),
            *_broken_shards(path, manifest),
            *_broken_tables(path, manifest),
        ]
        if problems:
            raise CorruptArtefactError.of(problems)
        return cls(path, manifest)

    @property
    def fingerprint(self) -> str:
        """Digest of the content, independent of how it is stored."""
        return self.manifest.content_hash

    def verify(self) -> None:
        """Compare the sha256 of every shard, and of the contigs, with the manifest.

        Raises:
            CorruptArtefactError: lists every file that differs.
        """
        problems = [
            _problem(self.path / path, f"sha256 is {found}, expected {sha256}")
            for path, sha256 in _files(self.manifest).items()
            if (found := sha256_file(self.path / path)) != sha256
        ]
        if problems:
            raise CorruptArtefactError.of(problems)

    def contigs(self) -> Iterator[tuple[int, ContigEntry]]:
        """Yield source index and entry of every contig, in the order of the sources.

        Raises:
            CorruptArtefactError: the table of the contigs is not as it was written.
        """
        if not self.manifest.contigs:
            return listed_contigs(self.path)
        (entry,) = self.manifest.contigs
        if sha256_file(self.path / entry.path) != entry.sha256:
            problem = _problem(self.path / entry.path, "its content differs from its checksum")
            raise CorruptArtefactError.of([problem])
        return ContigTable(self.path / entry.path).entries()

    def lift(self, species: str, assembly: str, contig: str) -> Lift:
        """Return where the bases of a contig lie in the reference of its haplotype.

        `lift.to_reference(piece.start + i, piece.start + j)` is the place of the window [i, j) of a
        piece. Without variants of another length nothing moved, and both coordinates are one.

        Raises:
            CorruptArtefactError: the table of coordinates is not as it was written.
        """
        for source in self.manifest.sources:
            mine = (source.species, source.assembly) == (species, assembly)
            for entry in source.coordinates if mine else ():
                path = self.path / entry.path
                if not path.is_file() or sha256_file(path) != entry.sha256:
                    problem = _problem(path, "its content differs from its checksum")
                    raise CorruptArtefactError.of([problem])
                lift = read_lift(self.path, entry, contig)
                if len(lift.reference):
                    return lift
        return Lift.none()

    def row_groups(self, split: Split) -> tuple[RowGroup, ...]:
        """List the row groups of `split` in canonical (manifest) order."""
        return tuple(
            RowGroup(shard.path, index, split, group.rows, group.bases)
            for shard in self.manifest.shards
            if shard.split == split
            for index, group in enumerate(shard.row_groups)
        )

    def read(self, group: RowGroup) -> tuple[Piece, ...]:
        """Read the pieces of one row group; every field is checked against the manifest.

        Raises:
            CorruptArtefactError: the row group is damaged; names shard and row group.
        """
        rows = self._read_rows(group)
        expected = self._shards[group.shard].row_groups[group.index]
        bases = sum(row.bases for row in rows)
        if (len(rows), bases) != (expected.rows, expected.bases):
            raise self._damage(
                group,
                f"{len(rows)} rows of {bases} bases, expected {expected.rows} of {expected.bases}",
            )
        if rows_crc32(rows) != expected.crc32:
            raise self._damage(group, "its content differs from its checksum")
        return tuple(
            Piece(row.species, row.assembly, row.contig, row.start, row.bases, row.sequence)
            for row in rows
        )

    @functools.cached_property
    def _shards(self) -> dict[str, ShardEntry]:
        return {shard.path: shard for shard in self.manifest.shards}

    def _read_rows(self, group: RowGroup) -> list[Row]:
        try:
            return read_rows(self.path / group.shard, group.index)
        except ValueError as fault:
            raise self._damage(group, str(fault)) from fault

    def _damage(self, group: RowGroup, reason: str) -> CorruptArtefactError:
        problem = _problem(self.path / group.shard, f"row group {group.index}: {reason}")
        return CorruptArtefactError(
            problem.message, where=problem.where, why=problem.why, fix=problem.fix
        )


def _files(manifest: Manifest) -> dict[str, str]:
    """Return path and sha256 of every file that a manifest names."""
    shards = {shard.path: shard.sha256 for shard in manifest.shards}
    return shards | {entry.path: entry.sha256 for entry in _tables(manifest)}


def _strangers(path: Path, manifest: Manifest) -> Iterator[Problem]:
    """Find symlinks and files the manifest does not name; a README may lie anywhere."""
    known = {*_files(manifest), MANIFEST_NAME}
    for entry in sorted(path.rglob("*")):
        if entry.is_symlink():
            yield _problem(entry, "a symbolic link does not belong in a corpus")
        elif entry.is_dir() or entry.name.upper().startswith("README"):
            continue
        elif entry.relative_to(path).as_posix() not in known:
            yield _problem(entry, "this file is not in the manifest")


def _tables(manifest: Manifest) -> Iterator[ContigsEntry | CoordinatesEntry]:
    yield from manifest.contigs
    for source in manifest.sources:
        yield from source.coordinates


def _broken_tables(path: Path, manifest: Manifest) -> Iterator[Problem]:
    for entry in _tables(manifest):
        file = path / entry.path
        size = file.stat().st_size if file.is_file() else -1
        if size != entry.bytes:
            found = f"{size:,} bytes" if size >= 0 else "no such file"
            what = "contigs" if entry in manifest.contigs else "coordinates"
            yield _problem(file, f"the table of {what}: {found}, expected {entry.bytes:,} bytes")


def _broken_shards(path: Path, manifest: Manifest) -> Iterator[Problem]:
    for shard in manifest.shards:
        file = path / shard.path
        expected = f"expected {shard.bytes:,} bytes with {shard.rows:,} rows"
        if not file.is_file():
            yield _problem(file, f"the shard is missing; {expected}")
        elif file.stat().st_size != shard.bytes:
            yield _problem(file, f"the shard has {file.stat().st_size:,} bytes; {expected}")
        elif complaint := _footer_complaint(file, shard):
            yield _problem(file, f"{complaint}; {expected}")


def _footer_complaint(file: Path, shard: ShardEntry) -> str:
    try:
        matches = footer_crc32(file) == shard.footer_crc32
    except ValueError as fault:
        return str(fault)
    return "" if matches else "the shard's footer differs from its checksum"


def _problem(file: Path, message: str) -> Problem:
    return Problem(message, where=str(file), why=_WHY, fix=_FIX)
