"""Bases to rows of ensemble ids, cut at a token border where a row would be too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfmp.feed.windows import SPECIALS_PER_ROW
from gfmp.vocabulary.ensemble import Ensemble
from gfmp.vocabulary.tokenizer import TokenIds, Tokenizer, encode_ids
from gfmp.vocabulary.vocabulary import CLS, SEP

_UINT16_ROWS = 2**16


@dataclass(frozen=True)
class TokenRows:
    """The tokens of B rows, one row after another, without special tokens; C tokens.

    Attributes:
        ids: Ensemble ids before masking, uint16 where the ensemble fits, shape (C,).
        offsets: Row b holds the tokens offsets[b]:offsets[b + 1], shape (B+1,).
        vocabulary: Index of each row's vocabulary in the ensemble, shape (B,).
        samples: Index that names each row in its stream, shape (B,).
    """

    ids: NDArray[np.integer]
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


@dataclass(frozen=True)
class Content(TokenRows):
    """Tokens with the bases each stands for.

    Attributes:
        starts: First base of each token in its window, shape (C,).
        ends: One past its last base (half-open), shape (C,).
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]


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
        parts, found = [], []
        for v, rows in self._rows_by_vocabulary(vocabulary, sequences):
            encoded = self._tokenizers[v].encode([sequences[row] for row in rows])
            parts.append(_Part(rows, TokenIds(self._tables[v][encoded.ids], encoded.cu_tokens)))
            found.append(encoded)
        joined = self._joined(parts, vocabulary, samples)
        size = len(joined.ids)
        starts, ends = np.empty(size, np.int32), np.empty(size, np.int32)
        for part, encoded in zip(parts, found, strict=True):
            source = ranges(encoded.cu_tokens[:-1], joined.lengths[part.rows])
            target = ranges(joined.offsets[part.rows], joined.lengths[part.rows])
            starts[target] = encoded.starts[source]
            ends[target] = encoded.ends[source]
        return Content(joined.ids, joined.offsets, vocabulary, samples, starts, ends)

    def encode_ids(
        self,
        sequences: Sequence[bytes],
        vocabulary: NDArray[np.int16],
        samples: NDArray[np.int64],
    ) -> TokenRows:
        """Encode as `encode` does, without the bases of tokens: all that training needs."""
        parts = [
            _Part(
                rows,
                encode_ids(self._tokenizers[v], [sequences[row] for row in rows], self._tables[v]),
            )
            for v, rows in self._rows_by_vocabulary(vocabulary, sequences)
        ]
        return self._joined(parts, vocabulary, samples)

    def packed(self, content: TokenRows, ids: NDArray[np.integer]) -> NDArray[np.integer]:
        """Return `ids` (C,) laid out as [CLS] [PROMPT] tokens [SEP] per row, shape (C + 3B,)."""
        num_rows = len(content.samples)
        packed = np.empty(len(ids) + SPECIALS_PER_ROW * num_rows, dtype=self.dtype)
        first = content.offsets[:-1] + SPECIALS_PER_ROW * np.arange(num_rows)
        packed[first] = CLS
        packed[first + 1] = self._prompts[content.vocabulary]
        packed[first + content.lengths + 2] = SEP
        packed[packed_positions(np.arange(len(ids)), content.rows)] = ids
        return packed

    def prompts(self, vocabulary: NDArray[np.int16]) -> NDArray[np.integer]:
        """Return the prompt of rows of the given vocabularies, shape (B,)."""
        return self._prompts[vocabulary]

    def _rows_by_vocabulary(
        self, vocabulary: NDArray[np.int16], sequences: Sequence[bytes]
    ) -> Iterator[tuple[int, list[int]]]:
        """Yield each vocabulary that is there with its rows, but those too short for it."""
        for v in np.unique(vocabulary).tolist():
            shortest = self._tokenizers[v].vocabulary.shortest_bp
            rows = np.flatnonzero(vocabulary == v).tolist()
            yield v, [row for row in rows if len(sequences[row]) >= shortest]

    def _joined(
        self,
        parts: Sequence[_Part],
        vocabulary: NDArray[np.int16],
        samples: NDArray[np.int64],
    ) -> TokenRows:
        lengths = np.zeros(len(samples), dtype=np.int64)
        for part in parts:
            lengths[part.rows] = np.minimum(np.diff(part.found.cu_tokens), self._most)
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        ids = np.empty(offsets[-1], dtype=self.dtype)
        begins, sizes = offsets.tolist(), lengths.tolist()
        for part in parts:
            source = part.found.ids
            for row, start in zip(part.rows, part.found.cu_tokens.tolist(), strict=False):
                ids[begins[row] : begins[row + 1]] = source[start : start + sizes[row]]
        return TokenRows(ids, offsets, vocabulary, samples)


@dataclass(frozen=True)
class _Part:
    """The rows of one vocabulary and their tokens, those beyond the longest row too."""

    rows: list[int]
    found: TokenIds


def packed_positions(positions: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where content tokens stand in the packed ids: two specials lead each row."""
    return positions + SPECIALS_PER_ROW * rows + (SPECIALS_PER_ROW - 1)
