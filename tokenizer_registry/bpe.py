"""Byte-pair words learnt from DNA: `bpe4096` has 4,096 ids, specials included (Ye et al. A.1.2)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gfmp.errors import VocabularyError
from gfmp.vocabulary.family import Recipe, Setting
from gfmp.vocabulary.fields import Fields, json_place
from gfmp.vocabulary.tokenizer import Tokenizer
from gfmp.vocabulary.vocabulary import BASES, FIRST_WORD, Vocabulary
from tokenizer_registry._bpe_import import read_tokenizer_json
from tokenizer_registry._bpe_tokenizer import BpeTokenizer
from tokenizer_registry._bpe_training import CHUNK_BP, Merges, chunks, train

MIN_SIZE = FIRST_WORD + len(BASES) + 1
MAX_SIZE = 65_536
SAMPLE_BP = 8_000_000
MIN_SAMPLE_BP = 1_000
_MEASURED_BP = 1_000_000
_NAME = re.compile(r"bpe([1-9]\d{0,8})")
# Ye et al., A.1.3: windows of 70-2300 bases for 4,096 ids, half of them of 2,300. The longest
# grows with the length of a word, which follows the logarithm of their number.
_MIN_BP, _MAX_BP_OF_4096, _FULL = 70, 2_300, 0.5


def _defaults(size: int) -> dict[str, Setting]:
    words_bp = math.log(size - FIRST_WORD)
    return {
        "size": size,
        "mask_span_tokens": 1,
        "window_min_bp": _MIN_BP,
        "window_max_bp": int(_MAX_BP_OF_4096 * words_bp / math.log(4096 - FIRST_WORD)),
        "window_full_fraction": _FULL,
    }


class BpeFamily:
    """Words learnt by joining the most frequent neighbours again and again.

    Settings: `size`, the number of ids, the five specials included.
    """

    name = "bpe"
    needs_corpus = True

    def recipe(self, name: str) -> Recipe | None:
        """Return the recipe of `bpeSIZE`; None for other names.

        Raises:
            VocabularyError: the size is out of range.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        size = int(match[1])
        recipe = Recipe(name, self.name, {"size": size}, sample_bp=SAMPLE_BP)
        return recipe.filled(_defaults(self.size_bounds(recipe)[0]))

    def build(self, recipe: Recipe, sample: Sequence[bytes]) -> Vocabulary:
        """Learn the words on at most `recipe.sample_bp` bases of the sample.

        Raises:
            VocabularyError: a setting is unknown or out of range, or the sample is too poor.
        """
        size, _ = self.size_bounds(recipe)
        full = recipe.filled(_defaults(size))
        if recipe.sample_bp < MIN_SAMPLE_BP:
            raise VocabularyError(
                f"sample_bp is {recipe.sample_bp}",
                where=f"recipe {recipe.name!r}",
                why=f"words are learnt from at least {MIN_SAMPLE_BP:,} bases",
                fix=f"set sample_bp, for example to {SAMPLE_BP}",
            )
        pieces = chunks(sample, recipe.sample_bp, recipe.seed)
        learnt = train(pieces, size - FIRST_WORD, recipe.name)
        measured = [p.encode("ascii") for p in pieces[: _MEASURED_BP // CHUNK_BP]]
        return self._vocabulary(full, learnt, measured)

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

    def size_bounds(self, recipe: Recipe) -> tuple[int, int]:
        """Return the number of ids twice: training that ends early is an error."""
        size = recipe.integer("size", MIN_SIZE, MAX_SIZE)
        return size, size

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
        recipe = Recipe(name, self.name, _defaults(FIRST_WORD + len(learnt.words)))
        letters = np.frombuffer(BASES.encode("ascii"), dtype=np.uint8)
        drawn = np.random.default_rng(0).integers(0, len(letters), (100, CHUNK_BP))
        return self._vocabulary(recipe, learnt, [row.tobytes() for row in letters[drawn]])

    def _vocabulary(self, full: Recipe, learnt: Merges, typical: Sequence[bytes]) -> Vocabulary:
        draft = Vocabulary(
            name=full.name,
            family=self.name,
            words=learnt.words,
            stride_bp=0,
            mask_span_tokens=full.mask_span(),
            window=full.window(shortest_bp=1),
            shortest_bp=1,
            bp_per_token=1.0,
            payload={"merges": list(learnt.merges)},
        )
        encoded = BpeTokenizer(draft, learnt.merges).encode(typical)
        bases = sum(map(len, typical))
        return replace(draft, bp_per_token=round(bases / len(encoded.ids), 4))


FAMILIES = (BpeFamily(),)
