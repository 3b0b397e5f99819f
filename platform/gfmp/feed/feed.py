"""The training stream: from (settings, corpus, ensemble) to the token batches of any step."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np

from gfmp.errors import UsageError
from gfmp.feed.assemble import assemble
from gfmp.feed.batch import TokenBatch
from gfmp.feed.content import RowEncoder
from gfmp.feed.cutter import Cutter
from gfmp.feed.dealer import deal_rank
from gfmp.feed.draws import Purpose, contiguous_words
from gfmp.feed.masker import Masker
from gfmp.feed.schedule import Schedule, group_bases
from gfmp.feed.spans import RowSpans
from gfmp.feed.windows import WORDS_PER_WINDOW, Mixture, Windows, places
from gfmp.genome.corpus import Corpus
from gfmp.genome.splits import Split
from gfmp.plan.values import FeedSettings
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.tokenizer import Tokenizer

TRAIN_SPLIT: Split = "train"


class Feed:
    """Every token batch of a training run, by step; no state but caches.

    Step s holds the samples s*G..(s+1)*G - 1 of one endless stream in which epochs follow each
    other without a gap. What a sample holds depends on (seed, sample index, corpus, ensemble,
    weights) alone, so any rank, world size or accumulation shows the same global batch, and a
    resumed run needs no position but its step.

    Each process opens its own. It keeps `buffer_row_groups` decoded row groups in memory.

    Args:
        settings: What decides the tokens of a step.
        corpus: Its train split is read.
        ensemble: The vocabularies, in the order of the settings' weights.
        tokenizers: One per vocabulary, in the same order.

    Raises:
        DataError: the train split is empty.
        SpecError: the shuffling buffer does not fit in memory.
    """

    def __init__(
        self,
        settings: FeedSettings,
        corpus: Corpus,
        ensemble: Ensemble,
        tokenizers: Sequence[Tokenizer],
    ) -> None:
        groups = corpus.row_groups(TRAIN_SPLIT)
        self._settings = settings
        self._bases = group_bases(groups, TRAIN_SPLIT)
        self._mixture = Mixture(settings, ensemble.vocabularies)
        self._schedule = Schedule(
            settings.seed, self._bases, self._mixture.mean_window_bp, settings.buffer_row_groups
        )
        self._cutter = Cutter(corpus, groups, settings.buffer_row_groups)
        self._encoder = RowEncoder(ensemble, tokenizers, settings.max_tokens)
        spans = RowSpans.of(settings, ensemble.vocabularies)
        self._masker = Masker(settings.masking, ensemble, settings.seed, spans=spans)

    def under(self, weights: Sequence[float]) -> Feed:
        """Return this feed with other weights of the vocabularies; the two share their caches.

        The order of the row groups, and so where each sample is read, stays that of the
        settings' weights: only the vocabulary and length of a sample change.
        """
        other = copy(self)
        other._mixture = self._mixture.under(weights)
        return other

    @property
    def samples_per_epoch(self) -> int:
        """Windows after which every row group was visited once."""
        return self._schedule.samples_per_epoch

    def windows(self, first: int, count: int) -> Windows:
        """Return what the samples first..first+count-1 read; nothing is read yet."""
        visits = self._schedule.visits(first, count)
        words = contiguous_words(
            self._settings.seed, Purpose.WINDOW, first, (count, WORDS_PER_WINDOW)
        )
        vocabulary = self._mixture.vocabularies(words)
        lengths_bp = self._mixture.lengths_bp(words, vocabulary)
        return Windows(
            samples=np.arange(first, first + count),
            buffers=visits.buffers,
            groups=visits.groups,
            bases=places(words, self._bases[visits.groups]),
            lengths_bp=lengths_bp,
            reverse=self._mixture.reverse(words),
            vocabulary=vocabulary,
            expected_tokens=self._mixture.expected_tokens(vocabulary, lengths_bp),
        )

    def step(self, step: int, rank: int, world: int, accumulation: int) -> tuple[TokenBatch, ...]:
        """Return the `accumulation` micro-batches of one rank; only its own rows are read.

        Raises:
            UsageError: step or rank is out of range, or a micro-batch would have no row.
            CorruptArtefactError: a shard no longer matches what was written.
        """
        if step < 0:
            raise UsageError(f"step {step}", why="steps start at 0", fix="pass a step of the run")
        num_rows = self._settings.global_batch_sequences
        windows = self.windows(step * num_rows, num_rows)
        rows, micros = deal_rank(windows.expected_tokens, windows.groups, rank, world, accumulation)
        own = windows.take(rows)
        content = self._encoder.encode_ids(self._cutter.cut(own), own.vocabulary, own.samples)
        assembled = assemble(step, content, self._masker.mask(content), self._encoder)
        return tuple(assembled.split(micros, accumulation))
