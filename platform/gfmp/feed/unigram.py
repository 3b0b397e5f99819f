"""How often each token occurs in training windows: the baseline every model has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.draws import Purpose
from gfmp.feed.feed import TRAIN_SPLIT
from gfmp.feed.fixed import FixedWindows, Stream
from gfmp.genome.corpus import Corpus
from gfmp.plan.values import FeedSettings
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.tokenizer import Tokenizer

_WINDOWS_PER_READ = 1024


def training_windows(
    settings: FeedSettings,
    corpus: Corpus,
    ensemble: Ensemble,
    tokenizers: Sequence[Tokenizer],
) -> FixedWindows:
    """Return windows placed uniformly over the train split, apart from those of any step.

    Raises:
        DataError: the train split is empty.
    """
    stream = Stream(TRAIN_SPLIT, Purpose.UNIGRAM_WINDOW)
    return FixedWindows(settings, corpus, ensemble, tokenizers, stream)


def unigram_counts(windows: FixedWindows, vocabulary: int, num_windows: int) -> NDArray[np.int64]:
    """Count unmasked tokens by LOCAL id, int64, shape (vocabulary size,).

    Args:
        windows: Training windows (see `training_windows`).
        vocabulary: Index in the ensemble.
        num_windows: How many of its windows are read.

    Raises:
        CorruptArtefactError: a shard no longer matches what was written.
    """
    rows = windows.ensemble.rows(vocabulary)
    by_row = np.zeros(windows.ensemble.size, dtype=np.int64)
    for first in range(0, num_windows, _WINDOWS_PER_READ):
        count = min(_WINDOWS_PER_READ, num_windows - first)
        _, content = windows.read(vocabulary, first, count)
        by_row += np.bincount(content.ids, minlength=len(by_row))
    return by_row[rows]
