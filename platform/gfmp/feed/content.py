"""Bases to rows of ensemble ids, cut at a token border where a row would be too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.windows import SPECIALS_PER_ROW
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.tokenizer import Encoded, Tokenizer
from gfmp.vocabulary.vocabulary import CLS, SEP

_UINT16_ROWS = 2**16


@dataclass(frozen=True)
class Content:
    """The tokens of B rows, one row after another, without special tokens; C tokens.

    Attributes:
        ids: Ensemble ids before masking, uint16 where the ensemble fits, shape (C,).
        starts: First base of each token in its window, shape (C,).
        ends: One past its last base (half-open), shape (C,).
        offsets: Row b holds the tokens offsets[b]:offsets[b + 1], shape (B+1,).
        vocabulary: Index of each row's vocabulary in the ensemble, shape (B,).
        samples: Index that names each row in its stream, shape (B,).
    """

    ids: NDArray[np.integer]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    offsets: NDArray[np.int64]
    vocabulary: NDArray[np.int16]
    samples: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, shape (B,)."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Row of each token, shape (C,)."""
        return np.repeat(np.arange(len(self.samples)), self.lengths)


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return start..start+length-1 of each pair, joined; shape (sum of lengths,)."""
    begins = np.cumsum(lengths) - lengths
    return np.repeat(starts - begins, lengths) + np.arange(int(lengths.sum()))


class RowEncoder:
    """Encodes windows of several vocabularies into one id space.

    Args:
        ensemble: Maps local ids to ensemble ids.
        tokenizers: One per vocabulary, in ensemble order.
        max_tokens: Longest packed row, its three special tokens included.
    """

    def __init__(
        self, ensemble: Ensemble, tokenizers: Sequence[Tokenizer], max_tokens: int
    ) -> None:
        names = [tokenizer.vocabulary.name for tokenizer in tokenizers]
        assert names == [v.name for v in ensemble.vocabularies], "a tokenizer per vocabulary"
        self._tokenizers = tuple(tokenizers)
        self._most = max_tokens - SPECIALS_PER_ROW
        self.dtype = np.dtype(np.uint16 if ensemble.size <= _UINT16_ROWS else np.int32)
        self._tables = [
            ensemble.rows(v).astype(self.dtype) for v in range(len(ensemble.vocabularies))
        ]
        self._prompts = np.array(
            [ensemble.prompt(v) for v in range(len(ensemble.vocabularies))], dtype=self.dtype
        )

    def encode(
        self,
        sequences: Sequence[bytes],
        vocabulary: NDArray[np.int16],
        samples: NDArray[np.int64],
    ) -> Content:
        """Encode each sequence with its own vocabulary; keep the left part of long ones.

        A sequence too short for its vocabulary has no tokens.
        """
        parts = [self._part(v, vocabulary, sequences) for v in np.unique(vocabulary).tolist()]
        lengths = np.zeros(len(sequences), dtype=np.int64)
        for part in parts:
            lengths[part.rows] = part.lengths
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        ids = np.empty(offsets[-1], dtype=self.dtype)
        starts, ends = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
        for part in parts:
            source = ranges(part.encoded.cu_tokens[:-1], part.lengths)
            target = ranges(offsets[part.rows], part.lengths)
            ids[target] = self._tables[part.vocabulary][part.encoded.ids[source]]
            starts[target] = part.encoded.starts[source]
            ends[target] = part.encoded.ends[source]
        return Content(ids, starts, ends, offsets, vocabulary, samples)

    def packed(self, content: Content, ids: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return `ids` (C,) laid out as [CLS] [PROMPT] tokens [SEP] per row, shape (C + 3B,)."""
        num_rows = len(content.samples)
        packed = np.empty(len(ids) + SPECIALS_PER_ROW * num_rows, dtype=self.dtype)
        first = content.offsets[:-1] + SPECIALS_PER_ROW * np.arange(num_rows)
        packed[first] = CLS
        packed[first + 1] = self._prompts[content.vocabulary]
        packed[first + content.lengths + 2] = SEP
        packed[packed_positions(np.arange(len(ids)), content.rows)] = ids
        return packed

    def _part(self, v: int, vocabulary: NDArray[np.int16], sequences: Sequence[bytes]) -> _Part:
        tokenizer = self._tokenizers[v]
        shortest = tokenizer.vocabulary.shortest_bp
        rows = [
            row
            for row in np.flatnonzero(vocabulary == v).tolist()
            if len(sequences[row]) >= shortest
        ]
        encoded = tokenizer.encode([sequences[row] for row in rows])
        lengths = np.minimum(np.diff(encoded.cu_tokens), self._most)
        return _Part(v, np.array(rows, dtype=np.int64), encoded, lengths)


@dataclass(frozen=True)
class _Part:
    """The rows of one vocabulary, their tokens and how many of each are kept."""

    vocabulary: int
    rows: NDArray[np.int64]
    encoded: Encoded
    lengths: NDArray[np.int64]


def packed_positions(positions: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where content tokens stand in the packed ids: two specials lead each row."""
    return positions + SPECIALS_PER_ROW * rows + (SPECIALS_PER_ROW - 1)
