"""Rows of two classes, the candidate regions in them, and the words that are enriched there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gfmp.inference.motif_bases import Bases, Sites, reverse_words
from gfmp.report.enrichment import log10_tail, q_values
from gfmp.spec.motifs import SearchLaw


@dataclass(frozen=True)
class Side:
    """The rows of one class.

    Attributes:
        bases: The rows.
        candidates: Bases in candidate regions, shape (C,); all of them for negatives.
    """

    bases: Bases
    candidates: NDArray[np.bool_]

    @classmethod
    def of(cls, sequences: Sequence[bytes], candidates: Sequence[NDArray[np.bool_]] = ()) -> Side:
        """Join rows; without candidates every base is one."""
        bases = Bases.of(sequences)
        flags = np.concatenate(candidates) if candidates else np.ones(len(bases.codes), dtype=bool)
        return cls(bases, flags)

    def without(self, sites: Sites, width: int) -> Side:
        """Return the rows with the bases of sites erased."""
        return replace(self, bases=self.bases.without(sites.covered(self.bases, width)))


@dataclass(frozen=True)
class Split:
    """Rows of both classes.

    Attributes:
        positives: Rows of the class that is explained.
        negatives: The others.
    """

    positives: Side
    negatives: Side


@dataclass(frozen=True)
class Words:
    """Enriched words, the most enriched first.

    Attributes:
        codes: The words as numbers.
        log10_p: Their p-values.
    """

    codes: tuple[int, ...]
    log10_p: tuple[float, ...]


def enriched_words(split: Split, law: SearchLaw) -> Words:
    """Return the words of candidate regions that are in more positive rows than chance has it.

    A row counts once for a word, wherever the word stands in it; words are tested that stand in
    the candidate regions of `min_sites` rows or more.
    """
    candidates = _row_counts(split.positives, law, inside=True)
    positives = _row_counts(split.positives, law, inside=False)
    negatives = _row_counts(split.negatives, law, inside=False)
    asked = np.flatnonzero(candidates >= law.min_sites)
    sizes = (len(split.positives.bases), len(split.negatives.bases))
    logs = log10_tail(positives[asked], positives[asked] + negatives[asked], sizes)
    called = q_values(logs) < law.fdr
    # Of equally enriched words the one that stands in more regions leads.
    order = np.lexsort((asked, -candidates[asked], logs))
    kept = [i for i in order.tolist() if called[i]]
    return Words(tuple(asked[kept].tolist()), tuple(logs[kept].tolist()))


def _row_counts(side: Side, law: SearchLaw, *, inside: bool) -> NDArray[np.int64]:
    """Return in how many rows each word is, shape (4 ** word_bp,)."""
    codes, known = words_of(side.bases, law)
    if inside:
        known = known & within(side.candidates, law.word_bp)
    num_words = 4**law.word_bp
    pairs = np.unique(side.bases.rows[known] * num_words + codes[known])
    return np.bincount(pairs % num_words, minlength=num_words)


def words_of(bases: Bases, law: SearchLaw) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the word at each base and where one begins, shape (C,); see `Bases.words`.

    With both strands a word has the lesser number of its two readings.
    """
    codes, known = bases.words(law.word_bp)
    if law.both_strands:
        codes = np.minimum(codes, reverse_words(codes, law.word_bp))
    return codes, known


def within(candidates: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Return where a window begins of whose bases more than half are candidates, shape (C,)."""
    sums = np.concatenate(([0], np.cumsum(candidates)))
    ends = np.minimum(np.arange(len(candidates)) + width, len(candidates))
    inside: NDArray[np.bool_] = 2 * (sums[ends] - sums[:-1]) > width
    return inside
