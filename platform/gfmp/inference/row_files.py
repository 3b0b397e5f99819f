"""Files of sequences as records: FASTA, tables of text, Parquet, BED on a FASTA; plain or gzip."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from gfmp.errors import DataError, MissingInputError, UsageError
from gfmp.genome.alphabet import translate
from gfmp.genome.bed import Interval, read_intervals
from gfmp.genome.blocks import BLOCK_BYTES, Block
from gfmp.genome.contig_names import proposed_names
from gfmp.genome.fasta import read_fasta
from gfmp.genome.letters import Letters, find_letters
from gfmp.genome.locations import LocalFile, open_location
from gfmp.genome.selection import PinnedFile
from gfmp.inference.rows import Cut, Record, Row
from gfmp.storage.documents import did_you_mean
from gfmp.storage.workspace import Workspace
from gfmp.tasks.letters import POLICY, normalised
from gfmp.tasks.tables import parquet_header, parquet_rows, table_header, table_rows

RowFormat = Literal["fasta", "csv", "tsv", "parquet", "bed"]
ROW_FORMATS: tuple[RowFormat, ...] = get_args(RowFormat)
_SUFFIXES: dict[str, RowFormat] = {
    ".fa": "fasta",
    ".fasta": "fasta",
    ".fna": "fasta",
    ".ffn": "fasta",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".bed": "bed",
}
_SEQUENCE_NAMES = ("sequence", "seq")
_NAME_NAMES = ("name", "id")
# Cells that are checked for their letters together.
_BATCH = 1_000


@dataclass(frozen=True)
class RowFile:
    """A file of sequences and how it is read.

    Attributes:
        path: Absolute path.
        format: Its format.
        sequence_column: Column of tables with the letters; empty takes `sequence` or `seq`.
        name_column: Column of tables with names; empty takes `name` or `id`, else rows are named
            by their line.
        reference: FASTA that a BED file stands on; empty for all other formats.
    """

    path: str
    format: RowFormat
    sequence_column: str = ""
    name_column: str = ""
    reference: str = ""

    @classmethod
    def of(
        cls,
        path: Path,
        reference: Path | None = None,
        sequence_column: str = "",
        name_column: str = "",
    ) -> RowFile:
        """Name a file; its format is told by its name.

        Raises:
            MissingInputError: a file is not there.
            UsageError: the name tells no format, or a BED file has no reference.
        """
        for file in (path, reference):
            if file is not None and not file.is_file():
                raise MissingInputError(
                    f"there is no file {file}",
                    where=str(file.absolute()),
                    why="paths are relative to the current folder",
                    fix="correct the path",
                )
        form = _format(path)
        if (form == "bed") != (reference is not None):
            add = f"gfmp ... {path} --reference genome.fa.gz"
            raise UsageError(
                "a BED file needs --reference FASTA, and only a BED file does",
                where=str(path),
                why="its lines are places on a reference sequence",
                fix=add if form == "bed" else "leave --reference out",
            )
        standing = str(reference.resolve()) if reference else ""
        return cls(str(path.resolve()), form, sequence_column, name_column, standing)

    def rows(self, cut: Cut, workspace: Workspace) -> Iterator[Row]:
        """Yield the rows of the file, in its order; lower case reads as upper case, U as T.

        Args:
            cut: How records become rows.
            workspace: Keeps a copy of the reference of a BED file for random access.

        Raises:
            DataError: the file is damaged, or not what its format says; a sequence holds a
                letter that is no nucleotide, is too short or too long; names file and line.
        """
        readers: dict[RowFormat, Callable[[], Iterator[Record]]] = {
            "fasta": lambda: _fasta(self.path),
            "bed": lambda: _bed(self.path, self.reference, workspace),
        }
        for record in readers.get(self.format, lambda: _table(self))():
            yield from cut.rows(record)


def _format(path: Path) -> RowFormat:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"the name {path.name!r} does not tell a format",
            where=str(path),
            why=f"names end in {', '.join(_SUFFIXES)}, with or without .gz",
            fix="rename the file, or make a link with such a name",
        )
    return _SUFFIXES[suffix]


def _fasta(path: str) -> Iterator[Record]:
    with open_location(LocalFile(path)) as stream:
        blocks = read_fasta(stream, path, unique=False)
        for _, found in itertools.groupby(blocks, key=lambda block: block.record):
            first = next(found)
            letters = (_letters(block) for block in itertools.chain((first,), found))
            yield Record(first.contig, f"{path}:{first.line}", letters)


def _letters(block: Block) -> bytes:
    translated = translate(block.bases, POLICY)
    if translated.refused < len(block.bases):
        letter = chr(block.bases[translated.refused])
        raise DataError(
            f"the sequence {block.contig!r} holds {letter!r}",
            where=block.locate(translated.refused),
            why="sequences are A C G T U N and IUPAC codes, in either case",
            fix="correct the sequence, or name a file of nucleotides",
        )
    return translated.bases


def _table(file: RowFile) -> Iterator[Record]:
    path = Path(file.path)
    packed = file.format == "parquet"
    separator = "," if file.format == "csv" else "\t"
    header = parquet_header(path) if packed else table_header(path, separator)
    sequence = file.sequence_column or _first(_SEQUENCE_NAMES, header) or _SEQUENCE_NAMES[0]
    name = file.name_column or _first(_NAME_NAMES, header)
    wanted = [sequence, *([name] if name else [])]
    rows = parquet_rows(path, wanted) if packed else table_rows(path, wanted, separator)
    while batch := list(itertools.islice(rows, _BATCH)):
        places = [f"{path}:{line}" for line, _ in batch]
        letters, _ = normalised([cells[0] for _, cells in batch], sequence, places.__getitem__)
        for (line, cells), where, bases in zip(batch, places, letters, strict=True):
            yield Record(cells[1] if name else str(line), where, (bases,))


def _first(names: Sequence[str], header: Sequence[str]) -> str:
    return next((name for name in names if name in header), "")


def _bed(path: str, reference: str, workspace: Workspace) -> Iterator[Record]:
    letters = find_letters(PinnedFile(LocalFile(reference)), workspace.references)
    known: dict[str, str] = {}
    with contextlib.closing(letters), open_location(LocalFile(path)) as stream:
        for one in read_intervals(stream, path):
            if one.contig not in known:
                known[one.contig] = _meant(one, letters, reference)
            contig = known[one.contig]
            _check_end(one, letters.lengths[contig])
            blocks = _fetched(letters, contig, one)
            yield Record(one.name or one.contig, one.where, blocks, one.start, one.strand)


def _meant(one: Interval, letters: Letters, reference: str) -> str:
    """Return what the reference calls a contig: `chr1` and `1` are each other."""
    if one.contig in letters.lengths:
        return one.contig
    found = proposed_names({one.contig: 0}, letters.lengths).get(one.contig)
    if found is None:
        names = list(letters.lengths)
        raise DataError(
            f"there is no contig {one.contig!r}",
            where=one.where,
            why=f"{reference} has {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}",
            fix=did_you_mean(one.contig, names) or "name the assembly the intervals were made for",
        )
    return found


def _check_end(one: Interval, length: int) -> None:
    if one.end > length:
        raise DataError(
            f"{one.contig}:{one.start}-{one.end} reaches beyond the contig",
            where=one.where,
            why=f"{one.contig} has {length:,} bases; coordinates are 0-based and half-open",
            fix="name the assembly that the intervals were made for",
        )


def _fetched(letters: Letters, contig: str, one: Interval) -> Iterator[bytes]:
    for start in range(one.start, one.end, BLOCK_BYTES):
        bases = letters.fetch(contig, start, min(one.end, start + BLOCK_BYTES))
        yield translate(bases, POLICY).bases
