"""Rows of a task that a model has read before: those that a pretraining corpus holds.

Reading unlabelled test sequence is no leak of labels, but a score on rows a model has read says
less about rows it has not; so it is counted and told, never refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.genome.corpus import Corpus, Piece
from gfmp.tasks.near import WORD_BP, Words, are_near, found_in, words_of
from gfmp.tasks.strands import other_strand
from gfmp.tasks.task import SPLITS, Rows, Split, Task

# One word in so many is compared: a corpus has far more of them than a task.
SAMPLE = 4


@dataclass(frozen=True)
class Exposure:
    """Rows of one split of a task that occur in a corpus.

    Attributes:
        corpus: Name of the corpus.
        split: The split.
        rows: Its rows.
        exact: Of them, rows that stand in the corpus as they are.
        reverse_complement: Rows that do not, but their reverse complement does.
        near: Other rows that share a stretch of sequence with it; see `near.NEAR_BP`.
    """

    corpus: str
    split: Split
    rows: int
    exact: int
    reverse_complement: int
    near: int

    @property
    def read(self) -> int:
        """Rows that stand in the corpus whole, on either strand."""
        return self.exact + self.reverse_complement


def exposures(
    name: str, corpus: Corpus, tasks: Mapping[str, Task]
) -> dict[str, tuple[Exposure, ...]]:
    """Look for every row of some tasks in what a corpus trains on, reading it once.

    Args:
        name: What people call the corpus.
        corpus: The corpus.
        tasks: The tasks, by name.

    Raises:
        CorruptArtefactError: a part of the corpus is damaged.
    """
    books = {
        (n, split): _Book.of(task.rows(split)) for n, task in tasks.items() for split in SPLITS
    }
    every = (s for t in tasks.values() for split in SPLITS for s in t.rows(split).sequences)
    longest = max(map(len, every), default=0)
    for text in stretches(_pieces(corpus), longest) if books else ():
        words = words_of([text], SAMPLE)
        for book in books.values():
            book.look(text, words)
    return {n: tuple(books[n, split].exposure(name, split) for split in SPLITS) for n in tasks}


def _pieces(corpus: Corpus) -> Iterator[Piece]:
    for group in corpus.row_groups("train"):
        yield from corpus.read(group)


def stretches(pieces: Iterable[Piece], overlap_bp: int) -> Iterator[bytes]:
    """Yield the sequence of pieces, each after the end of the one before in its contig.

    Args:
        pieces: In the order of their contigs.
        overlap_bp: Bases of the piece before that come first, so that nothing of this length is
            cut in two.
    """
    at = ("", "", "", 0)
    tail = b""
    for piece in pieces:
        core = piece.sequence[: piece.bases]
        where = (piece.species, piece.assembly, piece.contig, piece.start)
        before = tail if where == at else b""
        yield before + piece.sequence
        at = (*where[:3], piece.start + piece.bases)
        tail = (before + core)[-overlap_bp:]


class _Book:
    """The rows of one split and what was found of them so far."""

    def __init__(self, rows: Rows, words: Words, anchors: Mapping[int, list[int]]) -> None:
        self._rows = rows
        self._words = words
        self._known = np.unique(words.hashes)
        self._seen = np.zeros(len(self._known), dtype=np.bool_)
        # Rows that begin with the same word are found together.
        self._anchors = anchors
        self._anchor_hashes = np.array(sorted(anchors), dtype=np.uint64)
        first = np.unique(words.rows, return_index=True)
        self._offsets = dict(zip(first[0].tolist(), words.starts[first[1]].tolist(), strict=True))
        self._exact: set[int] = set()
        self._reverse: set[int] = set()

    @classmethod
    def of(cls, rows: Rows) -> _Book:
        """Begin the book of some rows."""
        words = words_of(rows.sequences, SAMPLE)
        anchors: dict[int, list[int]] = {}
        found, first = np.unique(words.rows, return_index=True)
        for row, place in zip(found.tolist(), first.tolist(), strict=True):
            anchors.setdefault(int(words.hashes[place]), []).append(row)
        return cls(rows, words, anchors)

    def look(self, text: bytes, words: Words) -> None:
        """Take in one stretch of the corpus, and its words."""
        self._seen |= found_in(self._known, np.unique(words.hashes))
        for place in np.flatnonzero(found_in(words.hashes, self._anchor_hashes)).tolist():
            start = int(words.starts[place])
            for row in self._anchors[int(words.hashes[place])]:
                self._compare(text, start, row)

    def _compare(self, text: bytes, start: int, row: int) -> None:
        """Compare a row with the corpus where its anchor stands, on both strands."""
        if row in self._exact:
            return
        sequence, offset = self._rows.sequences[row], self._offsets[row]
        if _stands(text, start - offset, sequence):
            self._exact.add(row)
        elif _stands(text, start - (len(sequence) - offset - WORD_BP), other_strand(sequence)):
            self._reverse.add(row)

    def exposure(self, corpus: str, split: Split) -> Exposure:
        """Return what was found."""
        shared = self._seen[np.searchsorted(self._known, self._words.hashes)]
        near: NDArray[np.bool_] = are_near(self._words, shared, SAMPLE)
        whole = self._exact | self._reverse
        near[sorted(whole)] = False
        return Exposure(
            corpus=corpus,
            split=split,
            rows=len(self._rows),
            exact=len(self._exact),
            reverse_complement=len(self._reverse - self._exact),
            near=int(near.sum()),
        )


def _stands(text: bytes, start: int, sequence: bytes) -> bool:
    return start >= 0 and text[start : start + len(sequence)] == sequence
