"""Stretches cut out of a reference genome: one pass over its FASTA, one contig in memory."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gfmp.errors import DataError
from gfmp.genome.alphabet import AlphabetPolicy, translate
from gfmp.genome.annotation import Strand
from gfmp.genome.contig_names import proposed_names
from gfmp.genome.fasta import read_fasta
from gfmp.storage.documents import did_you_mean
from gfmp.tasks.derivation.genomes import cut

_POLICY = AlphabetPolicy()


@dataclass(frozen=True)
class Place:
    """A stretch of a genome; coordinates are 0-based and half-open.

    Attributes:
        contig: Record name, as the table calls it.
        start: First base.
        end: One past the last base.
        strand: The strand that is read.
        where: Line that names it, for messages.
    """

    contig: str
    start: int
    end: int
    strand: Strand
    where: str

    @property
    def origin(self) -> str:
        """`contig:start-end:strand`."""
        return f"{self.contig}:{self.start}-{self.end}:{self.strand}"


@dataclass(frozen=True)
class Contig:
    """One contig of a reference.

    Attributes:
        name: What those who ask for it call it.
        own_name: What the FASTA file calls it.
        bases: Upper-case A, C, G, T, N.
    """

    name: str
    own_name: str
    bases: bytes


def contigs_of(path: Path, wanted: Iterable[str]) -> Iterator[Contig]:
    """Yield the wanted contigs of a FASTA file, in file order, each read as a whole.

    A contig that the file names differently (chr1 and 1, a version behind a dot) is taken for
    the wanted one when no other can be meant.

    Raises:
        DataError: the file is no FASTA of DNA, or lacks a wanted contig; names those it has.
    """
    missing, names = dict.fromkeys(wanted, 0), list[str]()
    for own_name, blocks in itertools.groupby(_named_blocks(path), key=lambda block: block[0]):
        names.append(own_name)
        name = _meant(own_name, missing)
        if name:
            del missing[name]
            yield Contig(name, own_name, b"".join(bases for _, bases in blocks))
        if not missing:
            return
    raise _not_there(path, sorted(missing), names)


def cut_places(path: Path, places: Sequence[Place]) -> tuple[list[str], tuple[str, ...]]:
    """Return the letters of every place, in the order given, and notes on contig names.

    Raises:
        DataError: a place lies beyond its contig, or the file lacks a contig.
    """
    by_contig: dict[str, list[int]] = defaultdict(list)
    for i, place in enumerate(places):
        by_contig[place.contig].append(i)
    letters, renamed = [""] * len(places), dict[str, str]()
    for contig in contigs_of(path, by_contig):
        if contig.own_name != contig.name:
            renamed[contig.own_name] = contig.name
        for i in by_contig[contig.name]:
            place = places[i]
            if place.end > len(contig.bases):
                raise beyond(place, len(contig.bases), path)
            letters[i] = cut(contig.bases, place.start, place.end, place.strand).decode("ascii")
    return letters, naming_notes(path, renamed)


def naming_notes(path: Path, renamed: Mapping[str, str]) -> tuple[str, ...]:
    """Tell people which contigs of a reference were taken for which."""
    if not renamed:
        return ()
    shown = ", ".join(f"{own} as {name}" for own, name in list(renamed.items())[:3])
    return (f"{len(renamed):,} contigs of {path.name} go by another name: {shown}",)


def beyond(place: Place, length: int, path: Path) -> DataError:
    """Build the error for a place that its contig does not have."""
    return DataError(
        f"{place.contig}:{place.start}-{place.end} reaches beyond the contig",
        where=place.where,
        why=f"{place.contig} has {length:,} bases in {path.name}; coordinates are 0-based",
        fix="name the assembly that the coordinates were made for",
    )


def _named_blocks(path: Path) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as stream:
        for block in read_fasta(stream, str(path)):
            translated = translate(block.bases, _POLICY)
            if translated.refused < len(block.bases):
                letter = block.bases[translated.refused : translated.refused + 1]
                raise DataError(
                    f"letter {letter!r} is no DNA",
                    where=block.locate(translated.refused),
                    why="a genome holds A, C, G, T, N and the IUPAC letters, which become N",
                    fix="name the FASTA file of the genome",
                )
            yield block.contig, translated.bases


def _meant(own_name: str, missing: Mapping[str, int]) -> str:
    """Return which missing contig a name of the file means; empty text for none."""
    if own_name in missing:
        return own_name
    return proposed_names({own_name: 0}, missing).get(own_name, "")


def _not_there(path: Path, missing: Sequence[str], names: Sequence[str]) -> DataError:
    return DataError(
        f"there is no contig {missing[0]!r}"
        + (f" nor {len(missing) - 1:,} others" if len(missing) > 1 else ""),
        where=str(path),
        why=f"its contigs are {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}",
        fix=did_you_mean(missing[0], names) or "name the assembly that the table was made for",
    )
