"""Windows on their way to rows: thinned by a keyed hash, balanced, free of leaks."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gfmp.errors import DataError
from gfmp.genome.annotation import Span, Strand
from gfmp.tasks.derivation.genomes import Genome, cut
from gfmp.tasks.task import Rows


@dataclass(frozen=True, order=True)
class Window:
    """A labelled stretch of a genome.

    Attributes:
        genome: Position of the genome in the source.
        contig: Record name.
        start: First base, 0-based.
        end: One past the last base.
        strand: The strand that is read.
        label: Class index.
        group: What a split must not tear apart.
    """

    genome: int
    contig: str
    start: int
    end: int
    strand: Strand
    label: int
    group: str

    @property
    def origin(self) -> str:
        """`contig:start-end:strand`, 0-based and half-open."""
        return f"{self.contig}:{self.start}-{self.end}:{self.strand}"


def rank(seed: int, *parts: str | int) -> int:
    """Return a number that depends on `seed` and `parts` alone: 64 bits, evenly spread."""
    text = ":".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def hashed_strand(seed: int, contig: str, start: int) -> Strand:
    """Choose a strand for a window that has none of its own."""
    return "-" if rank(seed, "strand", contig, start) & 1 else "+"


def tiles(span: Span, window_bp: int, shift: int) -> tuple[Span, ...]:
    """Lay as many windows side by side as fit into a span.

    Args:
        span: Where they must lie, wholly.
        window_bp: Length of each.
        shift: Any number; places the row of windows within the slack, evenly.
    """
    start, end = span
    number = max(0, end - start) // window_bp
    first = start + shift % (end - start - number * window_bp + 1) if number else start
    return tuple((first + i * window_bp, first + (i + 1) * window_bp) for i in range(number))


def apart(windows: Iterable[Window]) -> list[Window]:
    """Keep, from left to right, the windows that overlap none kept before on their contig."""
    kept: list[Window] = []
    for window in sorted(windows):
        if not (kept and _overlap(kept[-1], window)):
            kept.append(window)
    return kept


def _overlap(left: Window, right: Window) -> bool:
    same_contig = (left.genome, left.contig) == (right.genome, right.contig)
    return same_contig and right.start < left.end


def balanced(
    windows: Sequence[Window], stratum: Callable[[Window], Hashable], num_classes: int, seed: int
) -> list[Window]:
    """Thin every class to the rarest one within each stratum; the keyed hash chooses."""
    strata: dict[Hashable, dict[int, list[Window]]] = defaultdict(lambda: defaultdict(list))
    for window in windows:
        strata[stratum(window)][window.label].append(window)
    kept: list[Window] = []
    for classes in strata.values():
        number = min(len(classes[label]) for label in range(num_classes))
        for members in classes.values():
            kept += thinned(members, number, seed)
    return kept


def thinned(windows: Iterable[Window], number: int, seed: int) -> list[Window]:
    """Return the `number` windows of lowest keyed hash, or all when there are fewer."""
    return sorted(windows, key=lambda w: (rank(seed, w.contig, w.start, w.strand), w))[:number]


def to_rows(windows: Iterable[Window], genomes: Sequence[Genome]) -> Rows:
    """Cut the windows out of their genomes, in the order of genome and coordinate.

    Left out are windows with N, with less than their full length, and every copy of a sequence
    (on either strand) that stands in two groups or under two labels: it would leak.

    Raises:
        DataError: nothing remains.
    """
    ordered = sorted(windows)
    sequences = [
        cut(genomes[w.genome].contigs[w.contig], w.start, w.end, w.strand) for w in ordered
    ]
    leaks = _leaks(ordered, sequences)
    kept = [
        (window, sequence)
        for window, sequence in zip(ordered, sequences, strict=True)
        if b"N" not in sequence and _either_strand(sequence) not in leaks
    ]
    if not kept:
        raise DataError(
            "the rule finds no window",
            where=", ".join(genome.name for genome in genomes),
            why="the genomes hold no feature of the types it reads, or windows are too long",
            fix="check the annotation files and window_bp in the task spec",
        )
    return Rows(
        sequences=tuple(sequence for _, sequence in kept),
        targets=np.array([[window.label] for window, _ in kept], np.float32),
        origins=tuple(window.origin for window, _ in kept),
        groups=tuple(window.group for window, _ in kept),
    )


def _leaks(windows: Sequence[Window], sequences: Sequence[bytes]) -> set[bytes]:
    meanings = {
        (_either_strand(sequence), window.group or window.origin, window.label)
        for window, sequence in zip(windows, sequences, strict=True)
    }
    counts = Counter(sequence for sequence, _, _ in meanings)
    return {sequence for sequence, number in counts.items() if number > 1}


def _either_strand(sequence: bytes) -> bytes:
    return min(sequence, cut(sequence, 0, len(sequence), "-"))
