"""Several vocabularies in one id space: a token string has one row, whoever produces it.

Ye et al. (Genomics-FM, A.1.2-A.1.3) train one model on several vocabularies. The rows are: the
specials, one prompt token for each vocabulary, then the words in order of first appearance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gfmp.errors import VocabularyError
from gfmp.storage.hashes import fingerprint
from gfmp.vocabulary.fields import Fields, json_place
from gfmp.vocabulary.vocabulary import FIRST_WORD, SPECIALS, Vocabulary

_SHOWN = 5


@dataclass(frozen=True)
class Ensemble:
    """Vocabularies and the rows they share; build it with `Ensemble.of`.

    Attributes:
        vocabularies: In the order of their prompts.
        tokens: Row i of the embedding table belongs to the text tokens[i].

    Raises:
        VocabularyError: there is no vocabulary, two have one name, or `tokens` are not the
            tokens of these vocabularies in the order above.
    """

    vocabularies: tuple[Vocabulary, ...]
    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.tokens != _united(self.vocabularies):
            raise VocabularyError(
                f"{len(self.tokens):,} tokens are not those of {_names(self.vocabularies)}",
                why="specials, prompts, then each word once in order of first appearance",
                fix="build the ensemble again from its vocabularies",
            )

    @classmethod
    def of(cls, vocabularies: Sequence[Vocabulary]) -> Ensemble:
        """Unite vocabularies.

        Raises:
            VocabularyError: there is none, or two have one name.
        """
        return cls(tuple(vocabularies), _united(vocabularies))

    @property
    def size(self) -> int:
        """Number of rows V."""
        return len(self.tokens)

    def prompt(self, index: int) -> int:
        """Return the row of the prompt token of vocabulary `index`."""
        assert 0 <= index < len(self.vocabularies), "index counts the vocabularies"
        return FIRST_WORD + index

    def rows(self, index: int) -> NDArray[np.int32]:
        """Return local id -> row for vocabulary `index`, int32, shape (vocabulary.size,)."""
        return self._maps[index]

    def word_rows(self, index: int) -> NDArray[np.int32]:
        """Return the rows of the words of vocabulary `index`, without specials."""
        return self._maps[index][FIRST_WORD:]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the vocabularies and the tokens."""
        return fingerprint([[v.fingerprint for v in self.vocabularies], list(self.tokens)])

    @cached_property
    def _maps(self) -> tuple[NDArray[np.int32], ...]:
        row = {token: i for i, token in enumerate(self.tokens)}
        maps = []
        for vocabulary in self.vocabularies:
            local = [row[token] for token in (*SPECIALS, *vocabulary.words)]
            array = np.array(local, dtype=np.int32)
            array.flags.writeable = False
            maps.append(array)
        return tuple(maps)

    def to_json(self) -> dict[str, object]:
        """Return JSON values from which `from_json` rebuilds an equal ensemble."""
        return {
            "vocabularies": [v.to_json() for v in self.vocabularies],
            "tokens": list(self.tokens),
        }

    @classmethod
    def from_json(cls, value: object, source: str = "ensemble") -> Ensemble:
        """Rebuild an ensemble written by `to_json`.

        Raises:
            VocabularyError: a field is missing, unknown or of another type, or the tokens are
                not those of the vocabularies.
        """
        fields = Fields.of(value, json_place(source))
        fields.only("vocabularies", "tokens")
        vocabularies = tuple(
            Vocabulary.from_json(item, f"{source}:$.vocabularies[{i}]")
            for i, item in enumerate(fields.items("vocabularies"))
        )
        return cls(vocabularies, fields.texts("tokens"))

    def difference(self, other: Ensemble) -> str:
        """Return in words how `other` differs from this ensemble; empty when they are equal."""
        if self.fingerprint == other.fingerprint:
            return ""
        parts = list(_vocabulary_differences(self.vocabularies, other.vocabularies))
        here, there = set(self.tokens), set(other.tokens)
        lost = _some([t for t in self.tokens if t not in there])
        gained = _some([t for t in other.tokens if t not in here])
        parts += [f"tokens only in the first: {lost}"] * bool(lost)
        parts += [f"tokens only in the second: {gained}"] * bool(gained)
        if not lost and not gained and self.tokens != other.tokens:
            parts.append("the same tokens stand in other rows")
        return "; ".join(parts)


def union_bounds(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the fewest and most rows an ensemble can have before its vocabularies are built.

    Args:
        sizes: For each vocabulary the fewest and most local ids, specials included
            (`Family.size_bounds`; twice `Vocabulary.size` for a built one).
    """
    shared = FIRST_WORD + len(sizes)
    fewest = max((low - FIRST_WORD for low, _ in sizes), default=0)
    return shared + fewest, shared + sum(high - FIRST_WORD for _, high in sizes)


def _united(vocabularies: Sequence[Vocabulary]) -> tuple[str, ...]:
    names = [v.name for v in vocabularies]
    if not names or len(set(names)) < len(names):
        raise VocabularyError(
            f"an ensemble of {_names(vocabularies)}",
            why="an ensemble has at least one vocabulary and each of them once",
            fix="name every vocabulary once",
        )
    prompts = (f"[PROMPT:{name}]" for name in names)
    words = (word for v in vocabularies for word in v.words)
    return tuple(dict.fromkeys((*SPECIALS, *prompts, *words)))


def _vocabulary_differences(first: Sequence[Vocabulary], second: Sequence[Vocabulary]) -> list[str]:
    mine = {v.name: v.fingerprint for v in first}
    theirs = {v.name: v.fingerprint for v in second}
    parts = [f"only the first has vocabulary {n!r}" for n in mine if n not in theirs]
    parts += [f"only the second has vocabulary {n!r}" for n in theirs if n not in mine]
    for name in mine:
        if name in theirs and mine[name] != theirs[name]:
            parts.append(f"{name!r} is {mine[name][:12]} here and {theirs[name][:12]} there")
    if not parts and list(mine) != list(theirs):
        parts.append(f"the order is {', '.join(mine)} here and {', '.join(theirs)} there")
    return parts


def _some(tokens: Sequence[str]) -> str:
    shown = ", ".join(tokens[:_SHOWN])
    rest = len(tokens) - _SHOWN
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def _names(vocabularies: Sequence[Vocabulary]) -> str:
    return ", ".join(v.name for v in vocabularies) or "no vocabulary"
