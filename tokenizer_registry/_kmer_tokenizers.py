"""The two ways of reading k-mers: windows that overlap, or one after another."""

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
    TokenIds,
    is_word,
    join_words,
    offsets_of,
    pack,
    speaking_ids,
    tiled,
)
from gfmp.vocabulary.vocabulary import FIRST_WORD, UNK, Vocabulary
from tokenizer_registry._kmer_codes import window_any, window_codes, word_code
from tokenizer_registry._kmer_windows import WindowNames, window_ids


def single_ids(vocabulary: Vocabulary) -> NDArray[np.int32]:
    """Return base code -> local id, [UNK] for any other letter; shape (5,)."""
    return np.append(word_ids(vocabulary, 1), np.int32(UNK)).astype(np.int32)


def word_ids(vocabulary: Vocabulary, length_bp: int) -> NDArray[np.int32]:
    """Return base-4 code -> local id of the words of one length, [UNK] where there is none."""
    table = np.full(4**length_bp, UNK, dtype=np.int32)
    for local, word in enumerate(vocabulary.words, start=FIRST_WORD):
        if len(word) == length_bp:
            table[word_code(word)] = local
    return table


@dataclass(frozen=True)
class OverlappingTokenizer:
    """Encodes windows of k bases, one stride apart; a window with another letter is [UNK].

    Each base behind the last whole window is a token of its own; at a stride of 1 there is none.
    """

    vocabulary: Vocabulary

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode sequences; see `gfmp.vocabulary.tokenizer.Tokenizer`."""
        if self.vocabulary.stride_bp > 1:
            return self._encode_apart(sequences)
        local = np.arange(self.vocabulary.size, dtype=np.min_scalar_type(self.vocabulary.size))
        found = self.encode_ids(sequences, local)
        cu_tokens = found.cu_tokens
        starts = np.arange(cu_tokens[-1]) - np.repeat(cu_tokens[:-1], np.diff(cu_tokens))
        starts = starts.astype(np.int32)
        ends = starts + np.int32(self.vocabulary.word_bp)
        return Encoded(found.ids.astype(np.int32), starts, ends, cu_tokens)

    def encode_ids(self, sequences: Sequence[bytes], table: NDArray[np.integer]) -> TokenIds:
        """Encode without places; see `gfmp.vocabulary.tokenizer.encode_ids`."""
        if self.vocabulary.stride_bp > 1:
            encoded = self._encode_apart(sequences)
            return TokenIds(table[encoded.ids], encoded.cu_tokens)
        offsets = offsets_of(sequences, self.vocabulary.shortest_bp)
        return window_ids(sequences, offsets, WindowNames(table[self._places], table[UNK]))

    def _encode_apart(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode windows more than a base apart."""
        packed = pack(sequences, self.vocabulary.shortest_bp)
        lengths = np.diff(packed.offsets)
        k, stride = self.vocabulary.word_bp, self.vocabulary.stride_bp
        windows = np.maximum(0, (lengths - k) // stride + 1)
        covered = np.where(windows > 0, (windows - 1) * stride + k, 0)
        counts = windows + (lengths - covered)
        cu_tokens = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        nth = np.arange(int(cu_tokens[-1])) - np.repeat(cu_tokens[:-1], counts)
        whole = nth < np.repeat(windows, counts)
        starts = np.where(whole, nth * stride, nth + np.repeat(covered - windows, counts))
        flat = starts + np.repeat(packed.offsets[:-1], counts)
        ids = self._single_table[packed.codes[flat]]
        ids[whole] = self._window_ids(packed)[flat[whole]]
        ends = starts + np.where(whole, k, 1)
        return Encoded(ids, starts.astype(np.int32), ends.astype(np.int32), cu_tokens)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Decode the tokens of one sequence; N where only unknown windows cover a base.

        At a stride above 1 an [UNK] before the first single base is taken for a whole window;
        ids do not say whether it was one letter behind the last.
        """
        spoken = speaking_ids(self.vocabulary, ids)
        if not len(spoken):
            return b""
        k, stride = self.vocabulary.word_bp, self.vocabulary.stride_bp
        single = is_word(spoken) & (self.vocabulary.token_bp[spoken] == 1)
        windows = int(np.argmax(single)) if single.any() else len(spoken)
        covered = (windows - 1) * stride + k if windows else 0
        letters = np.full(covered + len(spoken) - windows, ord("N"), dtype=np.uint8)
        known = np.flatnonzero(is_word(spoken[:windows]))
        places = (known * stride)[:, None] + np.arange(k)
        letters[places] = self._spelling[spoken[known]]
        rest = np.flatnonzero(is_word(spoken[windows:]))
        letters[covered + rest] = self._spelling[spoken[windows + rest], 0]
        return letters.tobytes()

    def _window_ids(self, packed: Packed) -> NDArray[np.int32]:
        # Windows across the seam of two sequences are computed and never asked for.
        k = self.vocabulary.word_bp
        ids = self._table[window_codes(packed.codes & np.uint8(3), k)]
        ids[window_any(packed.codes == OTHER_CODE, k)] = UNK
        return ids

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        # Looked up once per call: numpy converts any other type first, which takes longer.
        return self._table.astype(np.intp)

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        return word_ids(self.vocabulary, self.vocabulary.word_bp)

    @cached_property
    def _single_table(self) -> NDArray[np.int32]:
        return single_ids(self.vocabulary)

    @cached_property
    def _spelling(self) -> NDArray[np.uint8]:
        width = self.vocabulary.word_bp
        words = [b""] * FIRST_WORD + [w.encode("ascii") for w in self.vocabulary.words]
        joined = b"".join(word.ljust(width, b"N") for word in words)
        return np.frombuffer(joined, dtype=np.uint8).reshape(-1, width)


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
        return word_ids(self.vocabulary, self.k)

    @cached_property
    def _single_table(self) -> NDArray[np.int32]:
        return single_ids(self.vocabulary)
