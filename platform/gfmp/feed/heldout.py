"""Held-out windows with every span hidden, for scoring tokens and bases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.assemble import assemble
from gfmp.feed.batch import TokenBatch
from gfmp.feed.draws import Purpose
from gfmp.feed.fixed import FixedWindows, Stream
from gfmp.feed.hidden import expected_hidden_bases, hidden_bases
from gfmp.feed.masker import Masker
from gfmp.feed.windows import SPECIALS_PER_ROW
from gfmp.genome.corpus import Corpus
from gfmp.genome.splits import Split
from gfmp.plan.values import FeedSettings
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.tokenizer import Tokenizer

VALID_SPLIT: Split = "valid"
_DEVIATIONS = 5.0
# N, contigs shorter than the law's windows and [UNK] make real windows hide less than the law.
_MARGIN = 1.1


@dataclass(frozen=True)
class HeldOutBatch:
    """B held-out windows of one vocabulary; M target tokens, N wholly hidden bases.

    Attributes:
        batch: Tokens; every target stands as [MASK], none is random or kept.
        sequences: Bases that each row's tokens cover, upper case, on the strand read.
        rows: Row of each target, shape (M,).
        starts: First base of each target in its window, 0-based, shape (M,).
        lengths: Bases of each target, shape (M,).
        hidden_rows: Row of each hidden base, shape (N,).
        hidden_bases: Its 0-based position in the window, shape (N,).
        hidden_targets: Index (below M) of the covering target whose centre is nearest, shape (N,).
        hidden_offsets: Place of the base inside that target, shape (N,).
    """

    batch: TokenBatch
    sequences: tuple[bytes, ...]
    rows: NDArray[np.int32]
    starts: NDArray[np.int32]
    lengths: NDArray[np.int32]
    hidden_rows: NDArray[np.int32]
    hidden_bases: NDArray[np.int32]
    hidden_targets: NDArray[np.int32]
    hidden_offsets: NDArray[np.int32]


class HeldOut:
    """The fixed held-out windows of every vocabulary; a function of the settings' seed.

    Args:
        settings: Seed, masking law and longest row of the run.
        corpus: Its held-out split is read.
        ensemble: The vocabularies.
        tokenizers: One per vocabulary, in ensemble order.
        split: Which split is read.

    Raises:
        DataError: the split is empty.
    """

    def __init__(
        self,
        settings: FeedSettings,
        corpus: Corpus,
        ensemble: Ensemble,
        tokenizers: Sequence[Tokenizer],
        split: Split = VALID_SPLIT,
    ) -> None:
        self._settings = settings
        self._vocabularies = ensemble.vocabularies
        stream = Stream(split, Purpose.HELD_OUT_WINDOW)
        self._windows = FixedWindows(settings, corpus, ensemble, tokenizers, stream)
        everything = {"mask_fraction": 1.0, "random_fraction": 0.0}
        masking = settings.masking.model_copy(update=everything)
        self._masker = Masker(masking, ensemble, settings.seed, Purpose.HELD_OUT_MASK)

    def batch(self, vocabulary: int, first: int, count: int) -> HeldOutBatch:
        """Return the windows first..first+count-1 of a vocabulary.

        What a window holds does not depend on the others asked for.

        Raises:
            CorruptArtefactError: a shard no longer matches what was written.
        """
        sequences, content = self._windows.read(vocabulary, first, count)
        masked = self._masker.mask(content)
        bases = hidden_bases(content, masked.targets)
        starts, ends = content.starts[masked.targets], content.ends[masked.targets]
        return HeldOutBatch(
            batch=assemble(0, content, masked, self._windows.encoder).whole,
            sequences=tuple(sequences),
            rows=content.rows[masked.targets].astype(np.int32),
            starts=starts,
            lengths=ends - starts,
            hidden_rows=bases.rows,
            hidden_bases=bases.bases,
            hidden_targets=bases.targets,
            hidden_offsets=bases.offsets,
        )

    def windows_for(self, vocabulary: int, hidden_bases: int) -> int:
        """Return how many windows hold at least `hidden_bases` hidden bases, by the laws.

        The mean comes from the length and masking laws; on top of it come a tenth for unknown
        and missing bases and five standard deviations, taking the deviation of a window as its
        mean.
        """
        most = self._settings.max_tokens - SPECIALS_PER_ROW
        mean = expected_hidden_bases(self._vocabularies[vocabulary], self._settings.masking, most)
        assert mean > 0, "a vocabulary's spans hide bases"
        # n windows hold n * mean - deviations * sqrt(n) * mean; solved for sqrt(n).
        wanted = _MARGIN * hidden_bases / mean
        root = (_DEVIATIONS + math.sqrt(_DEVIATIONS**2 + 4.0 * wanted)) / 2.0
        return math.ceil(root**2)
