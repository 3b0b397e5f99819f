"""What a trained model has to beat: token frequencies and Markov models of the training split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.unigram import training_windows, unigram_counts
from gfmp.genome.corpus import Corpus
from gfmp.genome.markov import MarkovModel
from gfmp.plan.values import FeedSettings
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.registry import FamilyRegistry
from gfmp.vocabulary.vocabulary import FIRST_WORD

UNIGRAM_WINDOWS = 2048
ORDERS = (0, 5)


@dataclass(frozen=True)
class Baselines:
    """Fitted on training data, scored on the same held-out targets and bases as the model.

    Attributes:
        unigram_nats: Per vocabulary the nats of each ensemble row; NaN for rows it never
            predicts; shape (vocabularies, V).
        markov: Models of order 0 and 5.
    """

    unigram_nats: NDArray[np.float64]
    markov: tuple[MarkovModel, ...]

    @classmethod
    def fit(cls, settings: FeedSettings, corpus: Corpus, ensemble: Ensemble) -> Baselines:
        """Fit both kinds on the train split.

        Raises:
            CorruptArtefactError: a shard no longer matches what was written.
        """
        families = FamilyRegistry.discover()
        tokenizers = [families.tokenizer(v) for v in ensemble.vocabularies]
        windows = training_windows(settings, corpus, ensemble, tokenizers)
        nats = np.full((len(ensemble.vocabularies), ensemble.size), np.nan)
        for index in range(len(ensemble.vocabularies)):
            counts = unigram_counts(windows, index, UNIGRAM_WINDOWS)[FIRST_WORD:]
            nats[index, ensemble.word_rows(index)] = unigram_nats(counts)
        return cls(nats, tuple(MarkovModel.fit(corpus, order) for order in ORDERS))


def unigram_nats(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return -ln of each word's probability with add-one smoothing, shape of `counts`."""
    smoothed = counts.astype(np.float64) + 1.0
    return -np.log(smoothed / smoothed.sum())
