"""How many tokens a masked span of each row has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.content import TokenRows
from gfmp.feed.draws import Purpose, below, ragged_words
from gfmp.plan.values import FeedSettings, SpanLaw
from gfmp.vocabulary.vocabulary import Vocabulary


class RowSpans:
    """The span of a row: a function of its vocabulary and, in a curriculum, of its sample.

    The sample index says which step a row belongs to and so its stage; the choice within a stage
    is drawn from a stream of its own. So no draw of the masker moves, and a resumed run or other
    ranks see the same spans.

    Args:
        laws: One per vocabulary, in ensemble order.
        rows_per_step: Rows of a global batch.
        seed: Run seed.
    """

    def __init__(self, laws: Sequence[SpanLaw], rows_per_step: int, seed: int) -> None:
        self._seed = seed
        self._rows_per_step = rows_per_step
        self._counts = np.array([len(law.tokens) for law in laws], dtype=np.int64)
        self._curriculum = bool((self._counts > 1).any())
        self._stage_steps = np.array([law.stage_steps for law in laws], dtype=np.int64)
        self._tokens = np.zeros((len(laws), int(self._counts.max())), dtype=np.int64)
        for vocabulary, law in enumerate(laws):
            self._tokens[vocabulary, : len(law.tokens)] = law.tokens

    @classmethod
    def registered(cls, vocabularies: Sequence[Vocabulary]) -> RowSpans:
        """Give every row the span its vocabulary was registered with."""
        laws = [SpanLaw((vocabulary.mask_span_tokens,), 1) for vocabulary in vocabularies]
        return cls(laws, 1, 0)

    @classmethod
    def of(cls, settings: FeedSettings, vocabularies: Sequence[Vocabulary]) -> RowSpans:
        """Give training rows the spans of a run."""
        if not settings.spans:
            return cls.registered(vocabularies)
        assert len(settings.spans) == len(vocabularies), "one law of spans per vocabulary"
        return cls(settings.spans, settings.global_batch_sequences, settings.seed)

    def tokens(self, content: TokenRows) -> NDArray[np.int64]:
        """Return the tokens of a span in each row, shape (B,)."""
        vocabulary = content.vocabulary
        drawn = np.zeros(len(vocabulary), dtype=np.int64)
        if self._curriculum:
            growing = np.flatnonzero(self._counts[vocabulary] > 1)
            drawn[growing] = self._drawn(vocabulary[growing], content.samples[growing])
        spans: NDArray[np.int64] = self._tokens[vocabulary, drawn]
        return spans

    def _drawn(
        self, vocabulary: NDArray[np.int16], samples: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        stage = samples // self._rows_per_step // self._stage_steps[vocabulary]
        in_play = np.minimum(stage + 1, self._counts[vocabulary])
        words = ragged_words(self._seed, Purpose.SPAN, samples, np.ones_like(samples))
        return below(words, in_play)
