"""Exact byte-pair encoding by Hugging Face `tokenizers`, in gfmp's own local ids.

The model knows the words and [UNK] only. Text reaches it with every letter but ACGT turned into
N, which is no word, so no text can produce a special token.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tokenizers
from numpy.typing import NDArray

from gfmp.vocabulary.tokenizer import Encoded, join_words, pack, tiled, upper_dna
from gfmp.vocabulary.vocabulary import FIRST_WORD, SPECIALS, UNK, Vocabulary


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
        texts = [upper_dna(s) for s in sequences]
        results = self._model.encode_batch_fast(texts, add_special_tokens=False)
        ids = np.fromiter(itertools.chain.from_iterable(r.ids for r in results), dtype=np.int32)
        return tiled(ids, packed, self.vocabulary)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Decode the tokens of one sequence."""
        return join_words(self.vocabulary, ids)

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
