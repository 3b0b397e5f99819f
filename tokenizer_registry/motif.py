"""Words of transcription factor binding sites from JASPAR: `jaspar_vertebrates`.

Each profile of JASPAR 2024 CORE (Rauluseviciute et al. 2024) gives the consensus of its sure core
on both strands. A sequence is searched left to right for the longest such word at each base; what
lies between is tiled with 3-mers and single bases, so that ordinary DNA is compressed too. Needs
`pip install "gfmp[motifs]"` to build; a built vocabulary carries its words.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import VocabularyError
from gfmp.vocabulary.family import Recipe, Setting
from gfmp.vocabulary.stock import Stock
from gfmp.vocabulary.tokenizer import OTHER_CODE, Encoded, Tokenizer, join_words, pack, tiled
from gfmp.vocabulary.vocabulary import BASES, FIRST_WORD, Vocabulary
from tokenizer_registry._jaspar import GROUPS, count_matrices
from tokenizer_registry._joined import Joined, tile_stretches
from tokenizer_registry._learnt import measured, random_dna
from tokenizer_registry._longest_match import Matcher
from tokenizer_registry._motifs import both_strands, core

SHORTEST_BP, LONGEST_BP = 4, 12
_MAX_FILLER = 3
_NAME = re.compile(r"jaspar_([a-z]+)")


def _defaults(groups: str) -> dict[str, Setting]:
    return {
        "groups": groups,
        "min_column_bits": 1.0,
        "shortest_bp": 5,
        "filler_k": 3,
        # Tokens have about three bases; three of them hide about nine, as fourteen 6-mers do.
        "mask_span_tokens": 3,
        "window_min_bp": 70,
        "window_max_bp": 1_500,
        "window_full_fraction": 0.5,
    }


@dataclass(frozen=True)
class MotifTokenizer:
    """Encodes motif words wherever they stand, and fillers between them.

    Attributes:
        vocabulary: Its words.
        filler_k: Bases of a filler; longer words are motifs.
    """

    vocabulary: Vocabulary
    filler_k: int

    def encode(self, sequences: Sequence[bytes]) -> Encoded:
        """Encode sequences; see `gfmp.vocabulary.tokenizer.Tokenizer`."""
        packed = pack(sequences, self.vocabulary.shortest_bp)
        joined = Joined.of(packed)
        begins = self._begins(joined.codes)
        lengths = np.diff(begins, append=len(joined.codes))
        spoken = ~joined.seams[begins]
        ids = self._matcher.ids(joined.codes, begins[spoken], lengths[spoken])
        return tiled(ids, packed, self.vocabulary)

    def decode(self, ids: NDArray[np.int32]) -> bytes:
        """Decode the tokens of one sequence."""
        return join_words(self.vocabulary, ids)

    def _begins(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        read = self._matcher.begins(codes)
        lengths = np.diff(read, append=len(codes))
        plain = np.repeat(lengths == 1, lengths) & (codes != OTHER_CODE)
        begins = tile_stretches(plain, self.filler_k)
        begins[read[~plain[read]]] = True
        return np.flatnonzero(begins)

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self.vocabulary, shortest_bp=self.filler_k + 1)


class MotifFamily:
    """Consensus words of binding sites, and fillers.

    Settings: `groups`, taxonomic groups joined by + (`insects+vertebrates`); `min_column_bits`,
    information a column of a core has at least; `shortest_bp` (4..12), bases of the shortest
    word; `filler_k` (1..3), all words of so many bases fill what lies between.
    """

    name = "motif"
    needs_corpus = False

    def recipe(self, name: str) -> Recipe | None:
        """Return the recipe of `jaspar_GROUP`; None for other names.

        Raises:
            SettingError: JASPAR has no such group.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        recipe = Recipe(name, self.name, _defaults(match[1]))
        _groups(recipe)
        return recipe

    def build(self, recipe: Recipe, sample: Sequence[bytes]) -> Vocabulary:
        """Make the vocabulary: motifs, then fillers, then bases; the sample is not read.

        Raises:
            SettingError: a setting is unknown or out of range.
            MissingInputError: the package that carries JASPAR is not installed.
            VocabularyError: no profile has a core of the length and information asked for.
        """
        full = recipe.filled(_defaults(str(recipe.settings.get("groups", ""))))
        filler_k = full.integer("filler_k", 1, _MAX_FILLER)
        column_bits = full.number("min_column_bits", 0.0, 2.0)
        shortest_bp = full.integer("shortest_bp", SHORTEST_BP, LONGEST_BP)
        window, span = full.window(shortest_bp=1), full.mask_span()
        matrices = count_matrices(_groups(full))
        cores = (core(m, column_bits, shortest_bp, LONGEST_BP) for m in matrices.values())
        motifs = both_strands(filter(None, cores))
        if not motifs:
            raise VocabularyError(
                f"none of {len(matrices):,} profiles has a core of {shortest_bp} columns",
                where=f"recipe {recipe.name!r}",
                why=f"each column of a core has at least {column_bits:g} bits",
                fix="lower min_column_bits or shortest_bp",
            )
        draft = Vocabulary(
            name=full.name,
            family=self.name,
            words=(*motifs, *_fillers(filler_k)),
            stride_bp=0,
            mask_span_tokens=span,
            window=window,
            shortest_bp=1,
            bp_per_token=1.0,
            payload={"filler_k": filler_k, "profiles": len(matrices), "jaspar": "2024 CORE"},
        )
        return measured(MotifTokenizer(draft, filler_k), random_dna())

    def tokenizer(self, vocabulary: Vocabulary) -> Tokenizer:
        """Return the tokenizer of a vocabulary of this family.

        Raises:
            VocabularyError: its words are not motifs and the fillers of `payload["filler_k"]`.
        """
        k = vocabulary.payload.get("filler_k")
        if not isinstance(k, int) or not 1 <= k <= _MAX_FILLER:
            raise _broken(vocabulary, f"filler_k is {k!r}")
        short = {word for word in vocabulary.words if len(word) < SHORTEST_BP}
        if short != set(_fillers(k)):
            raise _broken(vocabulary, f"it has {len(short)} words below {SHORTEST_BP} bases")
        return MotifTokenizer(vocabulary, k)

    def stock(self, vocabulary: Vocabulary) -> Stock:
        """Return how the library `tokenizers` reads as this family does."""
        k = max(len(word) for word in vocabulary.words if len(word) < SHORTEST_BP)
        motifs = [word for word in vocabulary.words if len(word) >= SHORTEST_BP]
        longest_first = "|".join(sorted(motifs, key=len, reverse=True))
        # Motifs are cut out first; the second cut tiles what is left and leaves them whole.
        tiles = f"\\A(?:{longest_first})\\z|[ACGT]{{{k}}}|[ACGTN]"
        return Stock("WordLevel", (longest_first, tiles))

    def size_bounds(self, recipe: Recipe) -> tuple[int, int]:
        """Return the number of ids twice: it is known before the vocabulary is built."""
        size = self.build(recipe, ()).size
        assert size > FIRST_WORD + len(BASES), "motifs stand beside the bases"
        return size, size

    def import_file(self, path: Path, name: str) -> Vocabulary | None:
        """Return None: motifs come from JASPAR."""
        return None


def _fillers(k: int) -> tuple[str, ...]:
    words = map("".join, itertools.product(BASES, repeat=k))
    return tuple(dict.fromkeys((*words, *BASES)))


def _groups(recipe: Recipe) -> tuple[str, ...]:
    value = recipe.settings.get("groups")
    groups = value.split("+") if isinstance(value, str) else []
    if not groups or not set(groups) <= set(GROUPS) or len(set(groups)) < len(groups):
        raise recipe.refused("groups", f"one or more of {', '.join(GROUPS)}, joined by +")
    return tuple(groups)


def _broken(vocabulary: Vocabulary, found: str) -> VocabularyError:
    return VocabularyError(
        found,
        where=f"vocabulary {vocabulary.name!r}",
        why="it has motifs of four bases or more, all words of filler_k bases and the four bases",
        fix="build the vocabulary again",
    )


FAMILIES = (MotifFamily(),)
