"""One token for each base: the smallest family, and the pattern to copy for a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.vocabulary.family import Recipe, Setting
from gfmp.vocabulary.stock import Stock
from gfmp.vocabulary.tokenizer import OTHER_CODE, Encoded, Tokenizer, join_words, pack, tiled
from gfmp.vocabulary.vocabulary import BASES, FIRST_WORD, UNK, Vocabulary

# 505 tokens, a prompt, [CLS] and [SEP] fit the 512 positions of Ye et al. (A.1.3).
_DEFAULTS: dict[str, Setting] = {
    "mask_span_tokens": 1,
    "window_min_bp": 70,
    "window_max_bp": 505,
    "window_full_fraction": 0.5,
}


@dataclass(frozen=True)
class NucleotideTokenizer:
    """Encodes each base as one token."""

    vocabulary: Vocabulary

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode sequences; see `gfmp.vocabulary.tokenizer.Tokenizer`."""
        packed = pack(sequences, self.vocabulary.shortest_bp)
        table = np.full(OTHER_CODE + 1, UNK, dtype=np.int32)
        for code, base in enumerate(BASES):
            table[code] = FIRST_WORD + self.vocabulary.words.index(base)
        return tiled(table[packed.codes], packed, self.vocabulary)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Decode the tokens of one sequence."""
        return join_words(self.vocabulary, ids)


class NucleotideFamily:
    """The vocabulary `nucleotide`: A, C, G and T."""

    name = "nucleotide"
    needs_corpus = False

    def recipe(self, name: str) -> Recipe | None:
        """Return the recipe of `nucleotide`; None for any other name."""
        return Recipe(name, self.name, dict(_DEFAULTS)) if name == "nucleotide" else None

    def build(self, recipe: Recipe, sample: Sequence[bytes]) -> Vocabulary:
        """Make the vocabulary; the sample is not read."""
        full = recipe.filled(_DEFAULTS)
        return Vocabulary(
            name=full.name,
            family=self.name,
            words=tuple(BASES),
            stride_bp=0,
            mask_span_tokens=full.mask_span(),
            window=full.window(shortest_bp=1),
            shortest_bp=1,
            bp_per_token=1.0,
            payload={},
        )

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """Return the tokenizer of `vocabulary`."""
        return NucleotideTokenizer(vocabulary)

    def stock(self, vocabulary: Vocabulary) -> Stock:
        """Return how the library `tokenizers` reads as this family does."""
        return Stock("BPE")

    def size_bounds(self, recipe: Recipe) -> tuple[int, int]:
        """Return the number of ids twice: it is known before the vocabulary is built."""
        size = self.build(recipe, ()).size
        return size, size

    def import_file(self, path: Path, name: str) -> Vocabulary | None:
        """Return None: four words need no file."""
        return None


FAMILIES = (NucleotideFamily(),)
