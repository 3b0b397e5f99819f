"""The two ways of reading k-mers: every window, or one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gfmp.vocabulary.tokenizer import (
    OTHER_CODE,
    Encoded,
    Packed,
    is_word,
    join_words,
    pack,
    speaking_ids,
    tiled,
)
from gfmp.vocabulary.vocabulary import FIRST_WORD, UNK, Vocabulary
from tokenizer_registry._kmer_codes import window_any, window_codes, word_code


def _id_table(vocabulary: Vocabulary, length_bp: int) -> NDArray[np.int32]:
    table = np.full(4**length_bp, UNK, dtype=np.int32)
    for local, word in enumerate(vocabulary.words, start=FIRST_WORD):
        if len(word) == length_bp:
            table[word_code(word)] = local
    return table


@dataclass(frozen=True)
class OverlappingTokenizer:
    """Encodes each window of k bases, one base apart; a window with another letter is [UNK]."""

    vocabulary: Vocabulary

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode sequences; see `gfmp.vocabulary.tokenizer.Tokenizer`."""
        packed = pack(sequences, self.vocabulary.shortest_bp)
        counts = np.diff(packed.offsets) - (self._k - 1)
        cu_tokens = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        # Windows across the seam of two sequences are computed and then left out.
        seams = np.repeat(np.arange(len(sequences)) * (self._k - 1), counts)
        windows = np.arange(int(cu_tokens[-1])) + seams
        starts = (windows - np.repeat(packed.offsets[:-1], counts)).astype(np.int32)
        ids = self._window_ids(packed)[windows]
        return Encoded(ids, starts, starts + np.int32(self._k), cu_tokens)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Decode the tokens of one sequence; N where only unknown windows cover a base."""
        spoken = speaking_ids(self.vocabulary, ids)
        if not len(spoken):
            return b""
        letters = np.full(len(spoken) + self._k - 1, ord("N"), dtype=np.uint8)
        known = np.flatnonzero(is_word(spoken))
        places = known[:, None] + np.arange(self._k)
        letters[places] = self._spelling[spoken[known] - FIRST_WORD]
        return letters.tobytes()

    def _window_ids(self, packed: Packed) -> NDArray[np.int32]:
        ids = self._table[window_codes(packed.codes & np.uint8(3), self._k)]
        ids[window_any(packed.codes == OTHER_CODE, self._k)] = UNK
        return ids

    @cached_property
    def _k(self) -> int:
        return len(self.vocabulary.words[0])

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        return _id_table(self.vocabulary, self._k)

    @cached_property
    def _spelling(self) -> NDArray[np.uint8]:
        joined = "".join(self.vocabulary.words).encode("ascii")
        return np.frombuffer(joined, dtype=np.uint8).reshape(-1, self._k)


@dataclass(frozen=True)
class SuccessiveTokenizer:
    """Encodes k-mers one after another and the rest of each stretch of ACGT base by base.

    A stretch ends at any other letter, which is one [UNK]; the next k-mer begins behind it
    (as Nucleotide Transformer does, Dalla-Torre et al. 2024).
    """

    vocabulary: Vocabulary
    k: int

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode sequences; see `gfmp.vocabulary.tokenizer.Tokenizer`."""
        packed = pack(sequences, self.vocabulary.shortest_bp)
        begins, whole = self._token_begins(packed)
        ids = self._single_table[packed.codes[begins]]
        words = window_codes(packed.codes & np.uint8(3), self.k)
        ids[whole] = self._table[words[begins[whole]]]
        return tiled(ids, packed, self.vocabulary)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Decode the tokens of one sequence."""
        return join_words(self.vocabulary, ids)

    def _token_begins(self, packed: Packed) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return where tokens begin in the joined sequences, and which of them are k-mers."""
        foreign = packed.codes == OTHER_CODE
        fresh = foreign.copy()
        fresh[1:] |= foreign[:-1]
        fresh[packed.offsets[:-1]] = True
        stretches = np.flatnonzero(fresh)
        lengths = np.diff(np.append(stretches, len(foreign)))
        inside = np.arange(len(foreign)) - np.repeat(stretches, lengths)
        in_words = inside < np.repeat(lengths - lengths % self.k, lengths)
        begins = np.flatnonzero(~in_words | (inside % self.k == 0))
        return begins, in_words[begins]

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        return _id_table(self.vocabulary, self.k)

    @cached_property
    def _single_table(self) -> NDArray[np.int32]:
        return np.append(_id_table(self.vocabulary, 1), np.int32(UNK)).astype(np.int32)
