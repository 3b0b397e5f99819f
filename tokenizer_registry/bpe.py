"""Byte-pair words learnt from DNA (Sennrich et al. 2016): `bpe4096` has 4,096 ids, specials too.

The size counts the five specials, as in Ye et al. (Genomics-FM, A.1.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gfmp.errors import VocabularyError
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.fields import Fields, json_place
from gfmp.vocabulary.stock import Stock
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import FIRST_WORD, Vocabulary
from tokenizer_registry._bpe_import import read_tokenizer_json
from tokenizer_registry._bpe_tokenizer import BpeTokenizer
from tokenizer_registry._bpe_training import Merges, train
from tokenizer_registry._learnt import (
    SizedFamily,
    defaults,
    draft,
    measurable,
    measured,
    random_dna,
    size_of,
    training_pieces,
)


class BpeFamily(SizedFamily):
    """Words learnt by joining the most frequent neighbours again and again."""

    name = "bpe"

    def build(self, recipe: Recipe, sample: Sequence[bytes]) -> Vocabulary:
        """Learn the words on at most `recipe.sample_bp` bases of the sample.

        Raises:
            VocabularyError: a setting is unknown or out of range, or the sample is too poor.
        """
        size = size_of(recipe)
        pieces = training_pieces(recipe, sample)
        learnt = train(pieces, size - FIRST_WORD, recipe.name)
        return _vocabulary(recipe.filled(defaults(size)), learnt, measurable(pieces))

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """Return the tokenizer of a vocabulary of this family.

        Raises:
            VocabularyError: `payload["merges"]` is no list of pairs of its words.
        """
        payload = Fields(vocabulary.payload, json_place(vocabulary.name), ("payload",))
        merges, words = payload.texts("merges"), frozenset(vocabulary.words)
        for i, merge in enumerate(merges):
            parts = merge.split(" ")
            if len(parts) != 2 or not words.issuperset((*parts, "".join(parts))):
                raise VocabularyError(
                    f"the merge {merge!r} is no pair of words",
                    where=f"{vocabulary.name}:$.payload.merges[{i}]",
                    why="both halves and their joint are words",
                    fix="build the vocabulary again",
                )
        return BpeTokenizer(vocabulary, merges)

    def stock(self, vocabulary: Vocabulary) -> Stock:
        """Return how the library `tokenizers` reads as this family does."""
        payload = Fields(vocabulary.payload, json_place(vocabulary.name), ("payload",))
        return Stock("BPE", merges=payload.texts("merges"))

    def import_file(self, path: Path, name: str) -> Vocabulary | None:
        """Read a Hugging Face tokenizer.json; None unless the file ends in .json.

        Nucleotides per token are measured on seeded uniform random DNA, for the file does not
        say what it was trained on.

        Raises:
            VocabularyError: the file is broken or tokenizes in another way.
        """
        if path.suffix != ".json":
            return None
        learnt = read_tokenizer_json(path)
        recipe = Recipe(name, self.name, defaults(FIRST_WORD + len(learnt.words)))
        return _vocabulary(recipe, learnt, random_dna())


def _vocabulary(full: Recipe, learnt: Merges, typical: Sequence[bytes]) -> Vocabulary:
    vocabulary = draft(full, learnt.words, {"merges": list(learnt.merges)})
    return measured(BpeTokenizer(vocabulary, learnt.merges), typical)


FAMILIES = (BpeFamily(),)
