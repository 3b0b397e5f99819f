"""Exact byte-pair encoding in gfmp's own local ids: compiled where it pays, else by `tokenizers`.

Both give the same ids. The library is the reference: it encodes small batches, and everything in a
vocabulary whose merges `_bpe_tables.why_not` refuses, which is said once. Its model knows the words
and [UNK] only. Text reaches it with every letter but ACGT turned into N, which is no word, so no
text can produce a special token.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tokenizers
from numpy.typing import NDArray

from gfmp.vocabulary.tokenizer import (
    Encoded,
    Packed,
    TokenIds,
    join_words,
    pack,
    tiled,
    upper_dna,
)
from gfmp.vocabulary.vocabulary import FIRST_WORD, SPECIALS, UNK, Vocabulary
from tokenizer_registry._bpe_encoding_kernels import KERNELS
from tokenizer_registry._bpe_tables import Ranked, rank, tables, why_not


@dataclass(frozen=True)
class BpeTokenizer:
    """Encodes by applying the merges in the order they were learnt.

    Attributes:
        vocabulary: Its words.
        merges: Pairs "left right"; each half and their joint are words.
    """

    vocabulary: Vocabulary
    merges: tuple[str, ...]

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode sequences; see `gfmp.vocabulary.tokenizer.Tokenizer`."""
        packed = pack(sequences, self.vocabulary.shortest_bp)
        found = self._compiled(packed)
        ids = self._by_library(sequences) if found is None else self._local[found.ids]
        return tiled(ids, packed, self.vocabulary)

    def encode_ids(self, sequences: Sequence[bytes], table: NDArray[np.integer]) -> TokenIds:
        """Encode without places; see `gfmp.vocabulary.tokenizer.encode_ids`."""
        packed = pack(sequences, self.vocabulary.shortest_bp)
        found = self._compiled(packed)
        if found is None:
            encoded = tiled(self._by_library(sequences), packed, self.vocabulary)
            return TokenIds(table[encoded.ids], encoded.cu_tokens)
        return TokenIds(table[self._local][found.ids], found.cu_tokens)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Decode the tokens of one sequence."""
        return join_words(self.vocabulary, ids)

    def _compiled(self, packed: Packed) -> TokenIds | None:
        """Return ranks of words, or None where the library is to encode."""
        if self._why_not or (kernels := KERNELS.after(len(packed.codes))) is None:
            return None
        words = np.empty(len(packed.codes), dtype=np.uint16)
        cu_tokens = np.zeros(len(packed.offsets), dtype=np.int64)
        kernels.encode_sequences(packed.codes, packed.offsets, self._tables, words, cu_tokens)
        return TokenIds(words[: cu_tokens[-1]], cu_tokens)

    def _by_library(self, sequences: Sequence[bytes]) -> NDArray[np.int32]:
        texts = [upper_dna(s) for s in sequences]
        results = self._model.encode_batch_fast(texts, add_special_tokens=False)
        return np.fromiter(itertools.chain.from_iterable(r.ids for r in results), dtype=np.int32)

    @cached_property
    def _why_not(self) -> str:
        reason = why_not(self.merges)
        if reason:
            warnings.warn(
                f"{self.vocabulary.name!r} is encoded by the library `tokenizers`, alike but more "
                f"than ten times slower: {reason}",
                RuntimeWarning,
                stacklevel=4,
            )
        return reason

    @cached_property
    def _ranked(self) -> Ranked:
        return rank(self.merges)

    @cached_property
    def _tables(self) -> tuple[NDArray[np.generic], ...]:
        return tables(self._ranked)

    @cached_property
    def _local(self) -> NDArray[np.int32]:
        """Local id of each rank; behind them that of a letter that is no base."""
        local = {word: FIRST_WORD + i for i, word in enumerate(self.vocabulary.words)}
        return np.array([*(local[word] for word in self._ranked.words), UNK], dtype=np.int32)

    @cached_property
    def _model(self) -> tokenizers.Tokenizer:
        local = {word: FIRST_WORD + i for i, word in enumerate(self.vocabulary.words)}
        # DNA hardly ever repeats, so a cache of whole sequences only costs memory.
        return tokenizers.Tokenizer(
            tokenizers.models.BPE(
                vocab={SPECIALS[UNK]: UNK, **local},
                merges=[_halves(merge) for merge in self.merges],
                cache_capacity=0,
                unk_token=SPECIALS[UNK],
                fuse_unk=False,
            )
        )


def _halves(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right
