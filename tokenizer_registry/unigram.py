"""Words of a unigram language model of DNA (Kudo 2018): `unigram4096` has 4,096 ids.

The words are chosen so that the sample is most probable when each word is drawn alone, and a
sequence is read as its most probable segmentation. The size counts the five specials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from gfmp.errors import VocabularyError
from gfmp.vocabulary.family import Recipe
from gfmp.vocabulary.fields import Fields, json_place
from gfmp.vocabulary.stock import UNKNOWN_LETTER, Stock
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import BASES, FIRST_WORD, Vocabulary
from tokenizer_registry._lattice import LONGEST_BP
from tokenizer_registry._learnt import (
    SizedFamily,
    defaults,
    draft,
    measurable,
    measured,
    size_of,
    training_pieces,
)
from tokenizer_registry._unigram_tokenizer import UnigramTokenizer
from tokenizer_registry._unigram_training import train

# A thousand bits: no word of ten bases is that improbable.
_MAX_COST = 1_000 << 16


class UnigramFamily(SizedFamily):
    """Words of at most ten bases that make the sample most probable."""

    name = "unigram"

    def build(self, recipe: Recipe, sample: Sequence[bytes]) -> Vocabulary:
        """Learn the words on at most `recipe.sample_bp` bases of the sample.

        Raises:
            SettingError: a setting is unknown or out of range.
            VocabularyError: the sample is too poor.
        """
        size = size_of(recipe)
        pieces = training_pieces(recipe, sample)
        learnt = train(pieces, size - FIRST_WORD, recipe.name)
        payload: dict[str, object] = {"costs": list(learnt.costs)}
        vocabulary = draft(recipe.filled(defaults(size)), learnt.words, payload)
        return measured(UnigramTokenizer(vocabulary, learnt.costs), measurable(pieces))

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """Return the tokenizer of a vocabulary of this family.

        Raises:
            VocabularyError: a base is no word, a word is too long, or `payload["costs"]` is not
                one cost for each word.
        """
        payload = Fields(vocabulary.payload, json_place(vocabulary.name), ("payload",))
        costs = tuple(cost for cost in payload.items("costs") if _is_cost(cost))
        if len(costs) != len(vocabulary.words) or len(payload.items("costs")) != len(costs):
            raise _broken(payload.where("costs"), f"{len(costs)} costs")
        longest = max(vocabulary.words, key=len)
        if len(longest) > LONGEST_BP or not set(BASES) <= set(vocabulary.words):
            raise _broken(f"vocabulary {vocabulary.name!r}", f"its longest word is {longest!r}")
        return UnigramTokenizer(vocabulary, costs)

    def stock(self, vocabulary: Vocabulary) -> Stock:
        """Return how the library `tokenizers` reads as this family does."""
        payload = Fields(vocabulary.payload, json_place(vocabulary.name), ("payload",))
        costs = tuple(cost for cost in payload.items("costs") if _is_cost(cost))
        return Stock("Unigram", (UNKNOWN_LETTER,), costs=costs)


def _is_cost(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COST


def _broken(where: str, found: str) -> VocabularyError:
    return VocabularyError(
        found,
        where=where,
        why=f"it has the four bases, words of up to {LONGEST_BP} bases and a cost for each word",
        fix="build the vocabulary again",
    )


FAMILIES = (UnigramFamily(),)
