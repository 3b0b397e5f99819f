"""Codons of coding DNA in the frame that reads on longest: `codon`.

Language models of coding sequence read codons (CaLM, Outeiral & Deane 2024; CodonBERT, Li et al.
2024). They are given the frame; here each sequence is read in the one of its three frames that has
the longest stretch free of stop codons (standard genetic code), the first of equals. RNA is given
as DNA, with T for U.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import VocabularyError
from gfmp.vocabulary.family import Recipe, Setting
from gfmp.vocabulary.stock import Stock
from gfmp.vocabulary.tokenizer import (
    OTHER_CODE,
    Encoded,
    Packed,
    Tokenizer,
    join_words,
    pack,
    tiled,
)
from gfmp.vocabulary.vocabulary import BASES, FIRST_WORD, Vocabulary
from tokenizer_registry._kmer_codes import window_any, window_codes, word_code
from tokenizer_registry._kmer_tokenizers import single_ids, word_ids

CODON_BP = 3
STOPS = ("TAA", "TAG", "TGA")
_WORDS = (*map("".join, itertools.product(BASES, repeat=CODON_BP)), *BASES)
# Three masked codons hide nine bases, as fourteen overlapping 6-mers do. 503 codons, two bases
# before and two behind them, and 3 specials fit 512 tokens (Ye et al., A.1.3).
_DEFAULTS: dict[str, Setting] = {
    "mask_span_tokens": 3,
    "window_min_bp": 70,
    "window_max_bp": 503 * CODON_BP,
    "window_full_fraction": 0.5,
}


@dataclass(frozen=True)
class CodonTokenizer:
    """Encodes codons of the chosen frame, and single bases before and behind them.

    A codon with another letter is three tokens, [UNK] for that letter; the frame goes on.
    """

    vocabulary: Vocabulary

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode sequences; see `gfmp.vocabulary.tokenizer.Tokenizer`."""
        packed = pack(sequences, self.vocabulary.shortest_bp)
        words = window_codes(packed.codes & np.uint8(3), CODON_BP)
        begins, whole = self._tokens(packed, words)
        ids = self._single_table[packed.codes[begins]]
        ids[whole] = self._table[words[begins[whole]]]
        return tiled(ids, packed, self.vocabulary)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Decode the tokens of one sequence."""
        return join_words(self.vocabulary, ids)

    def _tokens(
        self, packed: Packed, words: NDArray[np.uint16]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return where tokens begin in the joined sequences, and which of them are codons."""
        frames = reading_frames(packed, words)
        counts = np.maximum(0, np.diff(packed.offsets) - frames) // CODON_BP
        codons = _codons(packed.offsets[:-1] + frames, counts)
        codons = codons[~window_any(packed.codes == OTHER_CODE, CODON_BP)[codons]]
        begins = np.ones(len(packed.codes), dtype=np.bool_)
        begins[codons + 1] = begins[codons + 2] = False
        whole = np.zeros(len(packed.codes), dtype=np.bool_)
        whole[codons] = True
        places = np.flatnonzero(begins)
        return places, whole[places]

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        return word_ids(self.vocabulary, CODON_BP)

    @cached_property
    def _single_table(self) -> NDArray[np.int32]:
        return single_ids(self.vocabulary)


def reading_frames(packed: Packed, words: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return the frame (0, 1, 2) of each sequence with the most codons in a row without a stop.

    A codon with another letter ends a row as a stop does, for it may be one.

    Args:
        packed: B sequences.
        words: Codes of all windows of three bases.

    Returns:
        Frames, shape (B,); the smaller of equals.
    """
    ending = np.isin(words, [word_code(stop) for stop in STOPS])
    ending |= window_any(packed.codes == OTHER_CODE, CODON_BP)
    rows = np.stack([_longest_rows(packed, ending, frame) for frame in range(CODON_BP)])
    return np.argmax(rows, axis=0)


def _longest_rows(packed: Packed, ending: NDArray[np.bool_], frame: int) -> NDArray[np.int64]:
    """Return the longest row of codons of each sequence in one frame, shape (B,)."""
    counts = np.maximum(0, np.diff(packed.offsets) - frame) // CODON_BP
    ends = ending[_codons(packed.offsets[:-1] + frame, counts)]
    nth = np.arange(len(ends))
    firsts = np.cumsum(counts) - counts
    # The last codon before the row: a stop, or the one before the sequence.
    before = np.where(ends, nth, np.repeat(firsts, counts) - 1)
    rows = nth - np.maximum.accumulate(before) if len(nth) else nth
    longest = np.zeros(len(counts), dtype=np.int64)
    np.maximum.at(longest, np.repeat(np.arange(len(counts)), counts), rows)
    return longest


def _codons(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first bases of `counts` codons behind each of `starts`, one after another."""
    firsts = np.cumsum(counts) - counts
    nth = np.arange(int(counts.sum())) - np.repeat(firsts, counts)
    return np.repeat(starts, counts) + CODON_BP * nth


class CodonFamily:
    """The vocabulary `codon`: 64 codons and the four bases."""

    name = "codon"
    needs_corpus = False

    def recipe(self, name: str) -> Recipe | None:
        """Return the recipe of `codon`; None for any other name."""
        return Recipe(name, self.name, dict(_DEFAULTS)) if name == "codon" else None

    def build(self, recipe: Recipe, sample: Sequence[bytes]) -> Vocabulary:
        """Make the vocabulary; the sample is not read.

        Raises:
            SettingError: a setting is unknown or out of range.
        """
        full = recipe.filled(_DEFAULTS)
        return Vocabulary(
            name=full.name,
            family=self.name,
            words=_WORDS,
            stride_bp=0,
            mask_span_tokens=full.mask_span(),
            window=full.window(shortest_bp=1),
            shortest_bp=1,
            bp_per_token=float(CODON_BP),
            payload={},
        )

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """Return the tokenizer of a vocabulary of this family.

        Raises:
            VocabularyError: its words are not the 64 codons and the four bases.
        """
        if set(vocabulary.words) != set(_WORDS):
            raise VocabularyError(
                f"it has {len(vocabulary.words)} words",
                where=f"vocabulary {vocabulary.name!r}",
                why=f"the words are the {4**CODON_BP} codons and the {len(BASES)} bases",
                fix="build the vocabulary again",
            )
        return CodonTokenizer(vocabulary)

    def stock(self, vocabulary: Vocabulary) -> Stock:
        """Return how the library `tokenizers` reads as this family does."""
        return Stock("WordLevel", spacing="codons")

    def size_bounds(self, recipe: Recipe) -> tuple[int, int]:
        """Return the number of ids twice: it is known before the vocabulary is built."""
        size = self.build(recipe, ()).size
        assert size == FIRST_WORD + len(_WORDS), "codons, bases and specials"
        return size, size

    def import_file(self, path: Path, name: str) -> Vocabulary | None:
        """Return None: the words need no file."""
        return None


FAMILIES = (CodonFamily(),)
