"""WordPieces of DNA, read by the longest word that begins at each base: `wordpiece4096`.

WordPiece (Schuster & Nakajima 2012) reads a text left to right and takes the longest word it
knows (MaxMatch). The trainer of Hugging Face `tokenizers` chooses WordPieces as BPE does, by the
frequency of pairs, so `wordpieceSIZE` has the words of `bpeSIZE` on the same sample and only reads
them otherwise; in an ensemble the two share every row. Words carry no mark of continuation (`##`),
for DNA has no word boundaries and a word has one row whoever uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import VocabularyError
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.stock import UNKNOWN_LETTER, Stock
from gfmp.vocabulary.tokenizer import Encoded, Tokenizer, join_words, pack, tiled
from gfmp.vocabulary.vocabulary import BASES, FIRST_WORD, Vocabulary
from tokenizer_registry._bpe_training import train
from tokenizer_registry._joined import Joined
from tokenizer_registry._learnt import (
    SizedFamily,
    defaults,
    draft,
    measurable,
    measured,
    size_of,
    training_pieces,
)
from tokenizer_registry._longest_match import Matcher


@dataclass(frozen=True)
class WordpieceTokenizer:
    """Encodes by the longest word that begins at each base, left to right."""

    vocabulary: Vocabulary

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode sequences; see `gfmp.vocabulary.tokenizer.Tokenizer`."""
        packed = pack(sequences, self.vocabulary.shortest_bp)
        joined = Joined.of(packed)
        begins = self._matcher.begins(joined.codes)
        lengths = np.diff(begins, append=len(joined.codes))
        spoken = ~joined.seams[begins]
        ids = self._matcher.ids(joined.codes, begins[spoken], lengths[spoken])
        return tiled(ids, packed, self.vocabulary)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Decode the tokens of one sequence."""
        return join_words(self.vocabulary, ids)

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self.vocabulary, shortest_bp=2)


class WordpieceFamily(SizedFamily):
    """Words learnt by the frequency of pairs and read by the longest match."""

    name = "wordpiece"

    def build(self, recipe: Recipe, sample: Sequence[bytes]) -> Vocabulary:
        """Learn the words on at most `recipe.sample_bp` bases of the sample.

        Raises:
            SettingError: a setting is unknown or out of range.
            VocabularyError: the sample is too poor.
        """
        size = size_of(recipe)
        pieces = training_pieces(recipe, sample)
        words = train(pieces, size - FIRST_WORD, recipe.name).words
        vocabulary = draft(recipe.filled(defaults(size)), words, {})
        return measured(WordpieceTokenizer(vocabulary), measurable(pieces))

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """Return the tokenizer of a vocabulary of this family.

        Raises:
            VocabularyError: a base is no word of it.
        """
        for base in BASES:
            if base not in vocabulary.words:
                raise VocabularyError(
                    f"the base {base!r} is no word",
                    where=f"vocabulary {vocabulary.name!r}",
                    why="the longest match needs a word for every base",
                    fix="build the vocabulary again",
                )
        return WordpieceTokenizer(vocabulary)

    def stock(self, vocabulary: Vocabulary) -> Stock:
        """Return how the library `tokenizers` reads as this family does."""
        return Stock("WordPiece", (UNKNOWN_LETTER,))


FAMILIES = (WordpieceFamily(),)
