"""A fixed, endless list of windows of one split, the same at every step and in every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gfmp.feed.content import Content, RowEncoder
from gfmp.feed.cutter import Cutter
from gfmp.feed.draws import Purpose, contiguous_words
from gfmp.feed.schedule import group_bases
from gfmp.feed.windows import WORDS_PER_WINDOW, Mixture, Windows, places
from gfmp.genome.corpus import Corpus
from gfmp.genome.splits import Split
from gfmp.plan.values import FeedSettings
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.tokenizer import Tokenizer

# Window w of vocabulary v is sample v * 2**40 + w of its stream.
_STREAM = 1 << 40


@dataclass(frozen=True)
class Stream:
    """Which windows: of what split, and by which words."""

    split: Split
    purpose: Purpose


class FixedWindows:
    """Windows of each vocabulary, placed uniformly over all core bases of a split.

    Args:
        settings: Seed, longest row and strand law of the run.
        corpus: What is read.
        ensemble: The vocabularies.
        tokenizers: One per vocabulary, in ensemble order.
        stream: Split and purpose.

    Raises:
        DataError: the split is empty.
    """

    def __init__(
        self,
        settings: FeedSettings,
        corpus: Corpus,
        ensemble: Ensemble,
        tokenizers: Sequence[Tokenizer],
        stream: Stream,
    ) -> None:
        groups = corpus.row_groups(stream.split)
        self.ensemble = ensemble
        self._seed = settings.seed
        self._purpose = stream.purpose
        self._ends = np.cumsum(group_bases(groups, stream.split))
        self._mixture = Mixture(settings, ensemble.vocabularies)
        self._cutter = Cutter(corpus, groups, settings.buffer_row_groups)
        self.encoder = RowEncoder(ensemble, tokenizers, settings.max_tokens)

    def windows(self, vocabulary: int, first: int, count: int) -> Windows:
        """Return what the windows first..first+count-1 of a vocabulary read."""
        assert first >= 0 and first + count <= _STREAM, "windows of a vocabulary are counted"
        index = vocabulary * _STREAM + first
        words = contiguous_words(self._seed, self._purpose, index, (count, WORDS_PER_WINDOW))
        rows = np.full(count, vocabulary, dtype=np.int16)
        lengths_bp = self._mixture.lengths_bp(words, rows)
        flat = places(words, int(self._ends[-1]))
        groups = np.searchsorted(self._ends, flat, side="right")
        begins = np.concatenate(([0], self._ends[:-1]))
        return Windows(
            samples=np.arange(index, index + count),
            buffers=np.zeros(count, dtype=np.int64),
            groups=groups,
            bases=flat - begins[groups],
            lengths_bp=lengths_bp,
            reverse=self._mixture.reverse(words),
            vocabulary=rows,
            expected_tokens=self._mixture.expected_tokens(rows, lengths_bp),
        )

    def read(self, vocabulary: int, first: int, count: int) -> tuple[list[bytes], Content]:
        """Read and encode windows; the bases are those the row's tokens cover.

        Raises:
            CorruptArtefactError: a shard no longer matches what was written.
        """
        windows = self.windows(vocabulary, first, count)
        cut = self._cutter.cut(windows)
        content = self.encoder.encode(cut, windows.vocabulary, windows.samples)
        for row in range(count):
            end = int(content.offsets[row + 1])
            cut[row] = cut[row][: content.ends[end - 1]] if end > content.offsets[row] else b""
        return cut, content
