"""The manifest of a corpus: where each base came from, where it went, and what must be on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gfmp.errors import CorruptArtefactError, MissingInputError, SpecError
from gfmp.genome.alphabet import AlphabetCounts, AlphabetPolicy
from gfmp.genome.contigs import ContigEntry, ContigsEntry, ContigSums, ContigTable
from gfmp.genome.coordinates import CoordinatesEntry
from gfmp.genome.frozen_json import OPTIONAL, from_json, to_json
from gfmp.genome.splits import Split
from gfmp.genome.variants import VariantsEntry
from gfmp.storage.atomic import read_json, write_json
from gfmp.storage.hashes import canonical_json

FORMAT_VERSION = 2
# Version 1 listed every contig in the manifest itself.
LISTED_VERSION = 1
MANIFEST_NAME = "manifest.json"
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Composition:
    """Counts of the letters of the cores, both cases pooled."""

    a: int = 0
    c: int = 0
    g: int = 0
    t: int = 0
    n: int = 0

    def __add__(self, other: Composition) -> Composition:
        return Composition(*(x + vars(other)[name] for name, x in vars(self).items()))


@dataclass(frozen=True)
class RegionsEntry:
    """What one source was restricted to, and what was found.

    Attributes:
        rule: The restriction as a person would say it.
        files: Annotation or BED files that were read; none where the source carries its own.
        sha256: Digest of each of them.
        types: Types of feature that the annotation has.
        elsewhere: Contigs with intervals that this source file does not hold.
        num_found: Intervals read on its contigs, before they were united.
        num_taken: Intervals that remain, united.
        taken_bp: Bases in them, whatever their split.
    """

    rule: str
    files: tuple[str, ...]
    sha256: tuple[str, ...]
    types: tuple[str, ...]
    elsewhere: tuple[str, ...]
    num_found: int
    num_taken: int
    taken_bp: int


@dataclass(frozen=True)
class SourceEntry:
    """One source file: its identity, the classes of its letters, the sums of its contigs.

    `regions` holds one entry when the source is restricted to intervals, else none; `variants`
    when a haplotype was put in the place of its letters, `coordinates` when that moved positions.
    """

    index: int
    species: str
    assembly: str
    strain_group: str
    origin: str
    sha256: str
    alphabet: AlphabetCounts
    contigs: ContigSums
    regions: tuple[RegionsEntry, ...] = field(default=(), metadata=OPTIONAL)
    variants: tuple[VariantsEntry, ...] = field(default=(), metadata=OPTIONAL)
    coordinates: tuple[CoordinatesEntry, ...] = field(default=(), metadata=OPTIONAL)


@dataclass(frozen=True)
class RowGroupEntry:
    """One row group: rows, core bases, core and halo bases, CRC-32 of every field."""

    rows: int
    bases: int
    sequence_bp: int
    crc32: int


@dataclass(frozen=True)
class ShardEntry:
    """One shard file.

    Attributes:
        path: Relative to the corpus folder, with forward slashes.
        split: The split of all its rows.
        source: Index of the source of all its rows.
        bytes: Exact file size.
        rows: Number of pieces.
        sha256: Digest of the file.
        footer_crc32: Checksum of the Parquet footer.
        row_groups: In file order.
    """

    path: str
    split: Split
    source: int
    bytes: int
    rows: int
    sha256: str
    footer_crc32: int
    row_groups: tuple[RowGroupEntry, ...]


@dataclass(frozen=True)
class SplitTotal:
    """Sums over one split: rows, core bases, contigs that have any, letters of the cores."""

    split: Split
    rows: int
    bases: int
    contigs: int
    composition: Composition

    def __add__(self, other: SplitTotal) -> SplitTotal:
        return SplitTotal(
            self.split,
            self.rows + other.rows,
            self.bases + other.bases,
            self.contigs + other.contigs,
            self.composition + other.composition,
        )


@dataclass(frozen=True)
class Manifest:
    """Everything known about a corpus without opening a shard.

    Attributes:
        name: Name of the corpus.
        spec_fingerprint: Fingerprint of the settings it was built from.
        policy: What letters became.
        sources: By index.
        shards: Canonical order: split, source, part.
        totals: One per split that holds rows.
        content_hash: Digest of the pieces; independent of shards, blocks, workers and order.
        contigs: The table of the contigs; none in a manifest of version 1, which lists them.
        format_version: Of this file.
    """

    name: str
    spec_fingerprint: str
    policy: AlphabetPolicy
    sources: tuple[SourceEntry, ...]
    shards: tuple[ShardEntry, ...]
    totals: tuple[SplitTotal, ...]
    content_hash: str
    contigs: tuple[ContigsEntry, ...] = field(default=(), metadata=OPTIONAL)
    format_version: int = FORMAT_VERSION

    @property
    def alphabet(self) -> AlphabetCounts:
        """Classes of the letters of all sources."""
        return sum((source.alphabet for source in self.sources), AlphabetCounts())

    def bases(self, split: Split) -> int:
        """Core bases of `split`; 0 when it holds none."""
        return sum(total.bases for total in self.totals if total.split == split)

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into `folder`."""
        write_json(folder / MANIFEST_NAME, to_json(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read `manifest.json` from `folder`.

        Raises:
            MissingInputError: there is none.
            CorruptArtefactError: it is not a manifest of a known format version.
        """
        value = _read_value(folder)
        with _faults(folder):
            check_version(value)
            if value["format_version"] == LISTED_VERSION:
                value = _added_up(value)
            return from_json(cls, value)


def listed_contigs(folder: Path) -> Iterator[tuple[int, ContigEntry]]:
    """Yield source index and entry of every contig that a manifest of version 1 lists.

    Raises:
        CorruptArtefactError: it is not such a manifest.
    """
    value: Any = _read_value(folder)
    with _faults(folder):
        for source in value["sources"]:
            for contig in source["contigs"]:
                yield source["index"], from_json(ContigEntry, contig)


def _read_value(folder: Path) -> dict[str, object]:
    path = folder / MANIFEST_NAME
    try:
        return read_json(path)
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise MissingInputError(
            "there is no corpus here",
            where=str(path),
            why="a corpus is complete when its manifest exists",
            fix="build it with `gfmp submit` of a job of kind corpus, or correct the path",
        ) from fault


@contextlib.contextmanager
def _faults(folder: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, SpecError) as fault:
        raise CorruptArtefactError(
            f"not a corpus manifest: {fault}",
            where=str(folder / MANIFEST_NAME),
            why=f"this gfmp reads manifests of format versions {LISTED_VERSION} to "
            f"{FORMAT_VERSION}",
            fix="build the corpus again with this gfmp",
        ) from fault


def _added_up(value: Any) -> dict[str, object]:  # noqa: ANN401 - parsed JSON of any shape
    """Return a manifest of version 1 with the sums of its contigs in their place."""
    sources = []
    for number, source in enumerate(value["sources"]):
        where = f"/sources/{number}/contigs"
        entries = [
            from_json(ContigEntry, contig, f"{where}/{i}")
            for i, contig in enumerate(source["contigs"])
        ]
        sources.append({**source, "contigs": to_json(ContigSums.of(entries))})
    return {**value, "sources": sources}


def check_version(value: dict[str, object]) -> None:
    """Check the format version, and that contigs are where this version has them.

    Raises:
        ValueError: the version is missing or another one, or no table of contigs is named.
    """
    found = value.get("format_version")
    if type(found) is not int or not LISTED_VERSION <= found <= FORMAT_VERSION:
        raise ValueError(f"format_version is {found!r}")
    if found != LISTED_VERSION and not value.get("contigs"):
        raise ValueError("it names no table of contigs")


def content_hash(sources: Sequence[SourceEntry], contigs: ContigTable) -> str:
    """Digest the pieces of all contigs, whatever the order of sources and contigs.

    It is the fingerprint of the sorted list of [species, assembly, contig, digest of its
    pieces], taken line by line, because the list of millions of contigs is better never made.
    """
    running = hashlib.sha256(b"[")
    separator = b""
    for line in _content_lines(sources, contigs):
        running.update(separator + line)
        separator = b","
    running.update(b"]")
    return running.hexdigest()


def _content_lines(sources: Sequence[SourceEntry], contigs: ContigTable) -> Iterator[bytes]:
    assemblies: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for source in sources:
        assemblies[source.species, source.assembly].append(source.index)
    table = contigs.columns("source", "name", "num_pieces", "pieces_sha256")
    table = table.filter(pc.greater(table.column("num_pieces"), 0))
    for (species, assembly), indices in sorted(assemblies.items()):
        mine = pc.is_in(table.column("source"), value_set=pa.array(indices, pa.int32()))
        # Arrow orders text by its UTF-8 bytes, which is the order of its code points.
        ordered = table.filter(mine).sort_by(
            [("name", "ascending"), ("pieces_sha256", "ascending")]
        )
        head = canonical_json([species, assembly])[:-1]
        for batch in ordered.select(["name", "pieces_sha256"]).to_batches(_BATCH_ROWS):
            names, digests = (column.to_pylist() for column in batch.columns)
            for name, pieces in zip(names, digests, strict=True):
                yield f'{head},{json.dumps(name)},"{pieces.hex()}"]'.encode("ascii")


def add_totals(totals: Iterable[SplitTotal]) -> tuple[SplitTotal, ...]:
    """Add totals of the same split; the result is sorted by split name."""
    by_split: dict[Split, SplitTotal] = {}
    grouped: defaultdict[Split, list[SplitTotal]] = defaultdict(list)
    for total in totals:
        grouped[total.split].append(total)
    for split, parts in grouped.items():
        by_split[split] = sum(parts[1:], parts[0])
    return tuple(by_split[split] for split in sorted(by_split))
